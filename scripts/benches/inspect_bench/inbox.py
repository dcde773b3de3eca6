"""An inbox of the lane that knows when each datagram was sent: the kernel stamps it on its way in.

So a verdict's time does not hold the bench's own waking up. The stamp is wall time, turned into
CLOCK_MONOTONIC by the difference of the two clocks at the moment of reading.
"""

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.edge.lane import MAX_DATAGRAM_BYTES, unpack

_SO_TIMESTAMPNS: Final = 35  # asm-generic/socket.h; not in Python's socket before 3.14
_TIMESPEC: Final = struct.Struct("qq")
_BUFFER_BYTES: Final = 4 * 1024 * 1024
_READINGS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One datagram, CLOCK_MONOTONIC."""

    kind: str
    payload: bytes
    sent_ns: int
    """When it was put into the inbox."""
    seen_ns: int
    """When the bench, awake, had it in its hands."""


class StampedInbox:
    """Hands each datagram to *take*; what is no datagram of the lane is handed over as kind ""."""

    def __init__(self, path: Path, take: Callable[[Letter], None]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._take = take
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind(str(path))

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def read(self) -> None:
        """Hand over what has arrived."""
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(
                    MAX_DATAGRAM_BYTES, socket.CMSG_SPACE(_TIMESPEC.size)
                )
            except BlockingIOError:
                return
            seen_ns = monotonic_ns()
            ahead_ns = _wall_ahead_ns()
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            sent_ns = seconds * SECOND + nanoseconds - ahead_ns
            datagram = unpack(data)
            kind, payload = ("", data) if datagram is None else (datagram.kind, datagram.payload)
            self._take(Letter(kind=kind, payload=payload, sent_ns=sent_ns, seen_ns=seen_ns))

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()


def _wall_ahead_ns() -> int:
    """Return by how much wall time is ahead of CLOCK_MONOTONIC, from the closest of some readings.

    Between two clocks the bench may lose its core for milliseconds.
    """
    readings = ((monotonic_ns(), time.time_ns(), monotonic_ns()) for _ in range(_READINGS))
    before_ns, wall_ns, _ = min(readings, key=lambda each: each[2] - each[0])
    return wall_ns - before_ns
