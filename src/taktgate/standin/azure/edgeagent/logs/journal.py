"""edgeAgent's own log, in IoT Edge's format: what `GetModuleLogs` answers for `edgeAgent`.

learn.microsoft.com/azure/iot-edge/how-to-retrieve-iot-edge-logs; the wording follows the lines in
Azure/iotedge#6971.
"""

from pathlib import Path

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgeagent.logs.module_log import ModuleLog
from taktgate.standin.azure.edgeagent.runtime import LogLine, LogWindow

ERROR, INFORMATION = 3, 6
_NAMES = {ERROR: "ERR", INFORMATION: "INF"}


class Journal:
    """Writes down what edgeAgent does."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._log = ModuleLog(path, lambda: clock.utc().timestamp())

    def inform(self, text: str) -> None:
        """Write down a step."""
        self._write(INFORMATION, text)

    def complain(self, text: str) -> None:
        """Write down a failure."""
        self._write(ERROR, text)

    def read(self, window: LogWindow) -> list[LogLine]:
        """Return the lines of *window*, oldest first."""
        return self._log.read(window)

    def _write(self, level: int, text: str) -> None:
        moment = self._clock.utc()
        stamp = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03} +00:00"
        one_line = " ".join(text.split())
        line = f"<{level}> {stamp} [{_NAMES[level]}] - {one_line}\n"
        self._log.append("stdout", line.encode("utf-8", errors="replace"))
