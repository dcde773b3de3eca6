"""What the engine sends in parts, without I/O: frames of a log, lines of a pull.

Frames: docs.docker.com/reference/api/engine/version/v1.43, ContainerAttach, "Stream format": one
byte of stream, three of nothing, four of length (big-endian), then the text.
"""

import json
import re
import struct
from collections.abc import Iterator
from datetime import datetime

from taktgate.standin.azure.edgeagent.errors import StepFailedError
from taktgate.standin.azure.edgeagent.runtime import LogLine

_HEADER = struct.Struct(">BxxxL")
STREAM_NAMES = {0: "stdout", 1: "stdout", 2: "stderr"}
MAX_FRAME_BYTES = 16 * 1024 * 1024


class FrameReader:
    """Takes a multiplexed stream in any pieces and gives its frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """Return the frames that are complete now, as stream name and content.

        Raises:
            StepFailedError: This is not such a stream.
        """
        self._rest += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> tuple[str, bytes] | None:
        if len(self._rest) < _HEADER.size:
            return None
        number, length = _HEADER.unpack_from(self._rest)
        if number not in STREAM_NAMES or length > MAX_FRAME_BYTES:
            raise StepFailedError(f"log frame of stream {number} with {length} bytes; rule: 0..2")
        end = _HEADER.size + length
        if len(self._rest) < end:
            return None
        content, self._rest = self._rest[_HEADER.size : end], self._rest[end:]
        return STREAM_NAMES[number], content


def log_lines(stream: str, content: bytes) -> Iterator[LogLine]:
    """Give the lines of one frame, each of which begins with its time (`timestamps=1`)."""
    # Line feeds only: `splitlines` would also cut at marks that a module may well write.
    for piece in re.findall("[^\n]*\n|[^\n]+", content.decode("utf-8", errors="replace")):
        stamp, _, text = piece.partition(" ")
        yield LogLine(stamped_s=_seconds(stamp), stream=stream, text=text)


def _seconds(stamp: str) -> float:
    """Return seconds since 1970 of an RFC 3339 time with up to nine digits of a second."""
    whole, _, fraction = stamp.removesuffix("Z").partition(".")
    try:
        return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return 0.0


class PullProgress:
    """Takes the lines of a pull in any pieces; an error may come after hundreds of good ones."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            StepFailedError: The engine says that the pull failed; the message is its own.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            _check_progress(line)

    def finish(self) -> None:
        """Take the end. Raises StepFailedError as `feed`."""
        line, self._rest = self._rest, b""
        _check_progress(line)


def _check_progress(line: bytes) -> None:
    try:
        progress = json.loads(line) if line.strip() else {}
    except ValueError:
        return
    if isinstance(progress, dict) and ("error" in progress or "errorDetail" in progress):
        detail = progress.get("errorDetail")
        message = detail.get("message") if isinstance(detail, dict) else None
        raise StepFailedError(str(message or progress.get("error")))
