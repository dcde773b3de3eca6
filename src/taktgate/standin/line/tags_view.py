"""What the program takes from the tags at the start of a scan, and puts back at its end."""

import struct
from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    RESULT,
    RESULT_TAG,
    STATUS_TAG,
    CipType,
    Udt,
)
from taktgate.standin.logix.memory import TagMemory, Value

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


_LAMPS: Final = ("State", "ErrorCode", "Online", "Ready", "Fault", "BootId", "CntReconnect")
"""Members of VIS01_Sts whose change is news."""
_COMMAND: Final = {
    "heartbeat": "PlcHeartbeat",
    "ack_seq": "AckSeq",
    "deadline_ms": "DeadlineMs",
    "enable": "Enable",
    "hb_fault": "HbFault",
    "trigger_id": "TriggerId",
}
"""Members of VIS01_Cmd by what the program calls them, TriggerId last."""


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


def members_of(slot: ResultSlot) -> dict[str, Value]:
    """Return *slot* by the names of the table: `decode_slot` turned round."""
    return {
        "SeqBegin": slot.seq_begin,
        "TriggerId": slot.trigger_id,
        "Decision": slot.decision,
        "Valid": slot.valid,
        "Pass": slot.passed,
        "Reject": slot.reject,
        "Late": slot.late,
        "ErrorCode": slot.error_code,
        "SeqEnd": slot.seq_end,
    }


class LineTags:
    """The program's view of the controller's memory."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory
        self._decoded: dict[bytes, ResultSlot] = {}
        self._copied = b""
        self._slots: tuple[ResultSlot, ...] = ()
        self._written: Command | None = None

    def vision(self) -> Vision:
        """Return what the vision side has written until now."""
        return Vision(
            heartbeat=int(self._memory.load(STATUS_TAG.name, "Heartbeat")),
            ready=bool(self._memory.load(STATUS_TAG.name, "Ready")),
            slots=self._copy_slots(),
        )

    def _copy_slots(self) -> tuple[ResultSlot, ...]:
        """Return the result slots; what did not change since the last scan is not decoded again."""
        copied = self._memory.whole(RESULT_TAG.name)
        if copied != self._copied:
            self._copied = copied
            contents = [copied[at : at + RESULT.size] for at in range(0, len(copied), RESULT.size)]
            self._decoded = {
                content: self._decoded.get(content) or decode_slot(content) for content in contents
            }
            self._slots = tuple(self._decoded[content] for content in contents)
        return self._slots

    def invalidate(self, slot: int) -> None:
        """Clear Valid of one result slot."""
        self._memory.store(RESULT_TAG.name, "Valid", False, slot)

    def command(self) -> Command:
        """Return what VIS01_Cmd holds: after a restart, what it has kept."""
        values = {
            name: self._memory.load(COMMAND_TAG.name, member) for name, member in _COMMAND.items()
        }
        return Command(
            heartbeat=int(values["heartbeat"]),
            trigger_id=int(values["trigger_id"]),
            ack_seq=int(values["ack_seq"]),
            deadline_ms=int(values["deadline_ms"]),
            enable=bool(values["enable"]),
            hb_fault=bool(values["hb_fault"]),
        )

    def write(self, command: Command) -> None:
        """Put *command* into VIS01_Cmd."""
        before, self._written = self._written, command
        if command == before:
            return
        for name, member in _COMMAND.items():
            value = getattr(command, name)
            if before is None or value != getattr(before, name):
                self._memory.store(COMMAND_TAG.name, member, value)


class StatusView:
    """VIS01_Sts as a panel shows it: whatever the program does, and even when it does not run."""

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory
        self._told: dict[str, Value] | None = None

    def now(self) -> dict[str, Value]:
        """Return the members of the tag; nothing while a wrong project has no such tag."""
        try:
            return {
                member.name: self._memory.load(STATUS_TAG.name, member.name)
                for member in STATUS_TAG.udt.members
            }
        except (KeyError, TypeError):
            return {}

    def news(self) -> dict[str, Value] | None:
        """Return the members that say how the vision side is, when one of them has changed."""
        try:
            said = {name: self._memory.load(STATUS_TAG.name, name) for name in _LAMPS}
        except (KeyError, TypeError):
            said = {}
        if said == self._told:
            return None
        self._told = said
        return said
