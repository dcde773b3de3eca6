"""A runner process, with the judge's end of its socket in the test's hands."""

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.integration.tiny_bundles import Tiny
from tests.unit.inspection.runner_orders import assignment

from taktgate.contracts.codec import decode
from taktgate.inspection import doorbell
from taktgate.inspection.control import Assignment, Ready
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.pool.link import RunnerLink
from taktgate.inspection.spawning.direct import DirectStarter

LIMIT_S = 60.0
IDLE = 19


@contextmanager
def started(order: Assignment) -> Iterator[RunnerLink]:
    with FrameRing(slots=1) as ring:
        link = RunnerLink(order, ring, DirectStarter())
        try:
            yield link
        finally:
            link.close()
            while not link.reap():
                time.sleep(0.005)


def heard(link: RunnerLink) -> bytes:
    """Return the runner's next message."""
    readable, _, _ = select.select([link], [], [], LIMIT_S)
    assert readable, "the runner says nothing"
    message = link.receive()
    assert message, "the runner is gone"
    return message


def niceness(pid: int) -> set[int]:
    threads = os.listdir(f"/proc/{pid}/task")
    return {os.getpriority(os.PRIO_PROCESS, int(thread)) for thread in threads}


def test_a_candidate_waits_for_each_gap_at_idle_priority_and_serves_without(
    tmp_path: Path,
) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    order = replace(assignment(tmp_path, Tiny(), is_proven=False), at_idle_priority=True, threads=2)
    with started(order) as link:
        assert link.pid is not None
        message, left = heard(link), []
        while message[:1] == doorbell.PROBED:
            left.append(doorbell.unpack_probed(message))
            assert niceness(link.pid) == {own, IDLE}
            assert os.getpriority(os.PRIO_PROCESS, link.pid) == own, "of the serving thread"
            link.probe()
            message = heard(link)

        assert message[:1] == doorbell.READY
        assert left == list(range(20, 0, -1))
        has_all = niceness(link.pid) == {own}  # the runtime's second thread takes a right
        assert decode(Ready, message[1:]).has_full_priority is has_all


def test_a_proven_model_is_ready_without_a_gap(tmp_path: Path) -> None:
    with started(assignment(tmp_path, Tiny())) as link:
        message = heard(link)

        assert message[:1] == doorbell.READY
        assert decode(Ready, message[1:]).probe_runs == 0
