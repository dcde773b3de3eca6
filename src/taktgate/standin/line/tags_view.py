"""What the program takes from the tags at the start of a scan, and puts back at its end."""

import struct
from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    RESULT,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS_TAG,
    CipType,
    Udt,
)
from taktgate.standin.logix.memory import TagMemory

_FORMATS: Final = {CipType.DINT: "i", CipType.REAL: "f"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSlot:
    """A copy (CPS) of what the rule needs of one element of VIS01_Result."""

    seq_begin: int = 0
    trigger_id: int = 0
    decision: int = 0
    valid: bool = False
    passed: bool = False
    reject: bool = False
    late: bool = False
    error_code: int = 0
    seq_end: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vision:
    """What the vision side has written, as it stands when a scan begins."""

    heartbeat: int
    ready: bool
    slots: tuple[ResultSlot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What the program says in VIS01_Cmd."""

    heartbeat: int = 0
    trigger_id: int = 0
    ack_seq: int = 0
    deadline_ms: int = 0
    enable: bool = False
    hb_fault: bool = True


def _number_layout(udt: Udt) -> tuple[struct.Struct, tuple[str, ...]]:
    """Return how to unpack every member of *udt* that is no BOOL, and their names."""
    members = [member for member in udt.members if member.type is not CipType.BOOL]
    layout, end = "<", 0
    for member in members:
        layout += f"{member.offset - end}x{_FORMATS[member.type]}"
        end = member.offset + 4
    return struct.Struct(f"{layout}{udt.size - end}x"), tuple(member.name for member in members)


_NUMBERS, _NAMES = _number_layout(RESULT)
_SEQ_BEGIN, _TRIGGER_ID, _DECISION, _ERROR_CODE, _SEQ_END = (
    _NAMES.index(name) for name in ("SeqBegin", "TriggerId", "Decision", "ErrorCode", "SeqEnd")
)
_BITS: Final = {
    member.name: (member.offset, 1 << member.bit)
    for member in RESULT.members
    if member.bit is not None
}


def decode_slot(content: bytes) -> ResultSlot:
    """Return the slot whose bytes are *content*."""
    numbers = _NUMBERS.unpack(content)
    bits = {name: bool(content[offset] & mask) for name, (offset, mask) in _BITS.items()}
    return ResultSlot(
        seq_begin=numbers[_SEQ_BEGIN],
        trigger_id=numbers[_TRIGGER_ID],
        decision=numbers[_DECISION],
        valid=bits["Valid"],
        passed=bits["Pass"],
        reject=bits["Reject"],
        late=bits["Late"],
        error_code=numbers[_ERROR_CODE],
        seq_end=numbers[_SEQ_END],
    )


class LineTags:
    """The program's view of the controller's memory."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory
        self._decoded: dict[bytes, ResultSlot] = {}
        self._written: Command | None = None

    def vision(self) -> Vision:
        """Return what the vision side has written until now."""
        contents = [self._memory.element(RESULT_TAG.name, slot) for slot in range(RESULT_SLOTS)]
        # A slot rarely changes between two scans, so the last scan's decoding is kept.
        self._decoded = {
            content: self._decoded.get(content) or decode_slot(content) for content in contents
        }
        return Vision(
            heartbeat=int(self._memory.load(STATUS_TAG.name, "Heartbeat")),
            ready=bool(self._memory.load(STATUS_TAG.name, "Ready")),
            slots=tuple(self._decoded[content] for content in contents),
        )

    def invalidate(self, slot: int) -> None:
        """Clear Valid of one result slot."""
        self._memory.store(RESULT_TAG.name, "Valid", False, slot)

    def write(self, command: Command) -> None:
        """Put *command* into VIS01_Cmd."""
        if command == self._written:
            return
        self._written = command
        values = {
            "PlcHeartbeat": command.heartbeat,
            "AckSeq": command.ack_seq,
            "DeadlineMs": command.deadline_ms,
            "Enable": command.enable,
            "HbFault": command.hb_fault,
            "TriggerId": command.trigger_id,
        }
        for member, value in values.items():
            self._memory.store(COMMAND_TAG.name, member, value)
