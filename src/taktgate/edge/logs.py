"""One log line per record, in the form that `iotedge logs` and GetModuleLogs understand.

Form: `<level> yyyy-MM-dd HH:mm:ss.fff +00:00 [INF] [process] - message {"fact": ...}`
(Azure/iotedge, LogMessageParser.cs).

In a container stdout is a pipe. Who reads it may stall, for example on a full disk: the pipe holds
64 KiB, and then each writer would wait inside its next log line, the judge in the middle of a part.
"""

import json
import logging
import os
import select
import stat
import sys
import time
from typing import Final

_LEVELS: Final = {
    logging.CRITICAL: (2, "CRT"),
    logging.ERROR: (3, "ERR"),
    logging.WARNING: (4, "WRN"),
    logging.INFO: (6, "INF"),
    logging.DEBUG: (7, "DBG"),
}
_OWN_FIELDS: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class EdgeFormatter(logging.Formatter):
    """Formats a record as one line; newlines inside it are escaped."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for *record*, its `extra` facts as JSON at the end."""
        number, word = _LEVELS.get(record.levelno, (6, "INF"))
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.created))
        text = record.getMessage()
        if record.exc_info:
            text = f"{text} {self.formatException(record.exc_info)}"
        facts = {key: value for key, value in vars(record).items() if key not in _OWN_FIELDS}
        if facts:
            text = f"{text} {json.dumps(facts, default=str)}"
        text = text.replace("\n", "\\n")
        return (
            f"<{number}> {stamp}.{int(record.msecs):03d} +00:00 [{word}] [{self._process}] - {text}"
        )


class PipeHandler(logging.Handler):
    """Writes records into a pipe and waits for nobody: what finds it full is lost, and counted."""

    def __init__(self, descriptor: int) -> None:
        """Write to *descriptor*, whose writes must not block."""
        super().__init__()
        self._descriptor = descriptor
        self._lost = 0
        """Since one went out."""
        self.lost = 0
        """Ever."""
        self._is_torn = False
        """The pipe was full in the middle of a line."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*, and before it how many were lost, if any were."""
        try:
            line = self.format(record)
        except (TypeError, ValueError):  # the arguments do not fit the message
            self.handleError(record)
            return
        if self._lost and self._write(self.format(_loss(self._lost))):
            self._lost = 0
        if not self._write(line):
            self._lost += 1
            self.lost += 1

    def _write(self, line: str) -> bool:
        """Return False when the line did not go out whole.

        Up to PIPE_BUF bytes are written at once or not at all (pipe(7)), so that lines of several
        processes do not mix.
        """
        data = f"{line}\n".encode("utf-8", "backslashreplace")
        if self._is_torn:
            data = b"\n" + data
        for start in range(0, len(data), select.PIPE_BUF):
            try:
                os.write(self._descriptor, data[start : start + select.PIPE_BUF])
            except OSError:
                self._is_torn = self._is_torn or start > 0
                return False
            self._is_torn = False
        return True


def _loss(lines: int) -> logging.LogRecord:
    facts = {"name": __name__, "levelno": logging.WARNING, "lines": lines}
    return logging.makeLogRecord(facts | {"msg": "log lines were lost: nobody took them"})


def lost_lines() -> int:
    """Return how many lines this process has lost."""
    handlers = logging.getLogger().handlers
    return sum(each.lost for each in handlers if isinstance(each, PipeHandler))


def set_up_logging(process: str, *, level: int = logging.INFO) -> None:
    """Send all records of this process to stdout, which the container runtime collects."""
    handler = _handler()
    handler.setFormatter(EdgeFormatter(process))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _handler() -> logging.Handler:
    """Return what writes to stdout; nothing but a pipe can keep a writer waiting for long."""
    try:
        descriptor = sys.stdout.fileno()
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return logging.StreamHandler(sys.stdout)
        # Opened anew: O_NONBLOCK belongs to the open file, which all processes here share.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        return PipeHandler(os.open(f"/proc/self/fd/{descriptor}", flags))
    except OSError:  # no descriptor at all, or the pipe belongs to another user
        return logging.StreamHandler(sys.stdout)
