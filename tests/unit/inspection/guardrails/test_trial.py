import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inspection.guardrails.parts import (
    FAIL,
    MODEL,
    NO_FRAME,
    PASS,
    SILENT,
    SLOW,
    station,
    verdict,
)

from taktgate.contracts.activation import SlotRef, Trial
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.observed import counts_for_model
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.guardrails.trial import TrialWatch

SETTINGS = GuardrailSettings()
ANY = st.sampled_from([PASS, FAIL, SLOW, SILENT, NO_FRAME])


def trial(baseline: float, true_rate: float, rng: random.Random) -> int | None:
    """Return after how many parts a trial went back, None when it was confirmed."""
    watch = TrialWatch(SETTINGS, station(baseline))
    while not watch.is_over:
        breach = watch.observe(FAIL if rng.random() < true_rate else PASS)
        if breach is not None:
            assert breach.guardrail is Guardrail.OVER_REJECT
            return watch.parts
    return None


def run(watch: TrialWatch, parts: list[VerdictEnvelope]) -> Breach | None:
    """Return the first breach of *parts*."""
    for envelope in parts:
        breach = watch.observe(envelope)
        if breach is not None:
            return breach
    return None


@pytest.mark.parametrize(
    ("baseline", "most_parts_on_average"), [(0.05, 33), (0.075, 22), (0.1, 16), (0.15, 10)]
)
def test_five_times_the_baseline_is_found_within_60_parts(
    baseline: float, most_parts_on_average: float
) -> None:
    rng = random.Random(2)
    trials = [trial(baseline, 5 * baseline, rng) for _ in range(1000)]
    found = [parts for parts in trials if parts is not None]

    assert len(found) / len(trials) >= 0.985
    assert max(found) <= 60
    assert sum(found) / len(found) <= most_parts_on_average


@pytest.mark.parametrize("baseline", [0.05, 0.1])
def test_a_model_like_the_baseline_is_sent_back_in_at_most_one_percent(baseline: float) -> None:
    rng = random.Random(3)
    trials = [trial(baseline, baseline, rng) for _ in range(1000)]

    assert sum(parts is not None for parts in trials) / len(trials) <= 0.0195  # 3 sigma at 1 %


@pytest.mark.parametrize("reason", [Reason.MODEL_ERROR, Reason.TIMEOUT, Reason.NON_FINITE])
def test_three_parts_in_a_row_without_an_answer_send_the_model_back(reason: Reason) -> None:
    watch = TrialWatch(SETTINGS, station(0.5))
    silent = verdict(Verdict.NO_DECISION, reason)

    assert run(watch, [silent, PASS, silent, silent]) is None
    breach = watch.observe(silent)

    assert breach is not None
    assert breach.guardrail is Guardrail.INFERENCE_FAILURE


def test_answers_that_fail_now_and_then_send_the_model_back_too() -> None:
    breach = run(TrialWatch(SETTINGS, station(0.5)), [PASS, PASS, PASS, SILENT] * 15)

    assert breach is not None
    assert breach.guardrail is Guardrail.INFERENCE_FAILURE
    assert breach.figures["parts"] == 16.0


def test_one_timeout_in_a_trial_is_no_breach() -> None:
    assert run(TrialWatch(SETTINGS, station(0.1)), [SILENT] + [PASS] * 59) is None


def test_a_model_that_is_always_too_slow_is_found_after_three_parts() -> None:
    watch = TrialWatch(SETTINGS, station(0.05))
    breach = run(watch, [SLOW] * 60)

    assert breach is not None
    assert breach.guardrail is Guardrail.LATENCY
    assert watch.parts == 3
    assert breach.figures["budgetMs"] == 80.0


def test_a_station_that_is_slow_by_itself_blames_no_model() -> None:
    half_slow = station(0.05, slow=1000)

    assert run(TrialWatch(SETTINGS, half_slow), [SLOW, PASS] * 30) is None


def test_a_station_that_fails_by_itself_blames_no_model() -> None:
    failing = station(0.3, failures=200)

    assert run(TrialWatch(SETTINGS, failing), ([SILENT] + [PASS] * 9) * 6) is None


@pytest.mark.parametrize("reason", list(Reason))
def test_only_the_models_own_doing_counts(reason: Reason) -> None:
    own = {Reason.UNCERTAIN, Reason.NON_FINITE, Reason.MODEL_ERROR, Reason.TIMEOUT}
    if reason is Reason.NONE:
        assert counts_for_model(Verdict.PASS, reason) is False
        assert counts_for_model(Verdict.FAIL, reason) is True
    else:
        expected = True if reason in own else None
        assert counts_for_model(Verdict.NO_DECISION, reason) is expected


@given(parts=st.lists(ANY, max_size=70), cut=st.integers(0, 70))
def test_a_trial_that_is_cut_by_a_restart_decides_what_it_would_have_decided(
    parts: list[VerdictEnvelope], cut: int
) -> None:
    candidate = SlotRef(model=MODEL, order="o", slot="s")
    whole, first = (TrialWatch(SETTINGS, station(0.1)) for _ in range(2))
    expected = run(whole, parts)
    if run(first, parts[:cut]) is not None:
        return
    on_disk = decode(Trial, encode(first.progress(Trial(candidate=candidate, attempts=1))))
    resumed = TrialWatch(SETTINGS, station(0.1), on_disk)

    assert run(resumed, parts[cut:]) == expected
    assert resumed.as_baseline() == whole.as_baseline()


@given(parts=st.lists(ANY, max_size=60), at=st.integers(0, 59))
def test_one_more_reject_never_saves_a_model(parts: list[VerdictEnvelope], at: int) -> None:
    if run(TrialWatch(SETTINGS, station(0.1)), parts) is None or at >= len(parts):
        return
    worse = [*parts[:at], FAIL if parts[at] is PASS else parts[at], *parts[at + 1 :]]

    assert run(TrialWatch(SETTINGS, station(0.1)), worse) is not None
