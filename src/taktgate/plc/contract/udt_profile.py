"""The contract in three tags of user-defined types: one element holds one whole record."""

from collections.abc import Mapping, Sequence
from typing import Final

from taktgate.plc.contract.encoding import (
    Value,
    decode_command,
    decode_slot,
    encode_result,
    encode_status,
    pack_atomic,
)
from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusEcho, StatusRecord
from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS_TAG,
    TAGS,
    CipType,
    DataType,
    Tag,
    slot_of,
)
from taktgate.plc.contract.wire import ReadValue, TagRead, TagWrite

_Element = tuple[str, DataType]
_SLOTS: Final[Sequence[_Element]] = tuple(
    (f"{RESULT_TAG.name}[{slot}]", RESULT_TAG.type) for slot in range(RESULT_SLOTS)
)
_STATUS: Final[_Element] = (STATUS_TAG.name, STATUS_TAG.type)
_HEARTBEAT: Final[_Element] = (f"{STATUS_TAG.name}.Heartbeat", CipType.DINT)
_ECHO_MEMBERS: Final = ("BootId", "Heartbeat", "LastSeq")
_READS: Final = (TagRead(path=COMMAND_TAG.name, type=COMMAND_TAG.type),)
_ECHO_READS: Final = tuple(
    TagRead(path=f"{STATUS_TAG.name}.{member}", type=CipType.DINT) for member in _ECHO_MEMBERS
)


class UdtProfile:
    """`VIS01_Result[8]`, `VIS01_Sts`, `VIS01_Cmd` (see `wire.Profile`)."""

    name = "udt"
    tags: tuple[Tag, ...] = TAGS

    def writes(self, results: Sequence[ResultRecord], status: StatusRecord) -> tuple[TagWrite, ...]:
        """Return one write per record; a status alone is preceded by its own heartbeat.

        Never one write alone: that path of pycomm3 sends its body twice.
        """
        elements = [_SLOTS[slot_of(record.trigger_id)] for record in results] or [_HEARTBEAT]
        elements.append(_STATUS)
        contents = self.contents(results, status)
        return tuple(
            TagWrite(path=path, type=kind, data=data)
            for (path, kind), data in zip(elements, contents, strict=True)
        )

    def contents(self, results: Sequence[ResultRecord], status: StatusRecord) -> list[bytes]:
        """Return the records as they lie in the controller."""
        contents = [encode_result(record) for record in results]
        if not contents:
            contents.append(pack_atomic(CipType.DINT, status.heartbeat))
        contents.append(encode_status(status))
        return contents

    def reads(self, *, echo: bool) -> tuple[TagRead, ...]:
        """Return the read of the command and those of the echo."""
        return _READS + _ECHO_READS if echo else _READS

    def reading(self, values: Sequence[ReadValue], *, echo: bool) -> Reading:
        """Return what *values* say.

        Raises:
            KeyError: a member is missing.
            ValueError: there are too few values, or the command is no structure.
        """
        members, *echoed = values
        if not isinstance(members, Mapping):
            raise ValueError(f"{COMMAND_TAG.name} must be a structure, is {members!r}")
        return Reading(command=decode_command(members), echo=_echo(echoed) if echo else None)

    def result_reads(self, slot: int) -> tuple[TagRead, ...]:
        """Return the read of the whole element."""
        path, kind = _SLOTS[slot]
        return (TagRead(path=path, type=kind),)

    def results(self, values: Sequence[ReadValue]) -> tuple[SlotEcho, ...]:
        """Return what each element holds.

        Raises:
            KeyError: a member is missing.
            ValueError: an element is no structure.
        """
        return tuple(decode_slot(_members(value)) for value in values)


def _members(value: ReadValue) -> Mapping[str, Value]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{RESULT_TAG.name} must be a structure, is {value!r}")
    return value


def _echo(values: Sequence[ReadValue]) -> StatusEcho:
    boot_id, heartbeat, last_seq = (_number(value) for value in values)
    return StatusEcho(boot_id=boot_id, heartbeat=heartbeat, last_seq=last_seq)


def _number(value: ReadValue | Value) -> int:
    if isinstance(value, Mapping):
        raise ValueError(f"must be a number, is {value!r}")
    return int(value)
