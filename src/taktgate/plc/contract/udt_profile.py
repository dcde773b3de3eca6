"""The contract in three tags of user-defined types: one element holds one whole record."""

from collections.abc import Mapping, Sequence
from typing import Final

from taktgate.plc.contract.encoding import Value, decode_command, encode_result, encode_status
from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    RESULT_TAG,
    STATUS_TAG,
    TAGS,
    CipType,
    Tag,
    slot_of,
)
from taktgate.plc.contract.wire import ReadValue, TagRead, TagWrite
from taktgate.plc.link.port import Reading, ResultRecord, StatusEcho, StatusRecord

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
        written = [
            TagWrite(
                path=f"{RESULT_TAG.name}[{slot_of(record.trigger_id)}]",
                type=RESULT_TAG.type,
                data=encode_result(record),
            )
            for record in results
        ]
        if not written:
            heartbeat = status.heartbeat.to_bytes(4, "little", signed=True)
            written.append(
                TagWrite(path=f"{STATUS_TAG.name}.Heartbeat", type=CipType.DINT, data=heartbeat)
            )
        whole = TagWrite(path=STATUS_TAG.name, type=STATUS_TAG.type, data=encode_status(status))
        return (*written, whole)

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


def _echo(values: Sequence[ReadValue]) -> StatusEcho:
    boot_id, heartbeat, last_seq = (_number(value) for value in values)
    return StatusEcho(boot_id=boot_id, heartbeat=heartbeat, last_seq=last_seq)


def _number(value: ReadValue | Value) -> int:
    if isinstance(value, Mapping):
        raise ValueError(f"must be a number, is {value!r}")
    return int(value)
