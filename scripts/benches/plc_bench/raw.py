"""The least that a client can send: one packet, built once, of which only the sequence count moves.

An EtherNet/IP client of the bench's own, so that the floor of the ratios does not come from the
code that is measured. It believes every reply: nothing is looked at but its length.
"""

import itertools
import re
import socket
import struct
from collections.abc import Iterable
from typing import Final

from taktgate.plc.contract.wire import TagWrite

_HEADER: Final = struct.Struct("<HHII8sI")
_HEADER_BYTES: Final = 24
_LENGTH: Final = slice(2, 4)
_SEQUENCE_AT: Final = 44
_REGISTER, _SEND_RR_DATA, _SEND_UNIT_DATA = 0x65, 0x6F, 0x70
_READ_TAG, _WRITE_TAG, _MULTIPLE, _LARGE_FORWARD_OPEN = 0x4C, 0x4D, 0x0A, 0x5B
_STRUCTURE: Final = 0x02A0
_CONNECTION_BYTES: Final = 4000
_TIMEOUT_S: Final = 5.0
_REPLY_DATA_AT: Final = 4
"""Of a CIP reply: service, reserved, status and size of the additional status come before."""


class RawClient:
    """A session with a class 3 connection, and one packet."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=_TIMEOUT_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._session = 0
        self._session = self._open_session()
        self._connection = self._open_connection()
        self._sequences = itertools.cycle(range(1, 65536))
        self._packet = bytearray()
        self.reply_bytes = 0
        """Of the last reply."""

    def prepare(self, writes: Iterable[TagWrite]) -> None:
        """Build the packet that carries *writes*, each with the type that the controller names."""
        services = [
            _service(_WRITE_TAG, each.path, self._type_of(each.path) + b"\x01\x00" + each.data)
            for each in writes
        ]
        body = bytes((_MULTIPLE, 2, 0x20, 2, 0x24, 1)) + _bundle(services)
        self._packet = bytearray(self._connected(body))

    def exchange(self) -> None:
        """Send the packet under the next sequence count and take its reply."""
        struct.pack_into("<H", self._packet, _SEQUENCE_AT, next(self._sequences))
        self._socket.sendall(self._packet)
        self.reply_bytes = len(self._receive())

    @property
    def request_bytes(self) -> int:
        """Return the size of the packet."""
        return len(self._packet)

    def close(self) -> None:
        """Drop the session."""
        self._socket.close()

    def _open_session(self) -> int:
        reply = self._ask(_REGISTER, struct.pack("<HH", 1, 0))
        return int.from_bytes(reply[4:8], "little")

    def _open_connection(self) -> int:
        triad = struct.pack("<HHI", 0x2A2A, 0x1009, 0x5441_4B54)
        parameters = struct.pack("<I", 0x4200_0000 | _CONNECTION_BYTES)
        interval = struct.pack("<I", 2_000_000)
        request = (
            bytes((_LARGE_FORWARD_OPEN, 2, 0x20, 6, 0x24, 1, 0x0A, 0x0E))
            + struct.pack("<II", 0, 0x4242_4242)
            + triad
            + bytes((7, 0, 0, 0))
            + 2 * (interval + parameters)
            + bytes((0xA3, 3, 1, 0, 0x20, 2, 0x24, 1))
        )
        items = struct.pack("<IHHHHHH", 0, 1, 2, 0, 0, 0xB2, len(request))
        reply = self._ask(_SEND_RR_DATA, items + request)[_HEADER_BYTES + len(items) :]
        if reply[2] != 0:
            raise ConnectionError(f"forward open refused: status 0x{reply[2]:02x}")
        return int.from_bytes(reply[_REPLY_DATA_AT : _REPLY_DATA_AT + 4], "little")

    def _type_of(self, path: str) -> bytes:
        request = self._connected(_service(_READ_TAG, path, b"\x01\x00"))
        struct.pack_into("<H", frame := bytearray(request), _SEQUENCE_AT, next(self._sequences))
        self._socket.sendall(frame)
        reply = self._receive()[_SEQUENCE_AT + 2 :]
        if reply[2] != 0:
            raise ConnectionError(f"{path} cannot be read: status 0x{reply[2]:02x}")
        data = reply[_REPLY_DATA_AT:]
        return data[: 4 if int.from_bytes(data[:2], "little") == _STRUCTURE else 2]

    def _connected(self, body: bytes) -> bytes:
        items = struct.pack("<IHHHHI", 0, 1, 2, 0xA1, 4, self._connection)
        items += struct.pack("<HHH", 0xB1, len(body) + 2, 0)
        return self._frame(_SEND_UNIT_DATA, items + body)

    def _ask(self, command: int, data: bytes) -> bytes:
        self._socket.sendall(self._frame(command, data))
        return self._receive()

    def _frame(self, command: int, data: bytes) -> bytes:
        return _HEADER.pack(command, len(data), self._session, 0, b"taktgate", 0) + data

    def _receive(self) -> bytes:
        received = b""
        wanted = _HEADER_BYTES
        while len(received) < wanted:
            chunk = self._socket.recv(8192)
            if not chunk:
                raise ConnectionError("the controller closed the connection")
            received += chunk
            if len(received) >= _HEADER_BYTES:
                wanted = _HEADER_BYTES + int.from_bytes(received[_LENGTH], "little")
        return received


def _service(service: int, path: str, data: bytes) -> bytes:
    segments = _path(path)
    return bytes((service, len(segments) // 2)) + segments + data


def _path(path: str) -> bytes:
    """Return the symbolic path of `Tag[element].Member`."""
    segments = b""
    for name, element in re.findall(r"(\w+)(?:\[(\d+)\])?", path):
        segments += bytes((0x91, len(name))) + name.encode("ascii") + b"\0" * (len(name) % 2)
        if element:
            segments += bytes((0x28, int(element)))
    return segments


def _bundle(services: list[bytes]) -> bytes:
    """Return the data of a Multiple Service Packet: count, offsets, services."""
    first = 2 + 2 * len(services)
    offsets = itertools.accumulate(map(len, services[:-1]), initial=first)
    return struct.pack(f"<{1 + len(services)}H", len(services), *offsets) + b"".join(services)
