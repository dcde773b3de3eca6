"""A module's output, line by line, each stamped when it was written: what Docker's log driver does.

Two files: `NAME.log` holds the text as the module wrote it, `NAME.lines` a record of fixed size for
each line, so that lines without a time of their own can be found by time.
"""

import logging
import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from taktgate.standin.azure.edgeagent.runtime import LogLine, LogWindow

MAX_LINE_BYTES = 16 * 1024
"""Longer lines are cut, as Docker does: moby daemon/logger/copier.go, 16 KiB."""
STREAMS = ("stdout", "stderr")
_RECORD = struct.Struct("<dQIB")
"""Stamp, offset in the text, length with line end, stream."""

log = logging.getLogger(__name__)


class ModuleLog:
    """Takes and gives the output of one module."""

    def __init__(self, path: Path, now_s: Callable[[], float]) -> None:
        """Open nothing yet.

        Args:
            path: The file of the text; the records lie beside it.
            now_s: Returns the time for a stamp, in seconds since 1970.
        """
        self.path = path
        self._lines_path = path.with_suffix(".lines")
        self._now_s = now_s
        self._partial = dict.fromkeys(STREAMS, b"")
        self._loses_output = False

    def append(self, stream: str, data: bytes) -> None:
        """Take what the module wrote; a line that is not complete is kept back until it is."""
        *lines, rest = (self._partial[stream] + data).split(b"\n")
        pieces = [line + b"\n" for line in lines]
        while len(rest) >= MAX_LINE_BYTES:
            pieces.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        self._partial[stream] = rest
        self._write(stream, pieces)

    def flush(self, stream: str) -> None:
        """Write out a last line without an end."""
        rest, self._partial[stream] = self._partial[stream], b""
        if rest:
            self._write(stream, [rest])

    def read(self, window: LogWindow) -> list[LogLine]:
        """Return the lines of *window*, oldest first."""
        try:
            records = self._lines_path.read_bytes()
        except FileNotFoundError:
            return []
        whole = len(records) - len(records) % _RECORD.size
        found = [each for each in _RECORD.iter_unpack(records[:whole]) if window.holds(each[0])]
        with self.path.open("rb") as text:
            return [_line(text, *record) for record in found]

    def _write(self, stream: str, pieces: list[bytes]) -> None:
        """Write whole lines; on a full disk they are lost, and the module writes on."""
        if not pieces:
            return
        try:
            self._store(stream, pieces)
        except OSError as error:
            if not self._loses_output:
                facts = {"file": str(self.path), "reason": str(error)}
                log.error("a module's output is lost", extra=facts)
            self._loses_output = True
        else:
            self._loses_output = False

    def _store(self, stream: str, pieces: list[bytes]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stamp, number = self._now_s(), STREAMS.index(stream)
        with self.path.open("ab") as text, self._lines_path.open("ab") as records:
            offset = text.seek(0, 2)
            for piece in pieces:
                text.write(piece)
                records.write(_RECORD.pack(stamp, offset, len(piece), number))
                offset += len(piece)


def _line(text: BinaryIO, stamp: float, offset: int, length: int, stream: int) -> LogLine:
    text.seek(offset)
    content = text.read(length).decode("utf-8", errors="replace")
    return LogLine(stamped_s=stamp, stream=STREAMS[stream], text=content)
