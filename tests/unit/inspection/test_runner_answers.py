"""A runner with a real model: what it answers to good frames, bad frames and too little time."""

import math
import mmap
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.integration.tiny_bundles import SIZE, Tiny, expected_score
from tests.unit.inspection.runner_orders import assignment

from taktgate.bundle.manifest import Preprocessing
from taktgate.bundle.preprocessing import allocate, preprocess
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.doorbell import Answer, Job, RunFault
from taktgate.inspection.errors import RunFailedError, RunTerminatedError
from taktgate.inspection.frames.ring import FrameRing, map_for_reading
from taktgate.inspection.runner.loading import load
from taktgate.inspection.runner.onnx_session import (
    SessionTerms,
    cuda_options,
    session_entries,
)
from taktgate.inspection.runner.runner import Runner

AMPLE_NS = 60 * SECOND


def no_gap(runs_left: int) -> None:
    raise AssertionError("a proven model is not probed")


def runner_of(folder: Path, tiny: Tiny) -> Runner:
    runner = load(assignment(folder, tiny), no_gap)
    runner.watchdog.start()
    return runner


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return runner_of(tmp_path_factory.mktemp("quick"), Tiny())


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """A model that takes a quarter of a second: much longer than the watchdog is ever late."""
    return runner_of(tmp_path_factory.mktemp("slow"), Tiny(slow_steps=24))


class Ring:
    """Frames as the runner sees them."""

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring
        self.seen: mmap.mmap = map_for_reading(ring.fileno())

    def show(self, grey: int) -> None:
        self._ring.memory(0)[: SIZE * SIZE] = bytes([grey]) * (SIZE * SIZE)


@pytest.fixture
def ring() -> Iterator[Ring]:
    with FrameRing(slots=1) as ring:
        yield Ring(ring)


def job(*, for_ns: int = AMPLE_NS, slot: int = 0, channels: int = 1, width: int = SIZE) -> Job:
    return Job(
        job_id=7,
        slot=slot,
        width=width,
        height=SIZE,
        channels=channels,
        decide_by_ns=monotonic_ns() + for_ns,
    )


def answered(runner: Runner, ring: Ring, grey: int, *, for_ns: int = AMPLE_NS) -> Answer:
    ring.show(grey)
    return runner.answer(job(for_ns=for_ns), ring.seen)


def test_an_answer_has_the_score_the_facts_and_the_times_of_its_steps_in_order(
    quick: Runner, ring: Ring
) -> None:
    before_ns = monotonic_ns()
    answer = answered(quick, ring, 20)

    assert answer.fault is RunFault.NONE
    assert answer.score == pytest.approx(expected_score(20, Tiny()), abs=1e-4)
    assert answer.facts is not None
    assert answer.facts.mean == pytest.approx(20)
    times = (before_ns, answer.arrived_ns, answer.gated_ns, answer.start_ns, answer.end_ns)
    assert list(times) == sorted(times)


def test_a_run_beyond_its_parts_time_is_ended_and_the_next_part_is_judged(
    slow: Runner, ring: Ring
) -> None:
    for _ in range(2):
        answer = answered(slow, ring, 20, for_ns=20 * MILLISECOND)
        assert answer.fault is RunFault.TERMINATED
        assert math.isnan(answer.score)

        answer = answered(slow, ring, 235)
        assert answer.fault is RunFault.NONE
        assert answer.score == pytest.approx(expected_score(235, Tiny()), abs=1e-4)


def test_a_run_that_was_ended_took_less_than_a_whole_one(slow: Runner, ring: Ring) -> None:
    whole = answered(slow, ring, 20)
    ended = [answered(slow, ring, 20, for_ns=5 * MILLISECOND) for _ in range(3)]

    shortest_ns = min(each.end_ns - each.start_ns for each in ended)
    assert shortest_ns < (whole.end_ns - whole.start_ns) * 0.7


def test_a_job_whose_time_is_up_when_it_arrives_is_not_begun(slow: Runner, ring: Ring) -> None:
    answer = answered(slow, ring, 20, for_ns=-1)

    assert answer.fault is RunFault.TERMINATED
    assert answer.end_ns - answer.arrived_ns == 0


def test_a_session_that_was_terminated_refuses_each_run_until_it_is_renewed(
    quick: Runner, ring: Ring
) -> None:
    quick.session.terminate()
    with pytest.raises(RunTerminatedError):
        quick.session.run()
    quick.session.renew()

    assert answered(quick, ring, 20).fault is RunFault.NONE


@pytest.mark.parametrize(
    ("limits", "grey", "fault"),
    [
        (ImageGateSettings(dark_share_max=0.5), 0, RunFault.IMAGE_DARK),
        (ImageGateSettings(saturated_share_max=0.5), 255, RunFault.IMAGE_SATURATED),
        (ImageGateSettings(mean_min=40), 30, RunFault.IMAGE_EXPOSURE),
        (ImageGateSettings(sharpness_min=1.0), 100, RunFault.IMAGE_BLURRED),
    ],
)
def test_an_image_that_is_not_fit_is_answered_without_a_run(
    quick: Runner, ring: Ring, limits: ImageGateSettings, grey: int, fault: RunFault
) -> None:
    strict = replace(quick, image_gate=limits)
    quick.session.terminate()  # a run would now show as TERMINATED
    answer = answered(strict, ring, grey)
    quick.session.renew()

    assert answer.fault is fault
    assert answer.facts is not None
    assert math.isnan(answer.score)
    assert answer.arrived_ns <= answer.gated_ns <= answer.start_ns <= answer.end_ns


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"slot": 1}, id="beyond the ring"),
        pytest.param({"width": 2**31}, id="beyond its slot"),
        pytest.param({"width": 0}, id="empty"),
        pytest.param({"channels": 2}, id="two channels"),
        pytest.param({"width": SIZE // 2}, id="not the model's size"),
    ],
)
def test_a_frame_that_cannot_be_read_is_a_fault_and_no_crash(
    quick: Runner, ring: Ring, bad: dict[str, int]
) -> None:
    assert quick.answer(job(**bad), ring.seen).fault is RunFault.BAD_FRAME
    assert answered(quick, ring, 20).fault is RunFault.NONE


def test_a_run_that_fails_is_a_fault_and_no_crash(quick: Runner) -> None:
    fitting = quick.session.tensor
    quick.session.tensor = np.zeros((1, 3, SIZE, SIZE + 1), np.uint8)
    try:
        with pytest.raises(RunFailedError):
            quick.session.run()
    finally:
        quick.session.tensor = fitting


@pytest.mark.parametrize("scale", ["in_graph", 1 / 255])
@pytest.mark.parametrize("channels", ["grey_to_rgb", "rgb"])
def test_preparing_a_frame_of_the_right_size_allocates_nothing(
    scale: float | str, channels: str
) -> None:
    spec = Preprocessing.model_validate(
        {"width": 256, "height": 256, "resample": "none", "channels": channels, "scale": scale}
    )
    tensor = allocate(spec)
    pixels = np.zeros((256, 256) if channels == "grey_to_rgb" else (256, 256, 3), np.uint8)
    preprocess(pixels, spec, out=tensor)
    tracemalloc.start()
    preprocess(pixels, spec, out=tensor)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 0.3 * tensor.nbytes / 3, "less than a third of one plane"


def test_only_a_demand_for_cuda_forbids_single_operators_on_the_cpu() -> None:
    key = "session.disable_cpu_ep_fallback"

    assert session_entries(SessionTerms(policy="cuda"))[key] == "1"
    assert key not in session_entries(SessionTerms(policy="auto"))


def test_device_memory_grows_by_what_is_asked_for_up_to_the_stations_limit() -> None:
    assert cuda_options(SessionTerms(gpu_memory_mb=512)) == {
        "arena_extend_strategy": "kSameAsRequested",
        "gpu_mem_limit": "536870912",
    }
    assert "gpu_mem_limit" not in cuda_options(SessionTerms())
