"""All seeded bugs. Each is found by the scenario and the property that its row names.

Not among them, because nothing that they let through can do harm behind the other rules: STALE
unchecked (a decision older than 10 s is older than its part), the epoch unchecked in one of its two
places, `Decision` unchecked in the rung (the bits say the same, and SeqBegin = SeqEnd keeps them
together), PlcHeartbeat's rate unchecked when a session is opened again (HbFault tells of the same
first scan; `tests/unit/plc/handshake/test_rewrite.py` holds the rate).
"""

from typing import Final

from taktgate.standin.handshake_model import bugs_admission, bugs_delivery, bugs_handshake, bugs_plc

BUGS: Final = (
    *bugs_admission.BUGS,
    *bugs_handshake.BUGS,
    *bugs_delivery.BUGS,
    *bugs_plc.BUGS,
)
