import math
import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inspection.guardrails.parts import image

from taktgate.inspection.guardrails.breach import Breach, Cause, Guardrail
from taktgate.inspection.guardrails.drift import PageTest, StabilityIndex, stability_index
from taktgate.inspection.guardrails.resource_or_drift import (
    InputDrift,
    ResourceSample,
    ResourceWatch,
    ScoreDrift,
)
from taktgate.inspection.guardrails.settings import DriftSettings, ResourceSettings

SETTINGS = DriftSettings()


def shift_after(test: PageTest, rng: random.Random, *, by: float, parts: int = 2000) -> int | None:
    """Return after how many parts a shift by so many standard deviations of a part is found."""
    for number in range(1, parts + 1):
        if test.add(rng.gauss(100 + 10 * by, 10)):
            return number
    return None


def taught(rng: random.Random) -> PageTest:
    test = PageTest(SETTINGS)
    while test.is_learning:
        assert test.add(rng.gauss(100, 10)) == 0
    return test


@pytest.mark.parametrize(("by", "most_parts"), [(1.0, 120), (-1.0, 120), (2.0, 60), (-5.0, 50)])
def test_a_lasting_shift_is_found_soon(by: float, most_parts: int) -> None:
    delays = [shift_after(taught(rng), rng, by=by) or 9999 for rng in map(random.Random, range(20))]

    assert sorted(delays)[15] <= most_parts


def test_a_steady_stream_is_left_alone_for_a_shift() -> None:
    rng = random.Random(1)

    assert shift_after(taught(rng), rng, by=0.0, parts=50_000) is None


def test_a_shift_is_told_once_and_again_only_after_it_has_gone() -> None:
    rng = random.Random(2)
    test = taught(rng)
    assert shift_after(test, rng, by=3.0) is not None
    assert shift_after(test, rng, by=3.0, parts=3000) is None
    assert shift_after(test, rng, by=0.0, parts=1000) is None
    assert shift_after(test, rng, by=3.0) is not None


@given(st.lists(st.one_of(st.floats(), st.floats(0, 1)), max_size=300))
def test_no_value_makes_the_test_forget_itself(values: list[float]) -> None:
    test = PageTest(SETTINGS.model_copy(update={"learn_parts": 20, "batch_parts": 2}))
    for value in values:
        assert test.add(max(min(value, 1e12), -1e12)) in (-1, 0, 1)
        assert math.isfinite(test.level)


def test_one_wild_value_is_no_shift() -> None:
    rng = random.Random(3)
    test = taught(rng)

    assert test.add(1e9) == 0
    assert shift_after(test, rng, by=0.0, parts=500) is None


@given(
    st.lists(st.integers(1, 1000), min_size=10, max_size=10),
    st.lists(st.integers(1, 1000), min_size=10, max_size=10),
)
def test_the_index_is_zero_for_equals_and_never_negative(a: list[int], b: list[int]) -> None:
    before, after = ([n / sum(counts) for n in counts] for counts in (a, b))

    assert stability_index(before, before) == 0.0
    assert stability_index(before, after) >= 0.0


def images(drift: InputDrift, rng: random.Random, parts: int, *, mean: float) -> list[Breach]:
    found = (
        drift.add(image(mean=rng.gauss(mean, 4), sharpness=rng.gauss(300, 20)))
        for _ in range(parts)
    )
    return [breach for breach in found if breach is not None]


def test_a_light_that_dims_by_15_percent_is_the_environment_and_says_which_way() -> None:
    rng = random.Random(4)
    drift = InputDrift(SETTINGS)
    assert images(drift, rng, 2000, mean=120) == []
    [breach] = images(drift, rng, 60, mean=120 * 0.85)

    assert breach.guardrail is Guardrail.RESOURCE_OR_DRIFT
    assert breach.cause is Cause.ENVIRONMENT
    assert breach.message == "images grow darker"
    assert breach.figures["meanShift"] < 0
    assert not drift.is_steady


def scores(
    drift: ScoreDrift, rng: random.Random, parts: int, *, low: float, steady: bool
) -> list[Breach]:
    found = (
        drift.add(low + rng.betavariate(2, 20) / 2, are_images_steady=steady) for _ in range(parts)
    )
    return [breach for breach in found if breach is not None]


@pytest.mark.parametrize(
    ("steady", "before", "cause"),
    [
        (True, 2000, Cause.MODEL),
        (False, 2000, Cause.ENVIRONMENT),
        (True, 5500, Cause.ENVIRONMENT),
    ],
)
def test_scores_that_drift_alone_soon_after_a_swap_are_the_models_doing(
    steady: bool, before: int, cause: Cause
) -> None:
    rng = random.Random(5)
    drift = ScoreDrift(SETTINGS)
    assert scores(drift, rng, before, low=0.0, steady=steady) == []
    [breach] = scores(drift, rng, 100, low=0.3, steady=steady)

    assert breach.cause is cause
    assert breach.message.startswith("scores rise: needless rejects")


def test_scores_that_are_spread_otherwise_are_found_with_an_unchanged_mean() -> None:
    rng = random.Random(6)
    index = StabilityIndex(SETTINGS)
    for _ in range(SETTINGS.learn_parts + 1000):
        assert not index.add(rng.uniform(0.4, 0.6))
    found = [index.add(rng.choice((0.45, 0.55))) for _ in range(1000)]

    assert found.index(True) == 999  # the second window of 500


def watched(samples: list[ResourceSample]) -> list[Breach]:
    watch = ResourceWatch(ResourceSettings())
    return [breach for breach in map(watch.add, samples) if breach is not None]


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (ResourceSample(is_throttled=True), "the device throttles"),
        (ResourceSample(is_out_of_memory=True), "out of memory"),
        (ResourceSample(gpu_memory_mb=3073), "GPU memory beyond 3072 MB"),
    ],
)
def test_a_device_in_need_is_told_once_until_it_is_over(sample: ResourceSample, said: str) -> None:
    found = watched([sample, sample, ResourceSample(), sample])

    assert [breach.message for breach in found] == [said, said]
    assert found[0].cause is Cause.MODEL


def test_a_gpu_is_busy_only_when_it_stays_so() -> None:
    busy, idle = ResourceSample(gpu_share=0.9), ResourceSample(gpu_share=0.1)

    assert watched([*[busy] * 11, idle, *[busy] * 11]) == []
    assert len(watched([busy] * 30)) == 1


@pytest.mark.parametrize(
    ("field", "cause"), [("runner", Cause.MODEL), ("judge", Cause.ENVIRONMENT)]
)
def test_memory_that_only_rises_is_found_and_one_big_allocation_is_not(
    field: str, cause: Cause
) -> None:
    def sample(mb: float) -> ResourceSample:
        if field == "runner":
            return ResourceSample(runner_rss_mb=mb)
        return ResourceSample(judge_rss_mb=mb)

    [breach] = watched([sample(200.0 + k) for k in range(130)])
    assert breach.cause is cause
    assert watched([sample(400.0 if 50 < k < 70 else 200.0) for k in range(200)]) == []
    assert watched([sample(300.0 if k > 150 else 200.0) for k in range(400)]) == []
    assert watched([sample(200.0 + k / 10) for k in range(200)]) == []


def test_nothing_that_cannot_be_seen_is_complained_of() -> None:
    assert watched([ResourceSample()] * 500) == []


def test_thirds_of_a_sawtooth_are_level() -> None:
    teeth = [200.0 + (k % 40) * 5 for k in range(240)]

    assert any(b < a for a, b in pairwise(teeth))
    assert watched([ResourceSample(runner_rss_mb=mb) for mb in teeth]) == []
