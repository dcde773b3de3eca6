"""Looks, without ever waiting, whether a controller answers; its connection becomes the session's.

A TCP connection alone proves little: the system accepts it for a process that hangs. So each probe
asks for the identity (ListIdentity needs no session, CIP Vol 2, 2-4.2) and only a connection with
a whole answer is handed over. A probe that is refused or not answered leaves nothing behind at the
controller, neither a session nor a CIP connection, so it may come again 100 ms later, for ever.
"""

import contextlib
import errno
import os
import select
import socket
import struct
from typing import Final

from taktgate.edge.clock import MILLISECOND

EVERY_NS: Final = 100 * MILLISECOND
"""From the start of one probe to the start of the next."""
LIMIT_NS: Final = 250 * MILLISECOND
"""For connecting and the answer together."""

_LIST_IDENTITY: Final = 0x63
_CONTEXT: Final = b"taktgate"
_HEADER: Final = struct.Struct("<HHII8sI")
_QUESTION: Final = _HEADER.pack(_LIST_IDENTITY, 0, 0, 0, _CONTEXT, 0)
_MAX_ANSWER_BYTES: Final = 1024
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Probe:
    """One connection attempt at a time, taken up again at each look."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._has_asked = False
        self._answer = b""
        self._due_ns = 0
        self._limit_ns = 0
        self.error = ""
        """Why the last probe failed; empty while one is under way."""

    def look(self, host: str, now_ns: int) -> socket.socket | None:
        """Return a connection to the controller at the numeric *host* once it has answered."""
        if self._socket is None and now_ns < self._due_ns:
            return None
        try:
            return self._advance(self._socket or self._begin(host, now_ns), now_ns)
        except OSError as error:
            self.error = str(error.strerror or error)
            self.stop()
            return None

    def stop(self) -> None:
        """Drop what is under way, with a reset: nothing of it may wait at the controller."""
        connection, self._socket = self._socket, None
        if connection is None:
            return
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        connection.close()

    def _begin(self, host: str, now_ns: int) -> socket.socket:
        self._due_ns, self._limit_ns = now_ns + EVERY_NS, now_ns + LIMIT_NS
        self._has_asked, self._answer, self.error = False, b"", ""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        code = self._socket.connect_ex((host, self._port))
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
        return self._socket

    def _advance(self, connection: socket.socket, now_ns: int) -> socket.socket | None:
        """Go as far as it goes without waiting.

        Raises:
            OSError: nobody is there, or what is there is no controller.
        """
        if not self._has_asked and _is_writable(connection):
            code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            connection.send(_QUESTION)
            self._has_asked = True
        if self._has_asked and self._has_answered(connection):
            self._socket = None
            return connection
        if now_ns >= self._limit_ns:
            raise OSError("connected, but no answer" if self._has_asked else "no connection")
        return None

    def _has_answered(self, connection: socket.socket) -> bool:
        """Take in what has come; return True when it is one whole answer and nothing else.

        Raises:
            OSError: it is something else, or the connection has ended.
        """
        try:
            received = connection.recv(_MAX_ANSWER_BYTES)
        except BlockingIOError:
            return False
        if not received:
            raise OSError("connection closed without an answer")
        self._answer += received
        return is_answer(self._answer)


def is_answer(received: bytes) -> bool:
    """Return True for one whole reply to the question, False while bytes of it are missing.

    Raises:
        OSError: *received* is not, and will not become, that reply.
    """
    if len(received) < _HEADER.size:
        return False
    command, length, _, status, context, _ = _HEADER.unpack_from(received)
    if (command, status, context) != (_LIST_IDENTITY, 0, _CONTEXT):
        raise OSError("what answers there does not speak EtherNet/IP")
    whole = _HEADER.size + int(length)
    if len(received) > whole or whole > _MAX_ANSWER_BYTES:
        raise OSError("the answer is longer than an identity")
    return len(received) == whole


def _is_writable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    return bool(poll.poll(0))
