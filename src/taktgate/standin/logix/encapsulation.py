"""EtherNet/IP encapsulation: bytes to frames and back, without I/O (CIP Volume 2, chapter 2)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.standin.logix.errors import EncapsulationError

HEADER_BYTES: Final = 24
MAX_DATA_BYTES: Final = 8 * 1024
"""Twice the largest connection we grant: nothing honest is longer."""

_HEADER: Final = struct.Struct("<HHII8sI")
_ITEMS: Final = struct.Struct("<IHH")
_ITEM: Final = struct.Struct("<HH")


class Command(IntEnum):
    """Encapsulation commands."""

    NOP = 0x00
    LIST_SERVICES = 0x04
    LIST_IDENTITY = 0x63
    REGISTER_SESSION = 0x65
    UNREGISTER_SESSION = 0x66
    SEND_RR_DATA = 0x6F
    SEND_UNIT_DATA = 0x70


class EncapsulationStatus(IntEnum):
    """Status of an encapsulation reply."""

    SUCCESS = 0x00
    INVALID_COMMAND = 0x01
    INSUFFICIENT_MEMORY = 0x02
    INVALID_SESSION = 0x64
    INVALID_LENGTH = 0x65
    UNSUPPORTED_PROTOCOL = 0x69


class ItemType(IntEnum):
    """Items of the common packet format."""

    NULL_ADDRESS = 0x0000
    IDENTITY = 0x000C
    CONNECTED_ADDRESS = 0x00A1
    CONNECTED_DATA = 0x00B1
    UNCONNECTED_DATA = 0x00B2
    SERVICE_INFORMATION = 0x0100


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One encapsulation message."""

    command: int
    session: int
    context: bytes
    data: bytes
    status: int = EncapsulationStatus.SUCCESS

    def reply(self, data: bytes = b"", status: int = EncapsulationStatus.SUCCESS) -> "Frame":
        """Return the answer to this message: same command, session and context."""
        return Frame(
            command=self.command,
            session=self.session,
            context=self.context,
            data=data,
            status=status,
        )

    def encode(self) -> bytes:
        """Return the bytes of the message."""
        header = _HEADER.pack(
            self.command, len(self.data), self.session, self.status, self.context, 0
        )
        return header + self.data


class FrameParser:
    """Cuts a TCP stream into frames, however it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Return the frames that *data* completes, to be taken one by one.

        At most one frame of the permitted size stays buffered.

        Raises:
            EncapsulationError: (while iterating) a header breaks a rule.
        """
        self._buffer += data
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        while len(self._buffer) >= HEADER_BYTES:
            command, length, session, status, context, options = _HEADER.unpack_from(self._buffer)
            if length > MAX_DATA_BYTES:
                raise EncapsulationError("length", f"{length} is over {MAX_DATA_BYTES} bytes")
            if status != 0 or options != 0:
                raise EncapsulationError("status and options", "must be 0 in a request")
            end = HEADER_BYTES + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield Frame(command=command, session=session, context=context, data=body)


def encode_items(items: list[tuple[int, bytes]]) -> bytes:
    """Return *items* as the data of a SendRRData or SendUnitData reply."""
    parts = [_ITEMS.pack(0, 0, len(items))]
    for kind, body in items:
        parts += (_ITEM.pack(kind, len(body)), body)
    return b"".join(parts)


def encode_list(kind: int, body: bytes) -> bytes:
    """Return the data of a List… reply with one item."""
    return struct.pack("<H", 1) + _ITEM.pack(kind, len(body)) + body


def address_and_data(data: bytes, *, address: ItemType, payload: ItemType) -> tuple[bytes, bytes]:
    """Return the bodies of the address item and the data item in *data*.

    Raises:
        EncapsulationError: the items are others than wanted, or run over the end.
    """
    try:
        _, _, count = _ITEMS.unpack_from(data)
        address_type, address_length = _ITEM.unpack_from(data, _ITEMS.size)
        start = _ITEMS.size + _ITEM.size
        payload_type, payload_length = _ITEM.unpack_from(data, start + address_length)
    except struct.error as error:
        raise EncapsulationError("items", "run over the end of the frame") from error
    if count < 2 or address_type != address or payload_type != payload:
        raise EncapsulationError("items", f"must be {address.name} and {payload.name}")
    body = start + address_length + _ITEM.size
    if body + payload_length > len(data):
        raise EncapsulationError("items", "run over the end of the frame")
    return data[start : start + address_length], data[body : body + payload_length]
