"""The contract in atomic tags, for controllers and simulators without user-defined types.

Each member of the table is a tag of its own: an array of eight for a result's, a scalar for one of
the status or the command. One Multiple Service Packet carries a whole verdict; its services are
executed in order, SeqBegin first and SeqEnd last.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from taktgate.plc.contract.encoding import (
    GATE_MEMBERS,
    Value,
    decode_command,
    decode_slot,
    pack_atomic,
    result_values,
    status_values,
)
from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusEcho, StatusRecord
from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    FLAT_TAGS,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS_TAG,
    CipType,
    Tag,
    flat_tag,
    slot_of,
)
from taktgate.plc.contract.wire import ReadValue, TagRead, TagWrite

_ECHO_MEMBERS: Final = ("BootId", "Heartbeat", "LastSeq")


_Row = tuple[str, str, CipType]


def _members(tag: Tag) -> tuple[_Row, ...]:
    """Return member name, tag name and type of each atomic tag that holds a part of *tag*."""
    flat = ((member.name, flat_tag(tag, member)) for member in tag.udt.members)
    return tuple((member, held.name, held.atomic) for member, held in flat)


_RESULT: Final = _members(RESULT_TAG)
_GATE: Final = tuple(row for row in _RESULT if row[0] in GATE_MEMBERS)
_STATUS: Final = _members(STATUS_TAG)
_SLOTS: Final = tuple(
    tuple((f"{name}[{slot}]", kind) for _, name, kind in _RESULT) for slot in range(RESULT_SLOTS)
)
_STATUS_ELEMENTS: Final = tuple((name, kind) for _, name, kind in _STATUS)
_READS: Final = tuple(TagRead(path=name, type=kind) for _, name, kind in _members(COMMAND_TAG))
_ECHO_READS: Final = tuple(
    TagRead(path=f"{STATUS_TAG.name}_{member}", type=CipType.DINT) for member in _ECHO_MEMBERS
)


class FlatProfile:
    """`VIS01_Result_SeqBegin[8]`, `VIS01_Sts_Heartbeat`, ... (see `wire.Profile`)."""

    name = "flat"
    tags: tuple[Tag, ...] = FLAT_TAGS

    def writes(self, results: Sequence[ResultRecord], status: StatusRecord) -> tuple[TagWrite, ...]:
        """Return one write per member, in the order of the table: a result's SeqEnd is its last."""
        elements = [element for record in results for element in _SLOTS[slot_of(record.trigger_id)]]
        elements += _STATUS_ELEMENTS
        contents = self.contents(results, status)
        return tuple(
            TagWrite(path=path, type=kind, data=data)
            for (path, kind), data in zip(elements, contents, strict=True)
        )

    def contents(self, results: Sequence[ResultRecord], status: StatusRecord) -> list[bytes]:
        """Return each member as it lies in the controller."""
        contents = [data for record in results for data in _packed(_RESULT, result_values(record))]
        contents += _packed(_STATUS, status_values(status))
        return contents

    def reads(self, *, echo: bool) -> tuple[TagRead, ...]:
        """Return the reads of the command and those of the echo."""
        return _READS + _ECHO_READS if echo else _READS

    def reading(self, values: Sequence[ReadValue], *, echo: bool) -> Reading:
        """Return what *values* say.

        Raises:
            ValueError: there are too few or too many values, or one is no number.
        """
        wanted = len(self.reads(echo=echo))
        if len(values) != wanted:
            raise ValueError(f"must be {wanted} values, are {len(values)}")
        numbers = [_number(value) for value in values]
        names = [member.name for member in COMMAND_TAG.udt.members]
        command = decode_command(dict(zip(names, numbers, strict=False)))
        return Reading(command=command, echo=_echo(numbers[len(names) :]) if echo else None)

    def result_reads(self, slot: int) -> tuple[TagRead, ...]:
        """Return one read per member that a gate depends on."""
        return tuple(TagRead(path=f"{name}[{slot}]", type=kind) for _, name, kind in _GATE)

    def results(self, values: Sequence[ReadValue]) -> tuple[SlotEcho, ...]:
        """Return what the members of each slot say.

        Raises:
            ValueError: there are too few or too many values, or one is no number.
        """
        if len(values) % len(_GATE):
            raise ValueError(f"must be {len(_GATE)} values for each slot, are {len(values)}")
        names = [member for member, _, _ in _GATE]
        numbers = [_number(value) for value in values]
        slots = range(0, len(numbers), len(_GATE))
        return tuple(decode_slot(dict(zip(names, numbers[at:], strict=False))) for at in slots)


def _packed(rows: Sequence[_Row], values: Mapping[str, Value]) -> list[bytes]:
    return [pack_atomic(kind, values[member]) for member, _, kind in rows]


def _echo(values: Sequence[Value]) -> StatusEcho:
    boot_id, heartbeat, last_seq = (int(value) for value in values)
    return StatusEcho(boot_id=boot_id, heartbeat=heartbeat, last_seq=last_seq)


def _number(value: ReadValue) -> Value:
    if isinstance(value, Mapping):
        raise ValueError(f"must be a number, is {value!r}")
    return value
