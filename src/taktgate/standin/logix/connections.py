"""The connection manager (class 0x06) of one session: class 3 connections and routed requests."""

import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.standin.logix.errors import CipError, Extended, Status
from taktgate.standin.logix.messages import Reply, Request

CONNECTION_MANAGER_CLASS: Final = 0x06
UNCONNECTED_BYTES: Final = 504
"""What a reply outside a connection may take."""
_MAX_CONNECTION_BYTES: Final = 4002
_MAX_CONNECTIONS: Final = 32
_SIZE_MASK: Final = {0x54: 0x01FF, 0x5B: 0xFFFF}
_LAYOUT: Final = {
    0x54: struct.Struct("<xxIIHHIB3xIHIHB"),
    0x5B: struct.Struct("<xxIIHHIB3xIIIIB"),
}
_CLOSE: Final = struct.Struct("<xxHHI")
_connection_ids: Final[Iterator[int]] = itertools.count(0x2000_0001)


class ManagerService(IntEnum):
    """Services of the connection manager."""

    FORWARD_CLOSE = 0x4E
    UNCONNECTED_SEND = 0x52
    FORWARD_OPEN = 0x54
    LARGE_FORWARD_OPEN = 0x5B


@dataclass(slots=True, kw_only=True)
class Connection:
    """A class 3 connection. It remembers its last reply, for the client that asks again."""

    to_target_id: int
    to_client_id: int
    triad: tuple[int, int, int]
    """Connection serial, vendor and originator serial: what a client closes it by."""
    reply_bytes: int
    last_sequence: int | None = None
    last_reply: bytes = b""


class ConnectionManager:
    """The connections of one session; they end with it."""

    def __init__(self) -> None:
        self._open: dict[int, Connection] = {}

    def connection(self, to_target_id: int) -> Connection | None:
        """Return the open connection with this id, or None."""
        return self._open.get(to_target_id)

    def execute(self, request: Request) -> Reply:
        """Open or close a connection.

        Raises:
            CipError: the request is refused.
            struct.error: the request is too short.
        """
        if request.service in _LAYOUT:
            return self._forward_open(request)
        if request.service == ManagerService.FORWARD_CLOSE:
            return self._forward_close(request)
        raise CipError(Status.SERVICE_NOT_SUPPORTED)

    def _forward_open(self, request: Request) -> Reply:
        fields = _LAYOUT[request.service].unpack_from(request.data)
        _, to_client_id, serial, vendor, originator, _, *intervals_and_sizes, _ = fields
        to_target_rpi, _, to_client_rpi, to_client_parameters = intervals_and_sizes
        size = to_client_parameters & _SIZE_MASK[request.service]
        if not 0 < size <= _MAX_CONNECTION_BYTES:
            raise CipError(Status.CONNECTION_FAILURE, Extended.INVALID_CONNECTION_SIZE)
        if len(self._open) >= _MAX_CONNECTIONS:
            raise CipError(Status.CONNECTION_FAILURE)
        triad = (serial, vendor, originator)
        connection = Connection(
            to_target_id=next(_connection_ids) & 0xFFFF_FFFF,
            to_client_id=to_client_id,
            triad=triad,
            reply_bytes=size - 2,
        )
        self._open[connection.to_target_id] = connection
        ids = struct.pack("<II", connection.to_target_id, to_client_id)
        intervals = struct.pack("<IIBx", to_target_rpi, to_client_rpi, 0)
        return Reply(data=ids + struct.pack("<HHI", *triad) + intervals)

    def _forward_close(self, request: Request) -> Reply:
        triad = _CLOSE.unpack_from(request.data)
        for number, connection in self._open.items():
            if connection.triad == triad:
                del self._open[number]
                return Reply(data=struct.pack("<HHIBx", *triad, 0))
        raise CipError(Status.CONNECTION_FAILURE, Extended.CONNECTION_NOT_FOUND)


def unwrap(data: bytes) -> bytes:
    """Return the request inside an Unconnected_Send; its route is ignored: we are the chassis.

    Raises:
        CipError: the request runs over the end.
        struct.error: there is not even a length.
    """
    (size,) = struct.unpack_from("<H", data, 2)
    message = data[4 : 4 + size]
    if len(message) < size:
        raise CipError(Status.NOT_ENOUGH_DATA)
    return message
