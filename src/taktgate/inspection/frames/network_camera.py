"""A camera that sends frames over TCP: received straight into the ring, without ever waiting.

States: closed (until `wake_ns`), connecting, connected. The payload's checksum is computed chunk by
chunk while it arrives, so it costs nothing at the end.

A camera given by name is looked up once; asking blocks the judge for as long as the resolver
waits (usually 5 s a try). No part is lost by that, since there is no camera yet, but the beat
pauses: give the camera's number where names are not served locally.
"""

import errno
import logging
import socket
import zlib
from dataclasses import dataclass
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.clock import monotonic_ns as now
from taktgate.inspection.errors import CameraProtocolError
from taktgate.inspection.frames.camera import CameraDown, CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.frame_wire import (
    HEADER_BYTES,
    FrameHeader,
    FrameWireError,
    decode_header,
)
from taktgate.inspection.frames.ring import FrameRing

log = logging.getLogger(__name__)

FIRST_RETRY_NS: Final = 200 * MILLISECOND
LAST_RETRY_NS: Final = 2 * SECOND
CONNECT_LIMIT_NS: Final = 2 * SECOND
LOOKUP_RETRY_NS: Final = 30 * SECOND
"""Between two questions for an unknown name: the judge stands still while it asks."""
STALL_LIMIT_NS: Final = 1 * SECOND
"""A frame that has begun and does not go on for so long will not come."""
MAX_BYTES_A_TURN: Final = 512 * 1024
"""After so many bytes the judge gets to look at its deadlines."""
_RECEIVE_BUFFER_BYTES: Final = 4 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class _Arriving:
    """A frame whose payload is on its way. Without a slot it is read and thrown away."""

    header: FrameHeader
    slot: int | None
    memory: memoryview
    received: int = 0
    crc32: int = 0


class NetworkCamera:
    """The frame source of station.yaml's `camera.kind: network`."""

    def __init__(self, address: str, ring: FrameRing) -> None:
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._is_resolved = False
        self._ring = ring
        self._socket: socket.socket | None = None
        self._is_connected = False
        self._retry_ns = FIRST_RETRY_NS
        self._wake_ns = 0
        self._last_reason = ""
        self._head = bytearray(HEADER_BYTES)
        self._head_filled = 0
        self._arriving: _Arriving | None = None
        self._counters = {"frames": 0, "connects": 0, "bad_frames": 0, "no_slot": 0}

    @property
    def wake_ns(self) -> int | None:
        """Return when to try or give up; None while a connected camera has nothing half done."""
        half_done = self._arriving is not None or self._head_filled > 0
        return None if self._is_connected and not half_done else self._wake_ns

    @property
    def wants_write(self) -> bool:
        """Return True while connecting."""
        return self._socket is not None and not self._is_connected

    def trigger(self, trigger_id: int) -> None:
        """Do nothing: this camera is triggered by a wire."""

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 while closed."""
        return -1 if self._socket is None else self._socket.fileno()

    def counters(self) -> dict[str, int]:
        """Return how often what happened."""
        return dict(self._counters)

    def advance(self, now_ns: int) -> list[CameraEvent]:
        """Connect, receive or give up, as far as it goes without waiting."""
        if self._socket is None:
            return self._connect(now_ns) if now_ns >= self._wake_ns else []
        events: list[CameraEvent] = []
        try:
            if not self._is_connected:
                events += self._finish_connecting(self._socket, now_ns)
            if self._is_connected:
                self._receive(self._socket, now_ns, events)
        except (OSError, FrameWireError, CameraProtocolError) as error:
            events += self._fail(error, now_ns)
        return events

    def close(self) -> None:
        """Close the connection and give back the slot of a frame half received."""
        if self._arriving is not None and self._arriving.slot is not None:
            self._arriving.memory.release()
            self._ring.release(self._arriving.slot)
        self._arriving, self._head_filled = None, 0
        if self._socket is not None:
            self._socket.close()
        self._socket, self._is_connected = None, False

    def _connect(self, now_ns: int) -> list[CameraEvent]:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._wake_ns = now_ns + CONNECT_LIMIT_NS
        try:
            self._resolve()
            code = self._socket.connect_ex(self._address)
        except socket.gaierror as error:
            events = self._fail(error, now_ns)
            self._wake_ns = now() + LOOKUP_RETRY_NS  # from here on: asking has taken its time
            return events
        except OSError as error:
            return self._fail(error, now_ns)
        if code in (0, errno.EINPROGRESS):
            return []
        return self._fail(OSError(code, errno.errorcode.get(code, "connect")), now_ns)

    def _resolve(self) -> None:
        """Turn a name into a number, and keep that for good.

        Raises:
            OSError: the name is not known.
        """
        if not self._is_resolved:
            found = socket.getaddrinfo(*self._address, socket.AF_INET, socket.SOCK_STREAM)
            host, port = found[0][4][:2]
            self._address, self._is_resolved = (str(host), int(port)), True

    def _finish_connecting(self, connection: socket.socket, now_ns: int) -> list[CameraEvent]:
        code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, errno.errorcode.get(code, "connect"))
        try:
            connection.getpeername()
        except OSError:
            if now_ns >= self._wake_ns:
                raise TimeoutError(errno.ETIMEDOUT, "no answer to connect") from None
            return []
        self._is_connected = True
        self._retry_ns, self._last_reason = FIRST_RETRY_NS, ""
        self._counters["connects"] += 1
        log.info("camera connected", extra={"camera": self._address})
        return [CameraUp()]

    def _receive(self, connection: socket.socket, now_ns: int, events: list[CameraEvent]) -> None:
        """Add to *events* what arrives; frames taken before an error stay there with their slots.

        Raises:
            OSError: the connection is lost.
            FrameWireError, CameraProtocolError: the camera sends what is no frame of ours.
        """
        taken = 0
        while taken < MAX_BYTES_A_TURN:
            try:
                count = connection.recv_into(self._room())
            except BlockingIOError:
                break
            if count == 0:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the camera")
            taken += count
            frame = self._take(count)
            if frame is not None:
                events.append(frame)
        if taken:
            self._wake_ns = now_ns + STALL_LIMIT_NS
        elif self.wake_ns is not None and now_ns >= self._wake_ns:
            raise CameraProtocolError("a frame stopped half-way")

    def _room(self) -> memoryview:
        """Return where the next bytes belong."""
        arriving = self._arriving
        if arriving is None:
            return memoryview(self._head)[self._head_filled :]
        if arriving.slot is None:
            left = arriving.header.payload_bytes - arriving.received
            return arriving.memory[: min(left, len(arriving.memory))]
        return arriving.memory[arriving.received :]

    def _take(self, count: int) -> Frame | None:
        """Account for *count* bytes just received; return the frame that they complete."""
        arriving = self._arriving
        if arriving is None:
            self._head_filled += count
            if self._head_filled == HEADER_BYTES:
                self._arriving = self._begin(decode_header(bytes(self._head)))
                self._head_filled = 0
            return None
        start = arriving.received if arriving.slot is not None else 0
        arriving.crc32 = zlib.crc32(arriving.memory[start : start + count], arriving.crc32)
        arriving.received += count
        if arriving.received < arriving.header.payload_bytes:
            return None
        return self._finish(arriving)

    def _begin(self, header: FrameHeader) -> _Arriving:
        if header.payload_bytes > self._ring.slot_bytes:
            raise CameraProtocolError(
                f"a frame must be at most {self._ring.slot_bytes} bytes, got {header.payload_bytes}"
            )
        slot = self._ring.take()
        if slot is None:
            self._counters["no_slot"] += 1
            return _Arriving(header=header, slot=None, memory=memoryview(bytearray(65536)))
        memory = self._ring.memory(slot)[: header.payload_bytes]
        return _Arriving(header=header, slot=slot, memory=memory)

    def _finish(self, arriving: _Arriving) -> Frame | None:
        header = arriving.header
        received_ns = now()
        if arriving.crc32 != header.crc32:
            raise CameraProtocolError("crc32 does not match the pixels")
        if not 0 < header.exposure_ns <= received_ns:
            raise CameraProtocolError("exposure time is not on this host's monotonic clock")
        self._arriving = None
        if arriving.slot is None:
            return None
        arriving.memory.release()
        self._counters["frames"] += 1
        return Frame(
            frame_id=header.frame_id,
            exposure_ns=header.exposure_ns,
            received_ns=received_ns,
            width=header.width,
            height=header.height,
            channels=header.channels,
            slot=arriving.slot,
        )

    def _fail(self, error: Exception, now_ns: int) -> list[CameraEvent]:
        """Close, and try again later; an unchanged reason is logged once."""
        was_connected, reason = self._is_connected, str(error)
        if not isinstance(error, OSError):
            self._counters["bad_frames"] += 1
        self.close()
        self._wake_ns = now_ns + self._retry_ns
        self._retry_ns = min(2 * self._retry_ns, LAST_RETRY_NS)
        if reason != self._last_reason:
            self._last_reason = reason
            log.warning("no camera", extra={"camera": self._address, "error": reason})
        return [CameraDown(reason=reason)] if was_connected else []
