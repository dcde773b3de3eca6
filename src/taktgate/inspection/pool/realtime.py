"""Real-time priority for the runner of the live model: given when it becomes live, and taken back.

The judge gives it, from outside: the runner need not know, and one call says at once whether it is
permitted. sched(7): SCHED_RESET_ON_FORK may be set but not cleared without a right, so it stays.
"""

import contextlib
import logging
import os
from collections.abc import Iterable
from typing import Final

from taktgate.inspection.pool.link import RunnerLink
from taktgate.inspection.pool.pooled_model import PooledModel, RunnerProcess

log = logging.getLogger(__name__)

_FIRST_IN_FIRST_OUT: Final = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
_ORDINARY: Final = os.SCHED_OTHER | os.SCHED_RESET_ON_FORK


class RealtimePriority:
    """Sees to it that the runner on duty for the live model, and no other, has the priority."""

    def __init__(self, priority: int) -> None:
        self._priority = priority
        self._has_complained = False

    def tend(self, models: Iterable[PooledModel], live: str | None) -> None:
        """Give and take."""
        if not self._priority:
            return
        for model in models:
            is_live = model.load.digest == live
            if model.duty is None or model.duty.ready is None or model.duty.link.pid is None:
                continue
            if is_live and model.duty.has_realtime is None:
                model.duty.has_realtime = self._give(model.duty)
            elif not is_live and model.duty.has_realtime is not None:
                if model.duty.has_realtime:
                    with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it has died
                        _schedule(model.duty.link, _ORDINARY, 0)
                model.duty.has_realtime = None

    def _give(self, process: RunnerProcess) -> bool:
        try:
            _schedule(process.link, _FIRST_IN_FIRST_OUT, self._priority)
        except ProcessLookupError:
            return False  # it has just died, which is reported
        except OSError as error:
            if not self._has_complained:
                self._has_complained = True
                log.warning(
                    "no real-time priority for the runner: grant the ulimit rtprio",
                    extra={"priority": self._priority, "error": str(error)},
                )
            return False
        return True


def _schedule(link: RunnerLink, policy: int, priority: int) -> None:
    """Schedule each thread of a runner so: on Linux policy and priority belong to a thread.

    Raises:
        OSError: it is not permitted, or the process is gone.
    """
    if link.reap():
        raise ProcessLookupError("it has ended: its id may be another's by now")
    for thread in os.listdir(f"/proc/{link.pid}/task"):
        os.sched_setscheduler(int(thread), policy, os.sched_param(priority))
