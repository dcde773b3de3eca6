"""The one tag table: encoder, decoder, stand-in types, L5X and documentation come from it.

Contract: docs/plc-tags.md, with sizes and meanings. Each side writes only its own tags, every
member is a DINT, a REAL or a BOOL, and nothing needs string parsing. `TAGS` is the table;
`FLAT_TAGS`, for controllers without user-defined types, is derived from it.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from taktgate.contracts.verdict import Reason, Verdict

RESULT_SLOTS: Final = 8
"""Parts that may be in flight at once; slot = TriggerId AND 7."""


class CipType(StrEnum):
    """The CIP types of the contract, by their Logix names."""

    DINT = "DINT"
    REAL = "REAL"
    BOOL = "BOOL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member of a UDT. `offset` is in bytes; `bit` only for BOOL, 0..7 of that byte."""

    name: str
    type: CipType
    offset: int
    meaning: str
    bit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Udt:
    """A user-defined type: its members, in order, and its size in bytes."""

    name: str
    size: int
    members: tuple[Member, ...]


DataType = Udt | CipType


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A controller-scope tag. `written_by` is 'vision' or 'plc'; the other side only reads.

    `dimension` is the number of elements, 0 for a tag that is no array. `meaning` is there for an
    atomic tag; a structure's members have theirs.
    """

    name: str
    type: DataType
    dimension: int
    written_by: str
    meaning: str = ""

    @property
    def udt(self) -> Udt:
        """Return the type of a tag that is a structure.

        Raises:
            TypeError: it is an atomic one.
        """
        if not isinstance(self.type, Udt):
            raise TypeError(f"{self.name} is a {self.type}, no structure")
        return self.type

    @property
    def atomic(self) -> CipType:
        """Return the type of a tag that is none.

        Raises:
            TypeError: it is a structure.
        """
        if isinstance(self.type, Udt):
            raise TypeError(f"{self.name} is a {self.type.name}, a structure")
        return self.type


def _dint(name: str, offset: int, meaning: str) -> Member:
    return Member(name=name, type=CipType.DINT, offset=offset, meaning=meaning)


def _bool(name: str, offset: int, bit: int, meaning: str) -> Member:
    return Member(name=name, type=CipType.BOOL, offset=offset, bit=bit, meaning=meaning)


RESULT: Final = Udt(
    name="UDT_VIS_Result",
    size=44,
    members=(
        _dint("SeqBegin", 0, "result number, never 0, +1 per result"),
        _dint("TriggerId", 4, "echo of the PLC's part number"),
        _dint("Decision", 8, "0 none, 1 PASS, 2 FAIL, 3 NO_DECISION, 4 LATE; only 1 may pass"),
        _dint("DefectCode", 12, "bit mask of the classes over their threshold"),
        _dint("DefectCount", 16, "number of classes over their threshold"),
        Member(name="Score", type=CipType.REAL, offset=20, meaning="0..1, 1 is defective"),
        _dint("AgeMs", 24, "exposure to encoding"),
        _dint("ModelRev", 28, "first 31 bits of the model digest"),
        _bool("Valid", 32, 0, "the slot holds a complete result"),
        _bool("Pass", 32, 1, "set for Decision 1 only"),
        _bool("Reject", 32, 2, "complement of Pass; equal means invalid"),
        _bool("Late", 32, 3, "set for Decision 4"),
        _dint("ErrorCode", 36, "reason of NO_DECISION, 0 ok"),
        _dint("SeqEnd", 40, "equals SeqBegin; differing is a torn write"),
    ),
)

STATUS: Final = Udt(
    name="UDT_VIS_Status",
    size=56,
    members=(
        _dint("Heartbeat", 0, "+1 each 100 ms"),
        _dint("BootId", 4, "random per start of the writer"),
        _dint("State", 8, "0 init, 1 connecting, 2 run, 3 degraded, 4 fault"),
        _dint("ErrorCode", 12, "why State is not 2"),
        _dint("QueueDepth", 16, "parts open"),
        _dint("LastSeq", 20, "SeqBegin of the newest result"),
        _dint("LastTriggerId", 24, "newest TriggerId read"),
        _dint("CntPass", 28, "results with Decision 1"),
        _dint("CntReject", 32, "results with any other decision"),
        _dint("CntLate", 36, "results with Decision 4"),
        _dint("CntDup", 40, "identical copies that were ignored"),
        _dint("CntOverflow", 44, "verdicts refused because the queue was full"),
        _dint("CntReconnect", 48, "sessions opened after the first"),
        _bool("Online", 52, 0, "the writer runs"),
        _bool("Ready", 52, 1, "a verdict may be expected for the next part"),
        _bool("Fault", 52, 2, "a person should look"),
    ),
)

COMMAND: Final = Udt(
    name="UDT_VIS_Cmd",
    size=24,
    members=(
        _dint("PlcHeartbeat", 0, "+1 per 100 ms by the ladder, so it stops in Program mode"),
        _dint("TriggerId", 4, "part number, written before the camera trigger output"),
        _dint("AckSeq", 8, "SeqEnd of the last result consumed"),
        _dint("RecipeId", 12, "part variant"),
        _dint("DeadlineMs", 16, "trigger to acknowledge, milliseconds"),
        _bool("Enable", 20, 0, "judge parts"),
        _bool("Reset", 20, 1, "clear faults"),
        _bool("HbFault", 20, 2, "the PLC has lost the vision heartbeat"),
    ),
)

RESULT_TAG: Final = Tag(
    name="VIS01_Result", type=RESULT, dimension=RESULT_SLOTS, written_by="vision"
)
STATUS_TAG: Final = Tag(name="VIS01_Sts", type=STATUS, dimension=0, written_by="vision")
COMMAND_TAG: Final = Tag(name="VIS01_Cmd", type=COMMAND, dimension=0, written_by="plc")
TAGS: Final = (RESULT_TAG, STATUS_TAG, COMMAND_TAG)


def flat_tag(tag: Tag, member: Member) -> Tag:
    """Return the atomic tag that holds *member* of *tag* where there are no structures.

    A BOOL of an array becomes a DINT of 0 or 1: an element of a BOOL array shares its DWORD with
    31 others and can only be written by read-modify-write (1756-PM020, "Read Modify Write Tag").
    """
    is_shared_bit = tag.dimension > 0 and member.type is CipType.BOOL
    return Tag(
        name=f"{tag.name}_{member.name}",
        type=CipType.DINT if is_shared_bit else member.type,
        dimension=tag.dimension,
        written_by=tag.written_by,
        meaning=f"{member.meaning} (0 or 1)" if is_shared_bit else member.meaning,
    )


FLAT_TAGS: Final = tuple(flat_tag(tag, member) for tag in TAGS for member in tag.udt.members)

DECISIONS: Final = {
    Verdict.PASS: 1,
    Verdict.FAIL: 2,
    Verdict.NO_DECISION: 3,
    Verdict.LATE: 4,
}
ERROR_CODES: Final = {reason: code for code, reason in enumerate(Reason)}


class WriterState(IntEnum):
    """`VIS01_Sts.State`."""

    INIT = 0
    CONNECTING = 1
    RUN = 2
    DEGRADED = 3
    FAULT = 4


class StatusError(IntEnum):
    """`VIS01_Sts.ErrorCode`: why `State` is not 2."""

    NONE = 0
    """Nothing is wrong."""
    NO_BEAT = 1
    """The judge has been silent for 300 ms."""
    JUDGE_NOT_READY = 2
    """The judge says that it cannot judge: no live model, or no camera."""
    CONTRACT = 3
    """The judge speaks another contract version."""
    KERNEL_BOOT = 4
    """The judge runs on another host, or its messages are from before a reboot."""
    PLC_STALLED = 5
    """PlcHeartbeat has stood still for 500 ms: Program mode?"""
    PLC_UNPROVEN = 6
    """PlcHeartbeat has not moved since the session was opened."""
    DEADLINE = 7
    """VIS01_Cmd.DeadlineMs is not within 1..10000."""
    STOPPING = 8
    """The writer was told to end."""
    PLC_PROGRAM = 9
    """The controller says that it is in Program mode."""
    TAGS = 10
    """The controller's tags are not these: nothing is written, so only metrics and twin show it."""
    CONTROLLER = 11
    """What answers at the address is no controller of ours: nothing is written."""


def slot_of(trigger_id: int) -> int:
    """Return the result slot of *trigger_id*, 0..7."""
    return trigger_id & (RESULT_SLOTS - 1)
