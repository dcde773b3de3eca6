"""Runners that cannot start or die at once: the pool with a fake in the place of the process."""

import errno
import gc
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.control import Load, RunnerState
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.runner_pool import (
    MAX_TRIES,
    RunnerEvent,
    RunnerPool,
    Terms,
    TurnedDown,
    WentDown,
)

DIGEST = "sha256:" + "b" * 64
LIVE = "sha256:" + "a" * 64
TERMS = Terms(
    slots=Path("/nowhere"),
    trusted_keys=Path("/nowhere"),
    device_class="cpu",
    threads=1,
    provider="cpu",
)


@pytest.fixture
def pool() -> Iterator[RunnerPool]:
    with FrameRing(slots=1, slot_bytes=4096) as ring:
        pool = RunnerPool(TERMS, ring)
        pool.load(
            Load(slot="b", digest=DIGEST, golden=True),
            proven_fingerprint=None,
            at_idle_priority=True,
            now_ns=0,
        )
        yield pool
        pool.close()


def no_process(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def ticks(pool: RunnerPool, live: str, times_ns: range) -> list[RunnerEvent]:
    return [event for now_ns in times_ns for event in pool.tick(live, now_ns)]


def test_a_candidate_whose_process_cannot_start_is_given_up_and_leaves_nothing_behind(
    pool: RunnerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_process)
    before = descriptors()

    events = ticks(pool, LIVE, range(0, SECOND, 10 * MILLISECOND))

    assert [type(event) for event in events] == [WentDown] * (MAX_TRIES - 1) + [TurnedDown]
    assert descriptors() == before
    (model,) = pool.models()
    assert model.refused is not None
    assert "cannot start" in model.refused.message


def test_a_live_model_whose_process_cannot_start_is_tried_for_ever_with_pauses(
    pool: RunnerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_process)

    events = ticks(pool, DIGEST, range(0, 20 * SECOND, 10 * MILLISECOND))

    assert {type(event) for event in events} == {WentDown}
    assert 5 < len(events) < 12
    assert pool.state(DIGEST) is RunnerState.WAITING


def test_a_process_that_dies_before_it_is_told_its_model_is_a_runner_that_is_gone(
    pool: RunnerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def dies_at_once(_: object, **options: object) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = real(["/bin/true"], **options)  # type: ignore[call-overload]
        process.wait()
        return process

    monkeypatch.setattr(subprocess, "Popen", dies_at_once)

    assert pool.tick(LIVE, 1) == []
    (post,) = pool.listening()
    (event,) = pool.receive(post, 2)
    assert isinstance(event, WentDown)
