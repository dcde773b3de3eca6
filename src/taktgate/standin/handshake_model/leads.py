"""Ways into a story: moves that a search is spared, because they are where it gets interesting."""

from typing import Any, Final

Lead = tuple[tuple[str, Any], ...]
"""Moves by name, with their arguments, that a search begins after."""
OPEN_PART: Final[Lead] = (("part", 1), ("read", None))
JUDGED_PASS: Final[Lead] = (*OPEN_PART, ("judge", (0, True, 0)))
PASS_ON_ITS_WAY: Final[Lead] = (*JUDGED_PASS, ("deliver", 0), ("send", None))
PASS_WRITTEN: Final[Lead] = (*JUDGED_PASS, ("deliver", 0), ("write", None))
PASS_A_GHOST: Final[Lead] = (*PASS_ON_ITS_WAY, ("lose", 1), ("open", None), ("read", None))
PASS_WRITTEN_AFTER_A_PAUSE: Final[Lead] = (("step", "held up"), ("step", "held up"), *PASS_WRITTEN)
OLD_PASS_IN_NEW_SLOT: Final[Lead] = (
    *PASS_ON_ITS_WAY,
    *(("part", 8), ("execute", -1), ("reply", None), ("read", None), ("write", None)),
)
PLC_RESTARTED: Final[Lead] = (("plc_restart", "kept"), ("lose", 0), ("open", None))
PART_OF_THE_PLC_BEFORE: Final[Lead] = (*OPEN_PART, *PLC_RESTARTED)
PASS_OF_THE_PLC_BEFORE: Final[Lead] = (*PASS_WRITTEN, *PLC_RESTARTED)
BEAT_OF_THE_BOOT_BEFORE: Final[Lead] = (("hold_beat", None), ("reboot", None), ("start", None))
PASS_OF_THE_BOOT_BEFORE: Final[Lead] = (*JUDGED_PASS, ("reboot", None), ("plc_restart", "kept"))
TWO_PARTS: Final[Lead] = (*PASS_WRITTEN, *OPEN_PART)
GHOST_OF_A_DEAD_WRITER: Final[Lead] = (*PASS_ON_ITS_WAY, ("writer_dies", 1))
BEAT_HELD: Final[Lead] = (("hold_beat", None),)
