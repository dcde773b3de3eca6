"""What a sample model claims is counted, and stated with its interval."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.claims import Counts, wilson
from taktgate.gates.sample_metrics import count, logit, operating_logit, rejecting_logit

GOOD_AND_BAD = st.integers(20, 200).flatmap(
    lambda n: st.tuples(
        st.lists(st.floats(-8, 8), min_size=n, max_size=n),
        st.lists(st.booleans(), min_size=n, max_size=n),
    )
)


def test_a_nan_score_counts_as_rejected() -> None:
    counts = count(np.array([0.1, np.nan]), np.array([False, False]), passes_below=0.5)
    assert (counts.ok, counts.ok_rejected) == (2, 1)


def test_rates_are_of_their_own_kind_of_part() -> None:
    scores = np.array([0.1, 0.2, 0.7, 0.4, 0.9])
    is_defective = np.array([False, False, False, True, True])
    counts = count(scores, is_defective, passes_below=0.5)
    assert counts == Counts(ok=3, ok_rejected=1, defective=2, defective_rejected=1)
    assert counts.recall.value == 0.5
    assert counts.false_reject_rate.value == pytest.approx(1 / 3)
    assert counts.precision.value == 0.5
    assert counts.reject_rate(0.1) == pytest.approx(0.9 / 3 + 0.1 * 0.5)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 0, 0.0, 1.0), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_intervals_are_those_of_the_textbook(
    hits: int, trials: int, low: float, high: float
) -> None:
    interval = wilson(hits, trials)
    assert interval.low == pytest.approx(low, abs=1e-4)
    assert interval.high == pytest.approx(high, abs=1e-4)


@given(sample=GOOD_AND_BAD, share=st.floats(0, 0.9))
def test_the_operating_point_never_rejects_more_good_parts_than_allowed(
    sample: tuple[list[float], list[bool]], share: float
) -> None:
    logits, is_defective = np.array(sample[0]), np.array(sample[1])
    if is_defective.all():
        return
    for choose in (operating_logit, rejecting_logit):
        line = choose(logits, is_defective, false_reject_rate=share)
        assert (logits[~is_defective] >= line).mean() <= share


@given(sample=GOOD_AND_BAD, share=st.floats(0, 0.9))
def test_moving_up_from_the_floor_loses_no_defective_part(
    sample: tuple[list[float], list[bool]], share: float
) -> None:
    logits, is_defective = np.array(sample[0]), np.array(sample[1])
    if is_defective.all():
        return
    floor = rejecting_logit(logits, is_defective, false_reject_rate=share)
    line = operating_logit(logits, is_defective, false_reject_rate=share)
    bad = logits[is_defective]
    assert (bad >= line).sum() == (bad >= floor).sum()


def test_a_defective_part_on_the_floor_itself_is_not_lost() -> None:
    on_the_floor = np.nextafter(-3.0, np.inf)
    logits = np.array([-4.0, -3.0, on_the_floor, 3.0])
    is_defective = np.array([False, False, True, True])
    line = operating_logit(logits, is_defective, false_reject_rate=0.0)
    assert line == on_the_floor


def test_the_operating_point_lies_in_the_middle_of_a_clean_gap() -> None:
    logits = np.array([-4.0, -3.0, 2.0, 3.0])
    is_defective = np.array([False, False, True, True])
    assert operating_logit(logits, is_defective, false_reject_rate=0.0) == pytest.approx(-0.5)


def test_logits_of_saturated_scores_stay_finite() -> None:
    assert np.isfinite(logit(np.array([0.0, 0.5, 1.0], dtype=np.float32))).all()
