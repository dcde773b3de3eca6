"""The connection manager (class 0x06): class 3 connections and routed requests."""

import itertools
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.standin.logix.errors import CipError, Extended, Status
from taktgate.standin.logix.messages import Reply, Request

CONNECTION_MANAGER_CLASS: Final = 0x06
UNCONNECTED_BYTES: Final = 504
"""What a reply outside a connection may take."""
_MAX_CONNECTION_BYTES: Final = 4002
_MIN_CONNECTION_BYTES: Final = 32
"""Room for a sequence count and for every reply that cannot come in parts."""
_HIGHEST_MULTIPLIER: Final = 7
"""Times 512; CIP Volume 1, 3-5.4.1.4."""
_SIZE_MASK: Final = {0x54: 0x01FF, 0x5B: 0xFFFF}
_LAYOUT: Final = {
    0x54: struct.Struct("<xxIIHHIB3xIHIHB"),
    0x5B: struct.Struct("<xxIIHHIB3xIIIIB"),
}
_CLOSE: Final = struct.Struct("<xxHHI")
_BACKPLANE: Final = 1
_OWN_SLOT: Final = 0
_connection_ids: Final[Iterator[int]] = itertools.count(0x2000_0001)

Triad = tuple[int, int, int]
"""Connection serial, vendor and originator serial: what a client closes a connection by."""


class ManagerService(IntEnum):
    """Services of the connection manager."""

    FORWARD_CLOSE = 0x4E
    UNCONNECTED_SEND = 0x52
    FORWARD_OPEN = 0x54
    LARGE_FORWARD_OPEN = 0x5B


@dataclass(slots=True, kw_only=True)
class Connection:
    """A class 3 connection. It remembers its last reply, for the client that asks again."""

    owner: object
    """The session that it was opened in; it ends with it."""
    to_target_id: int
    to_client_id: int
    triad: Triad
    reply_bytes: int
    timeout_s: float
    """Unused for so long it is closed: RPI times the multiplier."""
    used_s: float
    last_sequence: int | None = None
    last_reply: bytes = b""


class ConnectionTable:
    """The class 3 connections of all sessions.

    Args:
        limit: how many there may be.
        grants_large: answer Large Forward Open (0x5B); old modules do not know it.
        clock: seconds, never going back.
    """

    def __init__(
        self,
        *,
        limit: int = 256,
        grants_large: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._services = _LAYOUT if grants_large else {0x54: _LAYOUT[0x54]}
        self._clock = clock
        self._open: dict[int, Connection] = {}
        self.is_full = False
        """Fault: refuse every new connection as if all were in use."""

    def __len__(self) -> int:
        return len(self._open)

    def use(self, owner: object, to_target_id: int) -> Connection | None:
        """Return the open connection with this id of *owner*, or None; its timeout starts anew."""
        connection = self._open.get(to_target_id)
        if connection is None or connection.owner is not owner:
            return None
        now = self._clock()
        if now - connection.used_s > connection.timeout_s:
            del self._open[to_target_id]
            return None
        connection.used_s = now
        return connection

    def execute(self, owner: object, request: Request) -> Reply:
        """Open or close a connection of *owner*.

        Raises:
            CipError: the request is refused.
            struct.error: the request is too short.
        """
        if request.service in self._services:
            return self._forward_open(owner, request)
        if request.service == ManagerService.FORWARD_CLOSE:
            return self._forward_close(request)
        raise CipError(Status.SERVICE_NOT_SUPPORTED)

    def drop(self, owner: object) -> None:
        """Forget the connections of a session that has ended."""
        for number in [key for key, each in self._open.items() if each.owner is owner]:
            del self._open[number]

    def drop_all(self) -> None:
        """Forget all connections; their clients are not told."""
        self._open.clear()

    def _forward_open(self, owner: object, request: Request) -> Reply:
        fields = _LAYOUT[request.service].unpack_from(request.data)
        _, to_client_id, serial, vendor, originator, multiplier, *rest, _ = fields
        to_target_rpi, _, to_client_rpi, to_client_parameters = rest
        triad = (serial, vendor, originator)
        size = to_client_parameters & _SIZE_MASK[request.service]
        _check_route(request.data[_LAYOUT[request.service].size + 1 :])
        self._forget_unused()
        self._check(triad, size, to_target_rpi)
        connection = Connection(
            owner=owner,
            to_target_id=next(_connection_ids) & 0xFFFF_FFFF,
            to_client_id=to_client_id,
            triad=triad,
            reply_bytes=size - 2,
            timeout_s=to_target_rpi / 1e6 * (4 << min(multiplier, _HIGHEST_MULTIPLIER)),
            used_s=self._clock(),
        )
        self._open[connection.to_target_id] = connection
        ids = struct.pack("<II", connection.to_target_id, to_client_id)
        intervals = struct.pack("<IIBx", to_target_rpi, to_client_rpi, 0)
        return Reply(data=ids + struct.pack("<HHI", *triad) + intervals)

    def _check(self, triad: Triad, size: int, rpi_us: int) -> None:
        if not _MIN_CONNECTION_BYTES <= size <= _MAX_CONNECTION_BYTES:
            refusal = Extended.INVALID_CONNECTION_SIZE
        elif not rpi_us:
            refusal = Extended.RPI_NOT_SUPPORTED
        elif any(connection.triad == triad for connection in self._open.values()):
            refusal = Extended.CONNECTION_IN_USE
        elif self.is_full or len(self._open) >= self._limit:
            refusal = Extended.OUT_OF_CONNECTIONS
        else:
            return
        raise CipError(Status.CONNECTION_FAILURE, refusal)

    def _forget_unused(self) -> None:
        now = self._clock()
        self._open = {
            number: connection
            for number, connection in self._open.items()
            if now - connection.used_s <= connection.timeout_s
        }

    def _forward_close(self, request: Request) -> Reply:
        triad = _CLOSE.unpack_from(request.data)
        for number, connection in self._open.items():
            if connection.triad == triad:
                del self._open[number]
                return Reply(data=struct.pack("<HHIBx", *triad, 0))
        raise CipError(Status.CONNECTION_FAILURE, Extended.CONNECTION_NOT_FOUND)


def unwrap(data: bytes) -> bytes:
    """Return the request inside an Unconnected_Send: we are the chassis and its one controller.

    Raises:
        CipError: the request runs over the end, or is for another slot.
        struct.error: there is not even a length.
    """
    (size,) = struct.unpack_from("<H", data, 2)
    message = data[4 : 4 + size]
    if len(message) < size:
        raise CipError(Status.NOT_ENOUGH_DATA)
    # Padded to an even length, then words of the route and a reserved byte (CIP Vol 1, 3-5.5.4).
    _check_route(data[4 + size + size % 2 + 2 :])
    return message


def _check_route(path: bytes) -> None:
    """Refuse a *path* that begins with another slot of the backplane than the controller's.

    Raises:
        CipError: there is no module (CIP Vol 1, 3-5.5.1, extended status 0x0312).
    """
    if len(path) >= 2 and path[0] == _BACKPLANE and path[1] != _OWN_SLOT:
        raise CipError(Status.CONNECTION_FAILURE, Extended.NO_SUCH_LINK)
