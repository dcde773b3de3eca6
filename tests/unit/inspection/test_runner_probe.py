"""The figures of the probe, with a session that takes the time it is told to."""

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.golden import GoldenImage
from taktgate.bundle.manifest import Manifest, Preprocessing
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.errors import ModelRefusedError
from taktgate.inspection.runner.onnx_session import OnnxSession
from taktgate.inspection.runner.probe import TIMED_RUNS, Probe, ProbeResult, nearest_rank

SPEC = Preprocessing(width=4, height=4, resample="none", channels="grey_to_rgb", scale="in_graph")


class Session:
    """Implements what a probe needs of a session, and takes the given times."""

    def __init__(self, times_ms: list[float], score: float = 0.5) -> None:
        self.tensor = np.zeros((1, 3, 4, 4), np.uint8)
        self._times_ms = iter(times_ms)
        self._score = score

    def run(self) -> tuple[float, tuple[float, ...], int, int]:
        return self._score, (self._score,), 0, round(next(self._times_ms) * MILLISECOND)


def images(count: int) -> tuple[GoldenImage, ...]:
    return tuple(
        GoldenImage(
            id=f"golden/{number}.png",
            pixels=np.zeros((4, 4), np.uint8),
            label="ok",
            score=0.5,
            tolerance=0.02,
        )
        for number in range(count)
    )


def probe(session: Session, *, golden: int = 10, waited_ms: float = 0.0) -> Probe:
    waits = iter(round(number * waited_ms * MILLISECOND) for number in range(10_000))
    manifest = cast(Manifest, SimpleNamespace(preprocessing=SPEC))
    its: Any = session
    return Probe(cast(OnnxSession, its), manifest, images(golden), waited_ns=lambda: next(waits))


def finish(probe: Probe, limit_ms: float | None = None) -> ProbeResult:
    while probe.runs_left:
        probe.run()
    return probe.result(limit_ms)


def test_the_figures_are_of_the_runs_that_were_made() -> None:
    proof = finish(probe(Session([float(number) for number in range(1, 21)])))

    assert (proof.runs, proof.p50_ms, proof.p99_ms) == (TIMED_RUNS, 10.0, 20.0)


def test_one_run_that_is_too_slow_is_enough_to_be_refused() -> None:
    with pytest.raises(ModelRefusedError, match="TOO_SLOW"):
        finish(probe(Session([5.0] * 19 + [50.0])), limit_ms=40.0)


def test_a_model_exactly_at_its_limit_is_not_refused() -> None:
    assert finish(probe(Session([40.0] * 20)), limit_ms=40.0).p99_ms == 40.0


def test_waiting_for_a_processor_is_not_held_against_the_model() -> None:
    proof = finish(probe(Session([50.0] * 20), waited_ms=42.0), limit_ms=10.0)

    assert proof.p99_ms == 8.0


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_score_that_is_not_finite_is_refused_at_once(score: float) -> None:
    with pytest.raises(ModelRefusedError, match="NON_FINITE"):
        probe(Session([1.0], score)).run()


def test_a_score_beyond_its_tolerance_is_refused_at_once() -> None:
    with pytest.raises(ModelRefusedError, match="GOLDEN"):
        probe(Session([1.0], 0.53)).run()


def test_many_golden_images_are_thinned_out_and_few_are_repeated() -> None:
    many = finish(probe(Session([1.0] * 40), golden=35))
    few = finish(probe(Session([1.0] * 40), golden=3))

    assert (many.golden_images, many.runs) == (10, 20)
    assert (few.golden_images, few.runs) == (3, 20)


@given(values=st.lists(st.floats(0, 1e6), min_size=1), share=st.floats(0.01, 1.0))
def test_a_percentile_is_one_of_the_values_and_covers_its_share(
    values: list[float], share: float
) -> None:
    found = nearest_rank(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
