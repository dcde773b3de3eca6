"""A controller among foreign tags, for the clients from outside that judge it."""

from typing import Any, Final

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.foreign_tags import among_foreign
from taktgate.standin.logix.memory import TagMemory, symbols_of

EXTRA_TAGS: Final = 240

RESULT_3: Final[dict[str, Any]] = {
    "SeqBegin": 41,
    "TriggerId": 123_459,
    "Decision": 1,
    "DefectCode": 5,
    "DefectCount": 2,
    "Score": 0.125,
    "AgeMs": 23,
    "ModelRev": 0x7FFF_FFFF,
    "Valid": True,
    "Pass": True,
    "Reject": False,
    "Late": False,
    "ErrorCode": 0,
    "SeqEnd": 41,
}

# Foreign tags by what they are: `foreign_tags` makes their names.
DINT = "Count_0000"
DINT_ARRAY = "Recipe_0004"
REAL_ARRAY = "Trend_0011"
STRING = "Text_0019"
STRING_ARRAY = "Label_0012"
LINT_READ_ONLY = "Energy_0008"
SINT = "Mode_0010"
MOTOR = "Motor_0002"
CELLS = "Cell_0007"
BOOL = "Start_0003"
BOOL_ARRAY = "Flags_0023"
IN_PROGRAM = "Program:MainProgram.Pressure_0001"


def busy_memory() -> TagMemory:
    """Return our tags in the middle of a plant's."""
    return TagMemory(among_foreign(symbols_of(TAGS), EXTRA_TAGS))


def tag_paths(memory: TagMemory) -> set[str]:
    """Return the names of all tags as clients know them, system entries left out."""
    return {symbol.path for symbol in memory.symbols if symbol.system is None}
