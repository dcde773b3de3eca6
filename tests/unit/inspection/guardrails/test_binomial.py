import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.guardrails.binomial import (
    at_least,
    fisher_at_most,
    hits_beyond,
    mcnemar,
    share_of,
)


def exact_at_least(hits: int, parts: int, rate: Fraction) -> float:
    """The oracle: whole numbers all the way."""
    return float(
        sum(
            math.comb(parts, k) * rate**k * (1 - rate) ** (parts - k)
            for k in range(hits, parts + 1)
        )
    )


@given(parts=st.integers(1, 60), hits=st.integers(0, 61), percent=st.integers(1, 99))
def test_tails_are_those_of_whole_numbers(parts: int, hits: int, percent: int) -> None:
    expected = exact_at_least(hits, parts, Fraction(percent, 100))

    assert at_least(hits, parts, percent / 100) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(parts=st.integers(1, 2000), percent=st.integers(1, 99))
def test_the_limit_is_the_fewest_hits_that_are_rare_enough(parts: int, percent: int) -> None:
    limit = hits_beyond(parts, percent / 100, 0.01)

    assert limit == parts + 1 or at_least(limit, parts, percent / 100) <= 0.01
    assert at_least(limit - 1, parts, percent / 100) > 0.01 or limit == int(parts * percent / 100)


def test_known_limits_hold() -> None:
    assert hits_beyond(60, 0.05, 0.01) == 8
    assert hits_beyond(60, 0.03, 0.01) == 6
    assert hits_beyond(1000, 0.001, 1e-6) == 10
    assert hits_beyond(10, 0.9, 0.1) == 11


def test_fishers_exact_test_gives_the_figures_of_the_tea_lady() -> None:
    # Fisher (1935): 3 of 4 right, eight cups; at most 1 of the other kind: 17 of 70 ways.
    assert fisher_at_most(1, 4, 3, 4) == pytest.approx(17 / 70)
    assert fisher_at_most(4, 4, 0, 4) == pytest.approx(1.0)


def test_mcnemar_is_a_fair_coin() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(5, 5) == 1.0
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(6, 0) == mcnemar(0, 6)


@given(st.integers(1, 3000), st.floats(1e-6, 1 - 1e-6))
def test_shares_are_finite(parts: int, rate: float) -> None:
    assert 0.0 <= share_of(parts // 2, parts, rate) <= 1.0
    assert 0.0 <= at_least(parts, parts, rate) <= 1.0
