"""What the smoke test's process takes from itself, before it turns to a model.

Limits never fail. The measures of `confine` depend on kernel and container; one that is not to be
had is named in the answer, never passed over. They are for a model that goes wrong, with a native
library that follows it; it was signed, so it is not an enemy who has studied them.
"""

import ctypes
import math
import os
import resource
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Final

from taktgate.edge.process import take_idle_priority
from taktgate.staging.smoke.landlock import allow_reading_only
from taktgate.staging.smoke.system_calls import refuse_system_calls

_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET: Final = 0x40000000
_MEGABYTE: Final = 1 << 20
_FIRST_TO_GO: Final = "1000"


class Measure(StrEnum):
    """What not every kernel or container permits."""

    IDLE_SCHEDULING = "idle_scheduling"
    """SCHED_IDLE: not even what is nice 19 waits for it."""
    OOM_FIRST = "oom_first"
    """When memory runs out, this process goes before any other."""
    NETWORK_NAMESPACE = "network_namespace"
    """A network of its own without a way out; needs CAP_SYS_ADMIN, which our image does not get."""
    SYSTEM_CALL_FILTER = "system_call_filter"
    """No socket, no other process, no signal to one, no look into one: seccomp(2)."""
    LANDLOCK = "landlock"
    """No file but those of the bundle and of Python: landlock(7), Linux 5.13."""


def limit(*, memory_mb: int, limit_s: float) -> None:
    """Limit memory, processor time, files, core dumps: for good, and for all that follows."""
    _lower(resource.RLIMIT_AS, memory_mb * _MEGABYTE)
    _lower(resource.RLIMIT_CPU, math.ceil(limit_s) + 1)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    take_idle_priority()


def confine(readable: Iterable[Path]) -> tuple[str, ...]:
    """Shut everything that running a model does not need; leave *readable* folders to be read.

    Returns:
        The measures that were not to be had.
    """
    _lower(resource.RLIMIT_NPROC, 0)  # of no effect for root, whom the filter stops as well
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    measures: dict[Measure, Callable[[], None]] = {
        Measure.IDLE_SCHEDULING: _schedule_when_idle,
        Measure.OOM_FIRST: _go_first_when_memory_runs_out,
        Measure.NETWORK_NAMESPACE: _leave_the_network,
        Measure.LANDLOCK: lambda: allow_reading_only(readable),
        Measure.SYSTEM_CALL_FILTER: refuse_system_calls,  # last: it would refuse the others
    }
    return tuple(name.value for name, take in measures.items() if not _is_taken(take))


def _is_taken(take: Callable[[], None]) -> bool:
    try:
        take()
    except OSError:
        return False
    return True


def _lower(what: int, to: int) -> None:
    """Set a limit that cannot be raised again; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        to = min(to, hard)
    resource.setrlimit(what, (to, to))


def _schedule_when_idle() -> None:
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _go_first_when_memory_runs_out() -> None:
    # Not Path.write_text, which would make a file, and of that the limit is 0 bytes.
    descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, _FIRST_TO_GO.encode())
    finally:
        os.close(descriptor)


def _leave_the_network() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
