"""Records to bytes and back, by the offsets of the tag table."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Final

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.records import Command, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.tags import DECISIONS, RESULT, STATUS, CipType, Member, Udt

Value = int | float | bool

_FORMATS: Final = {CipType.DINT: "<i", CipType.REAL: "<f"}
_STRUCTS: Final = {kind: struct.Struct(form) for kind, form in _FORMATS.items()}
_TRUE: Final = b"\x01"
"""Any byte but 0 sets a BOOL (1756-PM020, "Write Tag Service"); a read answers 1 or, up to
firmware 29, 0xFF."""


def pack_atomic(kind: CipType, value: Value) -> bytes:
    """Return one atomic value as it lies in the controller: 4 bytes, or 1 for a BOOL.

    Raises:
        struct.error: the value does not fit: our bug.
    """
    if kind is CipType.BOOL:
        return _TRUE if value else b"\0"
    return _STRUCTS[kind].pack(value)


def unpack_atomic(kind: CipType, data: bytes) -> Value:
    """Return the atomic value in *data*.

    Raises:
        struct.error: *data* has another size than *kind*.
    """
    if kind is CipType.BOOL:
        return any(struct.unpack("B", data))
    value: Value = _STRUCTS[kind].unpack(data)[0]
    return value


class Layout:
    """A structure type as one format of `struct`: its numbers in one go, then its bits."""

    def __init__(self, udt: Udt) -> None:
        numbers = sorted((each for each in udt.members if each.bit is None), key=_offset)
        self._struct = struct.Struct("<" + "".join(_formats(numbers)))
        self._numbers = itemgetter(*(number.name for number in numbers))
        self._bits = tuple(
            (each.name, each.offset, 1 << each.bit) for each in udt.members if each.bit is not None
        )
        self._size = udt.size

    def pack(self, values: Mapping[str, Value]) -> bytes:
        """Return the structure with *values*, every member of the table given.

        Raises:
            KeyError: a member is missing: our bug.
            struct.error: a value does not fit its member: our bug.
        """
        data = bytearray(self._size)
        self._struct.pack_into(data, 0, *self._numbers(values))
        for name, offset, bit in self._bits:
            if values[name]:
                data[offset] |= bit
        return bytes(data)


def _formats(numbers: Sequence[Member]) -> Iterator[str]:
    """Return the format of each number, with what lies between it and the one before as padding."""
    end = 0
    for number in numbers:
        kind = _FORMATS[number.type]
        yield f"{number.offset - end}x{kind[1:]}"
        end = number.offset + struct.calcsize(kind)


def _offset(member: Member) -> int:
    return member.offset


def unpack(udt: Udt, data: bytes) -> dict[str, Value]:
    """Return the members of *udt* in *data*.

    Raises:
        struct.error: *data* is shorter than *udt*.
    """
    return {
        member.name: (
            struct.unpack_from(_FORMATS[member.type], data, member.offset)[0]
            if member.bit is None
            else bool(data[member.offset] >> member.bit & 1)
        )
        for member in udt.members
    }


_RESULT: Final = Layout(RESULT)
_STATUS: Final = Layout(STATUS)


def result_values(record: ResultRecord) -> dict[str, Value]:
    """Return the members of one element of `VIS01_Result`."""
    is_pass = record.decision == DECISIONS[Verdict.PASS]
    return {
        "SeqBegin": record.sequence,
        "TriggerId": record.trigger_id,
        "Decision": record.decision,
        "DefectCode": record.defect_code,
        "DefectCount": record.defect_count,
        "Score": record.score,
        "AgeMs": record.age_ms,
        "ModelRev": record.model_rev,
        "Valid": True,
        "Pass": is_pass,
        "Reject": not is_pass,
        "Late": record.decision == DECISIONS[Verdict.LATE],
        "ErrorCode": record.error_code,
        "SeqEnd": record.sequence,
    }


def status_values(record: StatusRecord) -> dict[str, Value]:
    """Return the members of `VIS01_Sts`."""
    return {
        "Heartbeat": record.heartbeat,
        "BootId": record.boot_id,
        "State": record.state,
        "ErrorCode": record.error_code,
        "QueueDepth": record.queue_depth,
        "LastSeq": record.last_seq,
        "LastTriggerId": record.last_trigger_id,
        "CntPass": record.cnt_pass,
        "CntReject": record.cnt_reject,
        "CntLate": record.cnt_late,
        "CntDup": record.cnt_dup,
        "CntOverflow": record.cnt_overflow,
        "CntReconnect": record.cnt_reconnect,
        "Online": record.online,
        "Ready": record.ready,
        "Fault": record.fault,
    }


def encode_result(record: ResultRecord) -> bytes:
    """Return the bytes of one element of `VIS01_Result`."""
    return _RESULT.pack(result_values(record))


def encode_status(record: StatusRecord) -> bytes:
    """Return the bytes of `VIS01_Sts`."""
    return _STATUS.pack(status_values(record))


def decode_command(values: Mapping[str, Value]) -> Command:
    """Return the command in the members of `VIS01_Cmd`.

    Raises:
        KeyError: a member is missing.
    """
    return Command(
        plc_heartbeat=int(values["PlcHeartbeat"]),
        trigger_id=int(values["TriggerId"]),
        ack_seq=int(values["AckSeq"]),
        recipe_id=int(values["RecipeId"]),
        deadline_ms=int(values["DeadlineMs"]),
        enable=bool(values["Enable"]),
        reset=bool(values["Reset"]),
        hb_fault=bool(values["HbFault"]),
    )


GATE_MEMBERS: Final = frozenset(
    {"SeqBegin", "TriggerId", "Decision", "Pass", "Reject", "Late", "SeqEnd"}
)
"""Members of a result that a gate depends on, beside Valid: those of a `SlotEcho`."""


def decode_slot(values: Mapping[str, Value]) -> SlotEcho:
    """Return what the members of one element of `VIS01_Result` say of its result.

    Raises:
        KeyError: a member is missing.
    """
    return SlotEcho(
        sequence_begin=int(values["SeqBegin"]),
        trigger_id=int(values["TriggerId"]),
        decision=int(values["Decision"]),
        is_pass=bool(values["Pass"]),
        is_reject=bool(values["Reject"]),
        is_late=bool(values["Late"]),
        sequence_end=int(values["SeqEnd"]),
    )
