"""The process of one model. Started by the judge, dies with it, serves one socket.

A candidate loads at idle priority without taking anything from the live model, and without needing
the right to climb again: niceness belongs to a thread on Linux, so the loading thread alone steps
back and the serving thread never does.
"""

import gc
import logging
import mmap
import os
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from taktgate.contracts.codec import decode, encode
from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import die_with_parent, take_idle_priority
from taktgate.inspection import doorbell
from taktgate.inspection.control import Assignment, Refused
from taktgate.inspection.errors import ModelRefusedError
from taktgate.inspection.frames.ring import map_for_reading

if TYPE_CHECKING:
    from taktgate.inspection.runner.runner import Runner

log = logging.getLogger(__name__)


def main() -> int:
    """Load what the judge assigns, then answer its jobs until it closes the socket."""
    set_up_logging("inference/runner")
    die_with_parent()
    with socket.socket(fileno=int(sys.argv[1])) as judge:
        judge.setblocking(True)
        data, descriptors, _, _ = socket.recv_fds(judge, doorbell.MAX_MESSAGE_BYTES, 1)
        if not data:
            return 0
        assignment = decode(Assignment, data[1:])
        ring = map_for_reading(descriptors[0])
        try:
            runner = _load(assignment)
        except ModelRefusedError as error:
            log.error("model refused", extra={"digest": assignment.digest, "error": str(error)})
            refused = Refused(reason=error.reason, message=error.message[:500])
            judge.send(doorbell.REFUSED + encode(refused))
            return 0
        gc.collect()
        gc.freeze()
        judge.send(doorbell.READY + encode(runner.ready))
        _serve(judge, runner, ring)
    return 0


def _load(assignment: Assignment) -> "Runner":
    """Load in a thread that may step back.

    Raises:
        ModelRefusedError: the bundle must not judge here.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as loader:
        runner = loader.submit(_load_in_thread, assignment).result()
    return replace(runner, ready=replace(runner.ready, has_full_priority=_raise_all_threads()))


def _load_in_thread(assignment: Assignment) -> "Runner":
    if assignment.at_idle_priority:
        take_idle_priority()
    # Here, not above: half of the loading time is these imports, and they are to be idle as well.
    from taktgate.inspection.runner.runner import load

    return load(assignment)


def _raise_all_threads() -> bool:
    """Bring threads that the runtime started at idle priority up to that of this thread.

    Returns:
        False when that is not permitted: they stay slow, and the caller reports it.
    """
    own = os.getpriority(os.PRIO_PROCESS, 0)
    for thread in os.listdir("/proc/self/task"):
        try:
            if os.getpriority(os.PRIO_PROCESS, int(thread)) > own:
                os.setpriority(os.PRIO_PROCESS, int(thread), own)
        except ProcessLookupError:
            continue  # a thread that has ended needs no priority
        except PermissionError:
            return False
    return True


def _serve(judge: socket.socket, runner: "Runner", ring: mmap.mmap) -> None:
    while data := judge.recv(doorbell.MAX_MESSAGE_BYTES):
        job = doorbell.unpack_job(data)
        judge.send(doorbell.pack_answer(runner.answer(job, ring)))


if __name__ == "__main__":
    sys.exit(main())
