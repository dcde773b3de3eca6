"""What every process does first: die with its parent, hold its role, take its priority."""

import contextlib
import ctypes
import fcntl
import gc
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

log = logging.getLogger(__name__)

PARENT_VARIABLE: Final = "TAKTGATE_PARENT_PID"
"""Set by whoever starts a child, so that the child can tell a parent that died before it looked."""

_PR_SET_PDEATHSIG: Final = 1
_MCL_CURRENT_AND_FUTURE: Final = 3


class OrphanedError(RuntimeError):
    """The parent was gone before the parent-death signal was set."""


class RoleTakenError(RuntimeError):
    """Another live process holds this role."""


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies.

    Raises:
        OrphanedError: the parent has died already.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    expected = os.environ.get(PARENT_VARIABLE)
    if expected is not None and os.getppid() != int(expected):
        raise OrphanedError(f"parent {expected} is gone, now child of {os.getppid()}")


def hold_role(lock: Path) -> IO[bytes]:
    """Take the role that *lock* stands for, until this process ends or the result is closed.

    The kernel drops the lock with the process, so a killed holder leaves nothing to clean up.

    Raises:
        RoleTakenError: another process holds the role.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    handle = lock.open("ab")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise RoleTakenError(f"role {lock.stem!r} is held by another process ({lock})") from None
    return handle


def end_on_sigterm(end: Callable[[], None]) -> None:
    """Call *end* on SIGTERM and SIGINT: Python as PID 1 would ignore SIGTERM otherwise."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end())


def take_realtime_priority(priority: int) -> bool:
    """Ask for SCHED_FIFO and locked memory, and freeze the garbage collector's survivors.

    Neither passes on to a child: a model must not compete with the process that watches over it.

    Returns:
        True when all rights were granted. False is a supported mode: it is logged once here and
        reported by the caller.
    """
    gc.collect()
    gc.freeze()
    try:
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
            raise OSError(ctypes.get_errno(), "mlockall")
    except OSError as error:
        log.warning(
            "no real-time rights: running at normal priority; grant ulimits rtprio and memlock",
            extra={"error": str(error)},
        )
        return False
    return True


def take_idle_priority() -> None:
    """Have the calling thread, and what it starts from now on, step behind everything else."""
    os.nice(19)


def take_idle_priority_as_a_whole() -> None:
    """Have every thread of this process step behind everything else on this machine."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it may just have ended
            os.setpriority(os.PRIO_PROCESS, int(thread), 19)
