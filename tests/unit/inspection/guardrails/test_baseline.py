import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inspection.guardrails.parts import FAIL, NO_FRAME, PASS, SILENT, SLOW

from taktgate.contracts.activation import Baseline
from taktgate.edge.clock import SECOND
from taktgate.inspection.guardrails.baseline import (
    BEYOND_BASELINE,
    MEMORY_PARTS,
    BaselineKeeper,
    add_part,
    allowed_hits,
    baseline_rate,
    of_a_trial,
)
from taktgate.inspection.guardrails.binomial import at_least, share_of
from taktgate.inspection.guardrails.observed import observe
from taktgate.inspection.guardrails.settings import GuardrailSettings, OverRejectSettings

SETTINGS = GuardrailSettings()


def test_the_station_default_holds_until_there_are_enough_parts() -> None:
    settings = OverRejectSettings()

    assert baseline_rate(Baseline(parts=19, rejects=19), settings) == 0.05
    assert 0.4 < baseline_rate(Baseline(parts=20, rejects=10), settings) < 0.5
    assert baseline_rate(Baseline(parts=2000, rejects=0), settings) == 0.01
    assert baseline_rate(Baseline(parts=2000, rejects=2000), settings) == 0.75


def test_what_is_allowed_is_the_rule_where_the_station_shows_no_more() -> None:
    assert allowed_hits(1000, share=0.01, usual=0.01) == 10
    assert allowed_hits(1000, share=0.001, usual=0.01) == 10


@given(window=st.integers(100, 2000), share=st.floats(0.011, 0.75))
def test_more_than_is_allowed_comes_by_chance_once_in_a_thousand_windows_and_no_less_will_do(
    window: int, share: float
) -> None:
    allowed = allowed_hits(window, share, usual=0.01)

    assert (
        at_least(allowed + 1, window, share) <= BEYOND_BASELINE < at_least(allowed, window, share)
    )


@given(parts=st.lists(st.sampled_from([PASS, FAIL, SLOW, SILENT]), max_size=50))
def test_a_baseline_stays_a_share_and_bounded(parts: list[object]) -> None:
    baseline = Baseline(parts=MEMORY_PARTS - 10, rejects=600, over_budget=20, failures=3)
    for envelope in (PASS, FAIL, *parts):
        part = observe(envelope, SETTINGS.latency)  # type: ignore[arg-type]
        assert part is not None
        baseline = add_part(baseline, part)
        assert 0 <= baseline.rejects <= baseline.parts <= MEMORY_PARTS
        assert baseline.failures <= baseline.parts >= baseline.over_budget


def test_a_baseline_counts_what_its_model_did_and_nothing_else() -> None:
    keeper = BaselineKeeper(Baseline(parts=0, rejects=0), SETTINGS, lambda: 0)
    for envelope in (PASS, FAIL, SLOW, SILENT, NO_FRAME):
        keeper.add(envelope)

    assert keeper.counts == Baseline(parts=4, rejects=2, over_budget=1, failures=1)


def test_the_disk_hears_of_a_baseline_once_a_minute_and_not_for_a_few_parts() -> None:
    now_ns = [0]
    keeper = BaselineKeeper(Baseline(parts=0, rejects=0), SETTINGS, lambda: now_ns[0])
    saved = keeper.counts
    for _ in range(20):
        keeper.add(PASS)

    assert keeper.due(saved) is None
    now_ns[0] = 61 * SECOND
    assert keeper.due(saved) == keeper.counts
    assert keeper.due(saved) is None


KNOWN = Baseline(parts=1000, rejects=50)


@pytest.mark.parametrize(
    ("known", "paired", "held"),
    [
        (KNOWN, Baseline(parts=40, rejects=2), "known"),
        (KNOWN, Baseline(parts=40, rejects=12), "paired"),
        (KNOWN, Baseline(parts=400, rejects=4), "paired"),
        (KNOWN, Baseline(parts=19, rejects=19), "known"),
        (Baseline(parts=19, rejects=0), Baseline(parts=20, rejects=0), "paired"),
        (Baseline(parts=0, rejects=0), Baseline(parts=0, rejects=0), "known"),
    ],
)
def test_few_parts_of_the_present_line_count_only_if_they_contradict(
    known: Baseline, paired: Baseline, held: str
) -> None:
    expected = {"known": known, "paired": paired}[held]

    assert of_a_trial(known, paired, SETTINGS.over_reject) == expected


def test_parts_of_the_same_line_are_seldom_taken_for_those_of_another() -> None:
    rate = KNOWN.rejects / KNOWN.parts
    chances = (
        share_of(rejects, 40, rate)
        for rejects in range(41)
        if of_a_trial(KNOWN, Baseline(parts=40, rejects=rejects), SETTINGS.over_reject) != KNOWN
    )

    assert sum(chances) < 0.01
