"""A statement about latency holds, is as sharp as it can be, and is refused for want of data."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.gates.latency_statement import (
    TooFewSamplesError,
    samples_needed,
    share_at_most,
    state,
)


def at_most(count: int, n: int, share: Fraction) -> Fraction:
    """P(Binomial(n, share) <= count), exactly."""
    return sum(
        (math.comb(n, each) * share**each * (1 - share) ** (n - each) for each in range(count + 1)),
        Fraction(0),
    )


@pytest.mark.parametrize(
    ("quantile", "confidence", "needed"),
    [(0.999, 0.99, 4603), (0.99, 0.99, 459), (0.99, 0.95, 299), (0.95, 0.95, 59)],
)
def test_it_takes_as_many_samples_as_the_tables_say(
    quantile: float, confidence: float, needed: int
) -> None:
    assert samples_needed(quantile, confidence) == needed
    samples = [1.0] * needed
    assert state(samples, limit_ms=2, quantile=quantile, confidence=confidence).bound_ms == 1.0
    with pytest.raises(TooFewSamplesError, match=f"at least {needed} samples, got {needed - 1}"):
        state(samples[1:], limit_ms=2, quantile=quantile, confidence=confidence)


@given(n=st.integers(min_value=20, max_value=120), tenths=st.integers(min_value=5, max_value=9))
def test_the_bound_is_the_lowest_that_is_wrong_no_more_often_than_stated(
    n: int, tenths: int
) -> None:
    """The bound misses the quantile when fewer samples lie above the quantile than above it."""
    quantile, confidence = tenths / 10, 0.95
    try:
        bound = state(range(1, n + 1), limit_ms=n, quantile=quantile, confidence=confidence)
    except TooFewSamplesError:
        assert at_most(0, n, 1 - Fraction(tenths, 10)) > Fraction(5, 100)
        return
    above = n - int(bound.bound_ms)
    late_share = 1 - Fraction(tenths, 10)
    assert at_most(above, n, late_share) <= Fraction(5, 100)
    assert at_most(above + 1, n, late_share) > Fraction(5, 100)


def test_a_bound_of_a_long_run_lies_above_its_percentile() -> None:
    found = state(range(18_000), limit_ms=18_000, quantile=0.99, confidence=0.99)
    # 180 samples lie above the p99 of 18,000; 149 is where P(Binomial(18000, 0.01) <= m) <= 1 %.
    assert 18_000 - 1 - found.bound_ms == 149


def test_parts_without_an_answer_are_longer_than_any_that_had_one() -> None:
    few = state([1.0] * 999, limit_ms=2, quantile=0.99, confidence=0.95, unanswered=1)
    assert (few.bound_ms, few.late, few.n, few.is_kept) == (1.0, 1, 1000, True)
    many = state([1.0] * 980, limit_ms=2, quantile=0.99, confidence=0.95, unanswered=20)
    assert (many.bound_ms, many.late, many.is_kept) == (math.inf, 20, False)


def test_a_bound_over_the_limit_is_not_kept_and_late_parts_are_counted() -> None:
    found = state([1.0] * 95 + [3.0] * 5, limit_ms=2, quantile=0.95, confidence=0.95)
    assert (found.bound_ms, found.late, found.is_kept) == (3.0, 5, False)


def test_the_sentence_says_quantile_confidence_count_and_late() -> None:
    found = state([1.5] * 4602 + [9.0], limit_ms=4)
    assert str(found) == (
        "p99.9 <= 9.000 ms with 99 % confidence, n 4603, late 1 (over 4 ms; at most 0.14 % of all)"
    )


@given(n=st.integers(min_value=1, max_value=60), data=st.data())
def test_the_share_of_late_parts_is_bounded_exactly(n: int, data: st.DataObject) -> None:
    late = data.draw(st.integers(min_value=0, max_value=n))
    bound = share_at_most(late, n, 0.95)
    if late == n:
        assert bound == 1.0
    else:
        assert float(at_most(late, n, Fraction(bound))) == pytest.approx(0.05, abs=1e-9)


@pytest.mark.parametrize("sample", [math.nan, math.inf])
def test_what_is_no_time_is_refused(sample: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        state([1.0] * 9999 + [sample], limit_ms=2)


@pytest.mark.parametrize(
    "wrong", [{"quantile": 1.0}, {"confidence": 0.0}, {"unanswered": -1}], ids=str
)
def test_a_question_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        state([1.0] * 9999, limit_ms=2, **wrong)  # type: ignore[arg-type]
