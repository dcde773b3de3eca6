"""The socket under both backends: it believes nothing that it cannot check, and fails closed.

pycomm3 compares neither sequence count nor sender context, keeps its socket after a timeout, spins
on a reply that was cut off, and bounds each `recv` instead of the exchange. With this socket in its
place an exchange ends within one absolute deadline, either with the reply to *this* request or with
LinkDeadError, and after the first doubt every later call fails at once.
"""

import contextlib
import math
import select
import socket
import struct
import time
from typing import Final, NoReturn

from taktgate.plc.errors import LinkDeadError, LinkRefusedError
from taktgate.plc.link.packets import HEADER_BYTES, MOST_BYTES, chosen_reply_id, find_doubt

_READ_BYTES: Final = 8192
_SEND_UNIT_DATA: Final = b"\x70\x00"
_COMMAND: Final = slice(0, 2)
_LENGTH: Final = slice(2, 4)
_ITEM_LENGTH: Final = slice(42, 44)
_BODY_START: Final = 44
_SERVICE_OFFSET: Final = 2
"""The CIP service code, counted from the sequence count before it."""
_WRITE_TAG: Final = 0x4D
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_UNACKNOWLEDGED_MS: Final = 1000


class SafeSocket:
    """One TCP connection, strictly request and reply. Same methods as `pycomm3.socket_.Socket`."""

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        exchange_timeout_s: float,
        connection: socket.socket | None = None,
    ) -> None:
        """Take over *connection* when one is there already; `connect` then has nothing to do."""
        self.exchange_timeout_s = exchange_timeout_s
        """From the start of a send to the last byte of its reply."""
        self.expires_s: float | None = None
        """Monotonic time after which no exchange may go on, whatever its own deadline."""
        self.reply = b""
        """The last reply, checked; for a backend that hides what it made of it."""
        self._connect_timeout_s = connect_timeout_s
        self._socket: socket.socket | None = None
        self._request: bytes | bytearray = b""
        self._reply_id: int | None = None
        self._deadline_s = 0.0
        self._is_waiting = False
        self._death = ""
        if connection is not None:
            self._adopt(connection)

    def connect(self, host: str, port: int) -> None:
        """Connect to *host*.

        Raises:
            LinkRefusedError: nobody answered in time, or the name is unknown.
        """
        self._refuse_if_dead()
        if self._socket is not None:
            return
        try:
            self._adopt(socket.create_connection((host, port), timeout=self._connect_timeout_s))
        except OSError as error:
            raise LinkRefusedError(f"{host}:{port}: {error}") from error

    def _adopt(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Waiting is done by poll alone: a socket's own timeout bounds one call, not the exchange.
        connection.setblocking(False)
        self._socket = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def send(self, msg: bytes | bytearray, timeout: float = 0) -> int:
        """Send one request and start the exchange's deadline. *timeout* is ignored.

        Raises:
            LinkDeadError: the request did not leave in time.
        """
        self._begin(trim_doubled_write(msg))
        return len(msg)

    def receive(self, timeout: float = 0) -> bytes:
        """Return the reply to the last request, whole and checked. *timeout* is ignored.

        Raises:
            LinkDeadError: it was late, cut off, or the answer to something else.
        """
        return self._finish(self._connection(), b"")

    def exchange(self, request: bytes | bytearray, expected: bytes | bytearray = b"") -> bytes:
        """Send *request* and return the reply to it, whole and checked.

        A reply that is *expected*, byte for byte, leaves nothing to be checked: it has the session,
        the connection, the sequence count and the length that it must have.

        Raises:
            LinkDeadError: the reply was late, cut off, or the answer to something else.
        """
        return self._finish(self._begin(request), expected)

    def close(self) -> None:
        """Close in good order."""
        self._death = self._death or "closed"
        if self._socket is not None:
            self._socket.close()

    def abort(self, reason: str) -> None:
        """Close with a reset: nothing of this session may still arrive anywhere."""
        self._death = self._death or reason
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._socket.close()

    def _begin(self, request: bytes | bytearray) -> socket.socket:
        connection = self._connection()
        if self._is_waiting:
            self._die("request before the reply to the last one")
        self._is_waiting = True
        self._request = request
        self._deadline_s = time.monotonic() + self.exchange_timeout_s
        if self.expires_s is not None:
            self._deadline_s = min(self._deadline_s, self.expires_s)
        if request[_COMMAND] != _SEND_UNIT_DATA:
            # Only a connection's sequence count tells a reply from one that was sent twice.
            if self._poll.poll(0):
                self._die("more than one reply, or the controller closed the connection")
            self._reply_id = chosen_reply_id(request) or self._reply_id
        self._send_all(connection, request)
        return connection

    def _finish(self, connection: socket.socket, expected: bytes | bytearray) -> bytes:
        if not self._is_waiting:
            self._die("no reply is due")
        reply = self._next_bytes(connection)
        if reply != expected:
            reply = self._whole(connection, reply)
            doubt = find_doubt(self._request, reply, self._reply_id)
            if doubt is not None:
                self._die(doubt)
        self._is_waiting = False
        self.reply = reply
        return reply

    def _send_all(self, connection: socket.socket, request: bytes | bytearray) -> None:
        unsent = memoryview(request)
        while unsent:
            try:
                unsent = unsent[connection.send(unsent) :]
            except BlockingIOError:
                self._poll.modify(connection, select.POLLOUT)
                self._wait()
                self._poll.modify(connection, select.POLLIN)
            except OSError as error:
                self._die(f"request not sent: {error}")

    def _whole(self, connection: socket.socket, received: bytes) -> bytes:
        """Return the frame that begins with *received*, and whatever came with its end."""
        while len(received) < HEADER_BYTES:
            received += self._next_bytes(connection)
        frame_bytes = HEADER_BYTES + int.from_bytes(received[_LENGTH], "little")
        if frame_bytes > MOST_BYTES:
            self._die(f"reply announces {frame_bytes} bytes")
        while len(received) < frame_bytes:
            received += self._next_bytes(connection)
        return received

    def _next_bytes(self, connection: socket.socket) -> bytes:
        self._wait()
        try:
            received = connection.recv(_READ_BYTES)
        except OSError as error:
            self._die(f"no whole reply: {error}")
        if not received:
            self._die("reply cut off: the controller closed the connection")
        return received

    def _wait(self) -> None:
        """Wait until the connection is ready, but not past the deadline of the exchange."""
        left_s = self._deadline_s - time.monotonic()
        # Rounded up to whole milliseconds: no busy loop in the last one.
        if left_s <= 0 or not self._poll.poll(math.ceil(1000 * left_s)):
            self._die("deadline of the exchange passed")

    def _connection(self) -> socket.socket:
        connection = self._socket
        if self._death or connection is None:
            self._refuse_if_dead()
            self._die("not connected")
        return connection

    def _refuse_if_dead(self) -> None:
        if self._death:
            raise LinkDeadError(f"session is over: {self._death}")

    def _die(self, reason: str) -> NoReturn:
        self.abort(reason)
        raise LinkDeadError(reason)


def trim_doubled_write(frame: bytes | bytearray) -> bytes | bytearray:
    """Return *frame* without the second copy of its body.

    pycomm3 1.2.16 appends sequence count and body of a single-tag write twice; strict targets
    refuse that. Any other frame is returned as it is.
    """
    service_at = _BODY_START + _SERVICE_OFFSET
    if frame[_COMMAND] != _SEND_UNIT_DATA or len(frame) <= service_at:
        return frame
    if frame[service_at] != _WRITE_TAG:
        return frame
    half = (len(frame) - _BODY_START) // 2
    first, second = frame[_BODY_START : _BODY_START + half], frame[_BODY_START + half :]
    if first != second:
        return frame
    trimmed = bytearray(frame[: _BODY_START + half])
    trimmed[_LENGTH] = (len(trimmed) - HEADER_BYTES).to_bytes(2, "little")
    trimmed[_ITEM_LENGTH] = half.to_bytes(2, "little")
    return bytes(trimmed)
