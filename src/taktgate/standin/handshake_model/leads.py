"""Ways into a story: moves that a search is spared, because they are where it gets interesting."""

from typing import Any, Final

from taktgate.standin.handshake_model.plc_program import Numbers

Lead = tuple[tuple[str, Any], ...]
"""Moves by name, with their arguments, that a search begins after."""
_RESTART: Final = ("plc_restart", Numbers.AGAIN)
OPEN_PART: Final[Lead] = (("part", 1), ("read", None))
JUDGED_PASS: Final[Lead] = (*OPEN_PART, ("judge", (0, True, 0)))
PASS_ON_ITS_WAY: Final[Lead] = (*JUDGED_PASS, ("deliver", 0), ("send", None))
PASS_ON_ITS_WAY_WITH_A_BEAT: Final[Lead] = (
    *(("part", 1), ("step", "held up"), ("read", None), ("judge", (0, True, 0))),
    *(("deliver", 0), ("send", None)),
)
PASS_WRITTEN: Final[Lead] = (*JUDGED_PASS, ("deliver", 0), ("write", None))
PASS_LOST: Final[Lead] = (*PASS_ON_ITS_WAY, ("lose", 0))
PASS_LOST_AND_THE_NUMBER_AGAIN: Final[Lead] = (
    *PASS_LOST,
    *(_RESTART, ("scan", None), ("part", 1)),
)
PASS_LOST_TOO_LATE: Final[Lead] = (
    *PASS_ON_ITS_WAY,
    *(("step", "turn"), ("step", "turn"), ("lose", 0), ("open", None), ("read", None)),
)
PASS_A_GHOST: Final[Lead] = (*PASS_ON_ITS_WAY, ("lose", 1), ("open", None), ("read", None))
PASS_WRITTEN_AFTER_A_PAUSE: Final[Lead] = (("step", "held up"), ("step", "held up"), *PASS_WRITTEN)
PASS_WRITTEN_LONG_AFTER_THE_PART: Final[Lead] = (
    *(("part", 1), ("step", "held up"), ("step", "held up"), ("read", None)),
    *(("judge", (0, True, 0)), ("deliver", 0), ("write", None)),
)
OLD_PASS_IN_NEW_SLOT: Final[Lead] = (
    *PASS_ON_ITS_WAY,
    *(("part", 8), ("execute", -1), ("reply", None), ("read", None), ("write", None)),
)
PLC_RESTARTED: Final[Lead] = (_RESTART, ("lose", 0), ("open", None))
PLC_RESTARTED_AND_SCANNED: Final[Lead] = (_RESTART, ("scan", None), *PLC_RESTARTED[1:])
PART_OF_THE_PLC_BEFORE: Final[Lead] = (*OPEN_PART, *PLC_RESTARTED)
PASS_OF_THE_PLC_BEFORE: Final[Lead] = (*PASS_WRITTEN, *PLC_RESTARTED)
BEAT_OF_THE_BOOT_BEFORE: Final[Lead] = (("hold_beat", None), ("reboot", None), ("start", None))
PASS_OF_THE_BOOT_BEFORE: Final[Lead] = (*JUDGED_PASS, ("reboot", None), _RESTART)
TWO_PARTS: Final[Lead] = (*PASS_WRITTEN, *OPEN_PART)
GHOST_OF_A_DEAD_WRITER: Final[Lead] = (*PASS_ON_ITS_WAY, ("writer_dies", 1))
BEAT_HELD: Final[Lead] = (("hold_beat", None),)
