"""Real-time priority: the judge's stays with the judge, a runner has one only while it is live."""

import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from taktgate.contracts.model import ModelRef
from taktgate.inspection.control import Load, Ready
from taktgate.inspection.decision.rule import ClassLine, Lines
from taktgate.inspection.pool.link import RunnerLink
from taktgate.inspection.pool.pooled_model import PooledModel, RunnerProcess, StartHistory
from taktgate.inspection.pool.realtime import RealtimePriority

_ASK = """
import os
from taktgate.edge.process import take_realtime_priority

def without_rights(process, policy, parameter):
    print(policy == os.SCHED_FIFO | os.SCHED_RESET_ON_FORK)
    raise PermissionError(1, "Operation not permitted")

os.sched_setscheduler = without_rights
print(take_realtime_priority(10).scheduling)
"""
A, B = ("sha256:" + letter * 64 for letter in "ab")
READY = Ready(
    model=ModelRef(name="weld", version="1.0", digest=A),
    lines=Lines(
        classes=(ClassLine(name="pore", threshold=0.5),), uncertain_low=0, uncertain_high=0
    ),
    provider="CPUExecutionProvider",
    is_fallback=False,
    fingerprint="here",
    golden_images=0,
    golden_worst=0.0,
    has_full_priority=True,
)


def test_no_runner_inherits_the_judges_real_time_priority() -> None:
    """In a process of its own: what is granted besides would stay with this one."""
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.fixture
def pid() -> Iterator[int]:
    """A process that a priority can be given to."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process.pid
    process.kill()
    process.wait()


def post(digest: str, pid: int) -> PooledModel:
    its: Any = SimpleNamespace(pid=pid, reap=lambda: False)
    return PooledModel(
        load=Load(slot="slot", digest=digest, golden=False),
        proven_fingerprint=None,
        at_idle_priority=False,
        starts=StartHistory(due_ns=0),
        duty=RunnerProcess(runner=1, link=cast(RunnerLink, its), since_ns=0, ready=READY),
    )


def is_realtime(pid: int) -> bool:
    return os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_FIFO


def has_realtime(post: PooledModel) -> bool | None:
    assert post.duty is not None
    return post.duty.has_realtime


def test_what_is_said_of_a_live_runners_priority_is_what_it_has(pid: int) -> None:
    priority, model = RealtimePriority(5), post(A, pid)
    priority.tend([model], A)

    assert has_realtime(model) is is_realtime(pid)


def test_a_model_that_is_not_live_any_more_loses_its_priority(pid: int) -> None:
    priority, model = RealtimePriority(5), post(A, pid)
    priority.tend([model], A)
    priority.tend([model], B)

    assert has_realtime(model) is None
    assert not is_realtime(pid)
    priority.tend([model], A)
    assert has_realtime(model) is is_realtime(pid), "it has come back"


def test_a_candidate_and_a_runner_without_the_setting_are_left_alone(pid: int) -> None:
    candidate, live = post(B, pid), post(A, pid)
    RealtimePriority(5).tend([candidate], A)
    RealtimePriority(0).tend([live], A)

    assert has_realtime(candidate) is has_realtime(live) is None
    assert not is_realtime(pid)


def test_a_right_that_is_missing_is_visible_and_logged_once(
    pid: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    priority, first, second = RealtimePriority(5), post(A, pid), post(A, pid)
    for model in (first, first, second):
        priority.tend([model], A)

    assert has_realtime(first) is has_realtime(second) is False
    assert len(caplog.records) == 1
