"""The lane: unix datagrams between the processes of one host.

A datagram is a header line `kind lane` and a payload (a contract's JSON). The receiver owns the
path; senders never block and never wait for it to exist. A full or dead inbox is a loss that the
sender counts, never a delay.
"""

import errno
import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from taktgate.contracts.outcome import Lane

MAX_DATAGRAM_BYTES: Final = 64 * 1024
MAX_REFUSED_PER_CALL: Final = 64
"""Rubbish that one `receive` clears away: a flood of it may not hold the receiver's loop."""
_INBOX_BUFFER_BYTES: Final = 1024 * 1024
_CREDENTIALS: Final = struct.Struct("3i")
_LOSSES: Final = {
    errno.ENOENT,
    errno.ECONNREFUSED,
    errno.EAGAIN,
    errno.ENOBUFS,
    errno.EACCES,
    errno.EPERM,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """One message as it came in."""

    kind: str
    lane: Lane
    payload: bytes


class LaneInbox:
    """The receiving end. Only the holder of the role behind *path* may create it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _INBOX_BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))
        path.chmod(0o660)
        self.refused = 0
        """Datagrams dropped because of their sender or their form."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def receive(self) -> Datagram | None:
        """Return the next acceptable datagram, or None when none is waiting.

        None also when only rubbish was found so far; the descriptor then stays readable.
        """
        for _ in range(MAX_REFUSED_PER_CALL):
            try:
                data, ancillary, flags, _ = self._socket.recvmsg(
                    MAX_DATAGRAM_BYTES, socket.CMSG_SPACE(_CREDENTIALS.size)
                )
            except BlockingIOError:
                return None
            datagram = None
            if not flags & socket.MSG_TRUNC and _is_of_our_group(ancillary):
                datagram = unpack(data)
            if datagram is not None:
                return datagram
            self.refused += 1
        return None

    def close(self) -> None:
        """Stop receiving and remove the path."""
        self._socket.close()
        self._path.unlink(missing_ok=True)


class Outlet(Protocol):
    """A lane to somebody who may be absent."""

    lost: int

    def send(self, kind: str, payload: bytes) -> bool:
        """Return False when it was lost."""
        ...


class LaneSender:
    """The sending end towards one inbox, which may come and go."""

    def __init__(self, path: Path, lane: Lane) -> None:
        self._path = str(path)
        self._lane = lane
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sent = 0
        self.lost = 0

    def send(self, kind: str, payload: bytes) -> bool:
        """Send without waiting; return False, and count it, when the inbox is full or gone.

        Raises:
            OSError: the datagram is too large or the system is out of resources: our bug.
        """
        try:
            self._socket.sendto(pack(kind, self._lane, payload), self._path)
        except OSError as error:
            if error.errno not in _LOSSES:
                raise
            self.lost += 1
            return False
        self.sent += 1
        return True

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()


def pack(kind: str, lane: Lane, payload: bytes) -> bytes:
    """Return the bytes of a datagram."""
    return f"{kind} {lane}\n".encode("ascii") + payload


def unpack(data: bytes) -> Datagram | None:
    """Return the datagram in *data*, or None when it is not one of ours."""
    header, separator, payload = data.partition(b"\n")
    if not separator or len(header) > 64 or not header.isascii():
        return None
    kind, _, lane = header.decode("ascii").partition(" ")
    if not kind or lane not in Lane.__members__.values():
        return None
    return Datagram(kind=kind, lane=Lane(lane), payload=payload)


def _is_of_our_group(ancillary: list[tuple[int, int, bytes]]) -> bool:
    """Tell whether the kernel vouches that the sender runs as our user or in our group."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            _, user, group = _CREDENTIALS.unpack(data[: _CREDENTIALS.size])
            return bool(user in (0, os.geteuid()) or group == os.getegid())
    return False
