"""One log line per record, in the form that `iotedge logs` and GetModuleLogs understand.

Form: `<level> yyyy-MM-dd HH:mm:ss.fff +00:00 [INF] [process] - message {"fact": ...}`
(Azure/iotedge, LogMessageParser.cs).
"""

import json
import logging
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


def set_up_logging(process: str, *, level: int = logging.INFO) -> None:
    """Send all records of this process to stdout, which the container runtime collects."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(EdgeFormatter(process))
    logging.basicConfig(level=level, handlers=[handler], force=True)
