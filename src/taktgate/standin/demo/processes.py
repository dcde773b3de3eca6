"""The processes of the station under test, seen from outside: found, broken, missed."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress

import psutil

from taktgate.standin.demo.options import PROCESSES
from taktgate.standin.demo.tally import Fault

log = logging.getLogger(__name__)

_QUIET = frozenset({"inference/runner"})
"""Replaced on purpose when a model is swapped, and never the cause of a silent part."""


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


class ProcessWatch:
    """Notices processes that ended while they should have run, whoever ended them."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._seen: Mapping[int, str] = {}

    def look(self) -> list[Fault]:
        """Return what has ended since the last look."""
        running = station_processes(self._device)
        gone = [
            Fault(name=f"{name} ended", at_ns=time.monotonic_ns(), injected=False)
            for pid, name in self._seen.items()
            if pid not in running and name not in _QUIET
        ]
        self._seen = running
        return gone


def _name_of(process: psutil.Process) -> str | None:
    if process.status() == psutil.STATUS_ZOMBIE:
        return None
    command = process.cmdline()
    for name, mark in PROCESSES.items():
        if any(word.endswith(mark) for word in command):
            return name
    return None
