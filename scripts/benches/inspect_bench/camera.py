"""The bench's camera: sends whole frames over TCP, encoded beforehand."""

import socket
import zlib

from benches.inspect_bench.frames import Pixels

from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.frames.frame_wire import FrameHeader, encode_header

_ACCEPT_S = 20.0
_SEND_S = 2.0


class Camera:
    """One connection at a time; each frame's checksum is computed once, before it is needed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_ACCEPT_S)
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._next_id = 1
        self._checksums: dict[int, int] = {}

    def accept(self) -> None:
        """Wait for the judge to connect.

        Raises:
            TimeoutError: it does not.
        """
        self.hang_up()
        self._client, _ = self._listener.accept()
        self._client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client.settimeout(_SEND_S)

    def prepare(self, frame: Pixels) -> None:
        """Compute what `send` needs of *frame*, which must stay as it is and live on."""
        self._checksums[id(frame)] = zlib.crc32(frame.data)

    def send(self, frame: Pixels) -> int:
        """Send *frame*; return its exposure time, CLOCK_MONOTONIC."""
        assert self._client is not None
        height, width = frame.shape[:2]
        exposure_ns = monotonic_ns()
        header = FrameHeader(
            frame_id=self._next_id,
            width=width,
            height=height,
            channels=1 if frame.ndim == 2 else 3,
            payload_bytes=frame.nbytes,
            exposure_ns=exposure_ns,
            crc32=self._checksums[id(frame)],
        )
        self._next_id += 1
        self._client.sendall(encode_header(header))
        self._client.sendall(frame.data.cast("B"))
        return exposure_ns

    def hang_up(self) -> None:
        """End the connection, if there is one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def close(self) -> None:
        """End everything."""
        self.hang_up()
        self._listener.close()
