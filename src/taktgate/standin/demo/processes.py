"""The processes of the station under test, seen from outside: found, broken, missed."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

import psutil

from taktgate.standin.azure.edgeagent.module import ModuleEvent, ModuleEventKind
from taktgate.standin.demo.module_log import ModuleLog
from taktgate.standin.demo.options import PROCESSES
from taktgate.standin.demo.tally import Fault


def station_processes(device: str) -> dict[int, str]:
    """Return the running processes of *device*'s modules: pid to name, as in PROCESSES."""
    found = {}
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            name = _name_of(process)
            if name is not None and process.environ().get("IOTEDGE_DEVICEID") == device:
                found[process.pid] = name
    return found


def processes_named(device: str, name: str) -> Iterator[psutil.Process]:
    """Yield the running processes called *name* on *device*."""
    for pid, known in station_processes(device).items():
        if known == name:
            with suppress(psutil.Error):
                yield psutil.Process(pid)


def kill_station(device: str) -> None:
    """Kill every process that was started for a module of *device* and is still there."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.environ().get("IOTEDGE_DEVICEID") == device:
                process.kill()


class EndWatch:
    """Notices processes of a station that ended while they should have run, and how they ended."""

    def __init__(self) -> None:
        self._logs: Mapping[str, ModuleLog] = {}
        self._faults: list[Fault] = []
        self._failed: dict[str, int] = {}

    def follow(self, logs: Mapping[str, ModuleLog]) -> None:
        """Look into *logs*, by module, from now on."""
        self._logs = logs

    def failed_modules(self) -> Iterator[str]:
        """Yield, for each module whose first process ended by itself, why it says it did."""
        for module, exit_code in self._failed.items():
            yield f"{module} ended with exit code {exit_code}: {self._logs[module].complaint()}"

    def module_event(self, event: ModuleEvent) -> None:
        """Take note of what edgeAgent says of a module's first process."""
        if event.kind is ModuleEventKind.STARTED:
            self._failed.pop(event.module, None)
        if event.kind is not ModuleEventKind.EXITED or event.exit_code is None:
            return
        self._faults.append(_ended(event.module, event.exit_code))
        if event.exit_code != -signal.SIGKILL:
            self._failed[event.module] = event.exit_code

    def look(self) -> list[Fault]:
        """Return what has ended since the last look."""
        found, self._faults = self._faults, []
        for module, log in self._logs.items():
            found += [_ended(f"{module}/{end.role}", end.exit_code) for end in log.new_ends()]
        return found


def _ended(name: str, exit_code: int) -> Fault:
    """Return the fault that the end of *name* is. Nobody of ours uses SIGKILL without a reason."""
    is_killed = exit_code == -signal.SIGKILL
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    return Fault(
        name=f"{name} killed" if is_killed else f"{name} ended by itself ({how})",
        at_ns=time.monotonic_ns(),
        injected=is_killed,
    )


def _name_of(process: psutil.Process) -> str | None:
    if process.status() == psutil.STATUS_ZOMBIE:
        return None
    command = process.cmdline()
    for name, mark in PROCESSES.items():
        if any(word.endswith(mark) for word in command):
            return name
    return None
