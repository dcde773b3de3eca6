"""A runner's duty: from the judge's assignment to READY, then job after job."""

import gc
import logging
import mmap
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from taktgate.contracts.codec import decode, encode
from taktgate.edge.process import take_idle_priority
from taktgate.inspection import doorbell
from taktgate.inspection.control import Assignment, Refused
from taktgate.inspection.errors import ModelRefusedError
from taktgate.inspection.frames.ring import map_for_reading
from taktgate.inspection.runner.loading import load
from taktgate.inspection.runner.runner import Runner

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """A runner that may judge, where its frames lie, and what to tell the judge."""

    runner: Runner
    ring: mmap.mmap
    readiness: bytes
    """The message that says that it is ready."""

    def serve(self, judge: socket.socket) -> None:
        """Answer job after job; a shadow's in a thread that has stepped back.

        The runtime works in the thread that calls it. Only the further threads of a bundle that
        asks for more than one keep their priority.
        """
        with ThreadPoolExecutor(
            max_workers=1, thread_name_prefix="shadow", initializer=take_idle_priority
        ) as idle:
            while data := judge.recv(doorbell.MAX_MESSAGE_BYTES):
                job = doorbell.unpack_job(data)
                if job.is_shadow:
                    answer = idle.submit(self.runner.answer, job, self.ring).result()
                else:
                    answer = self.runner.answer(job, self.ring)
                judge.send(doorbell.pack_answer(answer))


class _JudgeGoneError(Exception):
    """The judge has closed the socket: nobody wants this model any more."""


def prepare(judge: socket.socket) -> Duty | None:
    """Load what the judge assigns; None when nothing is to be served, which it has been told.

    It runs in a thread of its own, which may have stepped back.
    """
    data, descriptors, _, _ = socket.recv_fds(judge, doorbell.MAX_MESSAGE_BYTES, 1)
    if not data:
        return None
    assignment = decode(Assignment, data[1:])
    ring = map_for_reading(descriptors[0])
    try:
        runner = load(assignment, lambda runs_left: _await_gap(judge, runs_left))
    except ModelRefusedError as error:
        log.error("model refused", extra={"digest": assignment.digest, "error": str(error)})
        refused = Refused(reason=error.reason, message=error.message[:500])
        judge.send(doorbell.REFUSED + encode(refused))
        return None
    except _JudgeGoneError:
        return None
    gc.collect()
    ready = replace(runner.ready, has_full_priority=_raise_all_threads())
    readiness = doorbell.READY + encode(ready)
    return Duty(runner=replace(runner, ready=ready), ring=ring, readiness=readiness)


def _await_gap(judge: socket.socket, runs_left: int) -> None:
    """Ask for a gap and wait for it; the judge limits how long, by ending this process.

    Raises:
        _JudgeGoneError: there will be none.
    """
    judge.send(doorbell.pack_probed(runs_left))
    if judge.recv(doorbell.MAX_MESSAGE_BYTES)[:1] != doorbell.PROBE:
        raise _JudgeGoneError


def _raise_all_threads() -> bool:
    """Bring threads that have stepped back, the runtime's among them, up to the serving thread.

    Returns:
        False when that is not permitted: they stay slow, and the caller reports it.
    """
    serving = os.getpriority(os.PRIO_PROCESS, os.getpid())
    for thread in os.listdir("/proc/self/task"):
        try:
            if os.getpriority(os.PRIO_PROCESS, int(thread)) > serving:
                os.setpriority(os.PRIO_PROCESS, int(thread), serving)
        except ProcessLookupError:
            continue  # a thread that has ended needs no priority
        except PermissionError:
            return False
    return True
