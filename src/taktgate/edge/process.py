"""What every process does first: die with its parent, hold its role, take its priority."""

import contextlib
import ctypes
import errno
import fcntl
import logging
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

log = logging.getLogger(__name__)

PARENT_VARIABLE: Final = "TAKTGATE_PARENT_PID"
"""Set by whoever starts a child, so that the child can tell a parent that died before it looked."""

_PR_SET_PDEATHSIG: Final = 1
_MCL_CURRENT_AND_FUTURE: Final = 3
_CAP_IPC_LOCK: Final = 14


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
    handle = _opened(lock)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise RoleTakenError(f"role {lock.stem!r} is held by another process ({lock})") from None
    return handle


def _opened(lock: Path) -> IO[bytes]:
    """Open *lock*, which need not be there yet.

    A role on a volume that has become read-only is held all the same: by the old file, so that its
    process can start, and say what is wrong with the volume.
    """
    try:
        return lock.open("ab")
    except OSError as error:
        if error.errno != errno.EROFS or not lock.exists():
            raise
        return lock.open("rb")


def end_on_sigterm(end: Callable[[], None]) -> None:
    """Call *end* on SIGTERM and SIGINT: Python as PID 1 would ignore SIGTERM otherwise."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end())


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeRights:
    """Which real-time rights this process was granted."""

    scheduling: bool = False
    """SCHED_FIFO: no process of normal priority may hold this one up."""
    memory: bool = False
    """All memory is locked, now and in future: no page has to be fetched first."""

    @property
    def are_complete(self) -> bool:
        """True when nothing was refused."""
        return self.scheduling and self.memory


def take_realtime_priority(priority: int) -> RealtimeRights:
    """Ask for SCHED_FIFO and for locked memory; the one is of use without the other.

    Neither passes on to a child: a model must not compete with the process that watches over it.

    Returns:
        What was granted. Less than all is a supported mode: each refusal is logged once here, and
        reported by the caller.
    """
    scheduling = _is_granted("rtprio", lambda: _schedule_first_in_first_out(priority))
    memory = _is_granted("memlock", _lock_memory)
    return RealtimeRights(scheduling=scheduling, memory=memory)


def _is_granted(ulimit: str, take: Callable[[], None]) -> bool:
    try:
        take()
    except OSError as error:
        log.warning(
            "a real-time right is missing: running on without it; grant the ulimit",
            extra={"ulimit": ulimit, "error": str(error)},
        )
        return False
    return True


def _schedule_first_in_first_out(priority: int) -> None:
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(priority))


def _lock_memory() -> None:
    """Lock what is mapped and what will be.

    Only without a limit: under one, the kernel would refuse an allocation later on, in the middle
    of a part, when locked memory has grown up to it (mlockall(2), ENOMEM).

    Raises:
        OSError: it is refused, or there is a limit.
    """
    limit_bytes, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if limit_bytes != resource.RLIM_INFINITY and not _may_ignore_memlock():
        raise OSError(errno.EPERM, f"memlock is limited to {limit_bytes} bytes")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT_AND_FUTURE) != 0:
        raise OSError(ctypes.get_errno(), "mlockall")


def _may_ignore_memlock() -> bool:
    """Tell whether this process has CAP_IPC_LOCK, to which the limit does not apply."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> _CAP_IPC_LOCK & 1)
    return False


def take_idle_priority() -> None:
    """Have the calling thread, and what it starts from now on, step behind everything else."""
    os.nice(19)


def take_idle_priority_as_a_whole() -> None:
    """Have every thread of this process step behind everything else on this machine."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it may just have ended
            os.setpriority(os.PRIO_PROCESS, int(thread), 19)
