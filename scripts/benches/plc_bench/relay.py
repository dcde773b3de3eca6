"""A relay that counts what passes: how many requests a write takes, and of how many bytes.

It stands between client and controller, so the count is neither's own word. Never used while
latencies are measured.
"""

import select
import socket
import threading
from dataclasses import dataclass
from typing import Final, Self

_HEADER_BYTES: Final = 24
_LENGTH: Final = slice(2, 4)
_READ_BYTES: Final = 65536
_TURN_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """What has passed so far."""

    requests: int
    request_bytes: int
    replies: int
    reply_bytes: int

    def since(self, before: "Passed") -> "Passed":
        """Return what has passed after *before*."""
        return Passed(
            requests=self.requests - before.requests,
            request_bytes=self.request_bytes - before.request_bytes,
            replies=self.replies - before.replies,
            reply_bytes=self.reply_bytes - before.reply_bytes,
        )


class FrameCounter:
    """Counts the encapsulation frames of one direction."""

    def __init__(self) -> None:
        self.frames = 0
        self.frame_bytes = 0
        self._pending = b""

    def feed(self, data: bytes) -> None:
        """Take in what has come, cut anywhere."""
        self._pending += data
        while len(self._pending) >= _HEADER_BYTES:
            size = _HEADER_BYTES + int.from_bytes(self._pending[_LENGTH], "little")
            if len(self._pending) < size:
                return
            self.frames += 1
            self.frame_bytes += size
            self._pending = self._pending[size:]


class Relay:
    """Passes connections on to *target*, in a thread, from entering to leaving the context."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._other: dict[socket.socket, socket.socket] = {}
        self._counters: dict[socket.socket, FrameCounter] = {}
        self._requests = FrameCounter()
        self._replies = FrameCounter()

    @property
    def address(self) -> tuple[str, int]:
        """Return where to connect."""
        host, port = self._listener.getsockname()
        return host, port

    def passed(self) -> Passed:
        """Return what has passed; exact when no exchange is under way."""
        return Passed(
            requests=self._requests.frames,
            request_bytes=self._requests.frame_bytes,
            replies=self._replies.frames,
            reply_bytes=self._replies.frame_bytes,
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for end in (self._listener, *self._other):
            end.close()

    def _run(self) -> None:
        while not self._is_over.is_set():
            ready, _, _ = select.select([self._listener, *self._other], [], [], _TURN_S)
            for end in ready:
                if end is self._listener:
                    self._accept()
                elif end in self._other:
                    self._pass_on(end)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        controller = socket.create_connection(self._target)
        self._other |= {client: controller, controller: client}
        # One counter a direction: the bench has one client at a time.
        self._counters |= {client: self._requests, controller: self._replies}

    def _pass_on(self, end: socket.socket) -> None:
        other = self._other[end]
        try:
            data = end.recv(_READ_BYTES)
            self._counters[end].feed(data)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for closed in (end, other):
                del self._other[closed], self._counters[closed]
                closed.close()
