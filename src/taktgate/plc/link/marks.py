"""Who a controller is, and what tells that it has not changed since its tags were checked.

One Multiple Service Packet (1756-PM020, service 0x0A on 02/1) asks for all of it, so that a session
can be trusted after a single exchange:

    identity object     vendor, product type, status word, serial, name (CIP Vol 1, 5A-2)
    class 0xAC          the change attributes of the tag table, where the controller has them
    each structure tag  the handle of its type, in front of the value of a Read Tag reply

Both backends carry it; neither this nor they use an instance id, which a download renumbers.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import Tag, Udt
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import ContractChangedError, LinkDeadError
from taktgate.plc.link.cip import (
    Service,
    handle_in,
    object_path,
    parse_packet,
    read_tag,
    request,
    several,
)
from taktgate.plc.link.port import Mode

TABLE_ATTRIBUTES: Final = (1, 2, 3, 4, 10)
"""Of class 0xAC: they change with a download and with an online edit of the tags."""

_IDENTITY_REQUEST: Final = request(Service.GET_ATTRIBUTES_ALL, object_path(0x01))
_TABLE_REQUEST: Final = request(
    Service.GET_ATTRIBUTE_LIST,
    object_path(0xAC),
    struct.pack(f"<{len(TABLE_ATTRIBUTES) + 1}H", len(TABLE_ATTRIBUTES), *TABLE_ATTRIBUTES),
)
_IDENTITY: Final = struct.Struct("<HHHBBHI")
_MODE_BITS: Final = 0xF0
_MODES: Final = {0x60: Mode.RUN, 0x70: Mode.PROGRAM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The answer of a controller to `marks_message`."""

    vendor: int
    product_type: int
    serial: int
    mode: Mode
    table_version: bytes
    """As it came; empty where the controller refuses class 0xAC."""
    handles: Mapping[str, int]
    """By UDT name; one that could not be read is missing."""


def marks_message(profile: Profile) -> bytes:
    """Return the Multiple Service Packet that asks for the marks."""
    return several(_services(profile))


def marks_in(message: bytes, profile: Profile) -> Marks:
    """Return the marks in *message*, the reply to `marks_message`.

    Raises:
        LinkDeadError: it is no answer to that, or the identity was refused.
    """
    asked = [service[0] for service in _services(profile)]
    identity, table, *read = parse_packet(message, asked)
    if len(identity.data) < _IDENTITY.size:
        raise LinkDeadError(f"the controller does not say who it is: {identity}")
    vendor, product_type, _, _, _, status, serial = _IDENTITY.unpack_from(identity.data)
    named = zip(_structures(profile), read, strict=True)
    handles = {tag.udt.name: handle_in(answer.data) for tag, answer in named}
    return Marks(
        vendor=vendor,
        product_type=product_type,
        serial=serial,
        mode=mode_of(status),
        table_version=table.data if table.is_good else b"",
        handles={name: handle for name, handle in handles.items() if handle is not None},
    )


def mode_of(status_word: int) -> Mode:
    """Return what *status_word* (attribute 5 of the identity object) says.

    0x3160 is Remote Run, 0x3170 Remote Program: bits 4-7 the mode, bits 12-13 the keyswitch.
    """
    return _MODES.get(status_word & _MODE_BITS, Mode.UNKNOWN)


def expect_unchanged(contract: VerifiedContract, marks: Marks) -> None:
    """Accept *marks* when they are those of the controller that was checked.

    Raises:
        ContractChangedError: names the first mark that differs.
    """
    if marks.serial != contract.serial:
        raise ContractChangedError(
            f"the controller (serial {contract.serial:08x}, now {marks.serial:08x})"
        )
    if marks.table_version != contract.table_version:
        raise ContractChangedError("the tag table (class 0xAC)")
    for name, handle in contract.handles.items():
        if marks.handles.get(name) != handle:
            raise ContractChangedError(f"the type {name}")


def _services(profile: Profile) -> list[bytes]:
    """Return what is asked for: the identity, class 0xAC, and a read of each structure."""
    return [_IDENTITY_REQUEST, _TABLE_REQUEST, *map(_read, _structures(profile))]


def _structures(profile: Profile) -> list[Tag]:
    return [tag for tag in profile.tags if isinstance(tag.type, Udt)]


def _read(tag: Tag) -> bytes:
    return read_tag(f"{tag.name}[0]" if tag.dimension else tag.name)
