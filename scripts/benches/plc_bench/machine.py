"""What the machine grants: real-time priority and a core for each end; and how to keep it busy."""

import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

WRITER_PRIORITY: Final = 60
"""Of the writer (`realtime.writer` in station.yaml), and of every client that stands for it."""
CONTROLLER_PRIORITY: Final = 40
"""Of the stand-in PLC and of the echo: they stand for a machine of their own."""
BUSY_PROCESSES: Final = 2
_BUSY: Final = "while True: sum(range(1000))"


def may_be_realtime() -> bool:
    """Tell whether this machine grants SCHED_FIFO."""
    probe = subprocess.Popen(["sleep", "60"])
    try:
        return take_realtime(probe.pid, CONTROLLER_PRIORITY)
    finally:
        probe.kill()
        probe.wait()


def take_realtime(process: int, priority: int) -> bool:
    """Give *process* and its threads a real-time priority; return False when it is refused."""
    try:
        for thread in map(int, os.listdir(f"/proc/{process}/task")):
            # Passed on to threads: the echo makes one for each connection.
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority))
    except PermissionError:
        return False
    return True


def cores() -> tuple[int, int]:
    """Return the core of the near end and that of the controller: the same if there is but one."""
    available = sorted(os.sched_getaffinity(0))
    return available[0], available[-1]


def pin(process: int, core: int) -> None:
    """Keep *process* and its threads on *core*."""
    for thread in map(int, os.listdir(f"/proc/{process}/task")):
        os.sched_setaffinity(thread, {core})


@contextlib.contextmanager
def busy_machine(processes: int = BUSY_PROCESSES) -> Iterator[None]:
    """Keep as many processes of normal priority busy."""
    started = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


def facts() -> dict[str, object]:
    """Return what a reader of the figures has to know of the machine."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_1_min": os.getloadavg()[0],
    }
