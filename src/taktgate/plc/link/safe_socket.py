"""The socket under pycomm3: it believes nothing that it cannot check, and fails closed.

pycomm3 compares neither sequence count nor sender context, keeps its socket after a timeout, spins
on a reply that was cut off, and bounds each `recv` instead of the exchange. With this socket in its
place an exchange ends within one absolute deadline, either with the reply to *this* request or with
LinkDeadError, and after the first doubt every later call fails at once.
"""

import contextlib
import socket
import struct
import time
from typing import Final, NoReturn

from taktgate.plc.errors import LinkDeadError, LinkRefusedError

_HEADER_BYTES: Final = 24
_READ_BYTES: Final = 8192
_SEND_UNIT_DATA: Final = b"\x70\x00"
_REGISTER_SESSION: Final = b"\x65\x00"
_COMMAND: Final = slice(0, 2)
_LENGTH: Final = slice(2, 4)
_SESSION: Final = slice(4, 8)
_CONTEXT: Final = slice(12, 20)
_ITEM_LENGTH: Final = slice(42, 44)
_SEQUENCE: Final = slice(44, 46)
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
        self._connect_timeout_s = connect_timeout_s
        self._socket: socket.socket | None = None
        if connection is not None:
            self._adopt(connection)
        self._request = b""
        self._deadline_s = 0.0
        self._death = ""

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
        self._socket = connection

    def send(self, msg: bytes, timeout: float = 0) -> int:
        """Send one request and start the exchange's deadline. *timeout* is ignored.

        Raises:
            LinkDeadError: the request did not leave in time.
        """
        self._refuse_if_dead()
        self._request = trim_doubled_write(msg)
        self._deadline_s = time.monotonic() + self.exchange_timeout_s
        if self.expires_s is not None:
            self._deadline_s = min(self._deadline_s, self.expires_s)
        try:
            self._connection().sendall(self._request)
        except OSError as error:
            self._die(f"request not sent: {error}")
        return len(msg)

    def receive(self, timeout: float = 0) -> bytes:
        """Return the reply to the last request, whole and checked. *timeout* is ignored.

        Raises:
            LinkDeadError: it was late, cut off, or the answer to something else.
        """
        self._refuse_if_dead()
        reply = self._read(b"", _HEADER_BYTES)
        frame_bytes = _HEADER_BYTES + int.from_bytes(reply[_LENGTH], "little")
        reply = self._read(reply, frame_bytes)
        doubt = find_doubt(self._request, reply, frame_bytes)
        if doubt is not None:
            self._die(doubt)
        return reply

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

    def _read(self, received: bytes, wanted_bytes: int) -> bytes:
        while len(received) < wanted_bytes:
            try:
                chunk = self._connection().recv(_READ_BYTES)
            except OSError as error:
                self._die(f"no whole reply: {error}")
            if not chunk:
                self._die("reply cut off: the controller closed the connection")
            received += chunk
        return received

    def _connection(self) -> socket.socket:
        """Return the socket, armed with what is left of the deadline."""
        left_s = self._deadline_s - time.monotonic()
        if self._socket is None:
            self._die("not connected")
        if left_s <= 0:
            self._die("deadline of the exchange passed")
        self._socket.settimeout(left_s)
        return self._socket

    def _refuse_if_dead(self) -> None:
        if self._death:
            raise LinkDeadError(f"session is over: {self._death}")

    def _die(self, reason: str) -> NoReturn:
        self.abort(reason)
        raise LinkDeadError(reason)


def find_doubt(request: bytes, reply: bytes, frame_bytes: int) -> str | None:
    """Return why *reply* may not be believed as the answer to *request*, or None."""
    if len(reply) != frame_bytes:
        return "more bytes than one reply"
    if reply[_COMMAND] != request[_COMMAND]:
        return "reply to another command"
    if reply[_CONTEXT] != request[_CONTEXT]:
        return "reply with a foreign sender context"
    if request[_COMMAND] != _REGISTER_SESSION and reply[_SESSION] != request[_SESSION]:
        return "reply of another session"
    if request[_COMMAND] == _SEND_UNIT_DATA and reply[_SEQUENCE] != request[_SEQUENCE]:
        return "reply to another request (sequence count)"
    return None


def trim_doubled_write(frame: bytes) -> bytes:
    """Return *frame* without the second copy of its body.

    pycomm3 1.2.16 appends sequence count and body of a single-tag write twice; strict targets
    refuse that. Any other frame is returned as it is.
    """
    if frame[_COMMAND] != _SEND_UNIT_DATA or len(frame) <= _BODY_START + _SERVICE_OFFSET:
        return frame
    half = (len(frame) - _BODY_START) // 2
    first, second = frame[_BODY_START : _BODY_START + half], frame[_BODY_START + half :]
    if first != second or first[_SERVICE_OFFSET] != _WRITE_TAG:
        return frame
    trimmed = bytearray(frame[: _BODY_START + half])
    trimmed[_LENGTH] = (len(trimmed) - _HEADER_BYTES).to_bytes(2, "little")
    trimmed[_ITEM_LENGTH] = half.to_bytes(2, "little")
    return bytes(trimmed)
