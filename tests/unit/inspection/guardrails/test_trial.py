import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.activation import Baseline
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.places import SettingsError
from taktgate.edge.settings import load_yaml
from taktgate.inspection.guardrails.trial import (
    BASELINE_MEMORY,
    Guardrail,
    GuardrailSettings,
    OverRejectSettings,
    TrialWatch,
    add_part,
    baseline_rate,
    counts_for_model,
    rejects_beyond,
)

SHIPPED = Path(__file__).parents[4] / "config/guardrails.yaml"
SETTINGS = GuardrailSettings()
PASS, FAIL = (Verdict.PASS, Reason.NONE), (Verdict.FAIL, Reason.NONE)


def station(rate: float) -> Baseline:
    return Baseline(parts=2000, rejects=round(2000 * rate))


def trial(baseline: float, true_rate: float, rng: random.Random) -> int | None:
    """Return after how many parts a trial went back, None when it was confirmed."""
    watch = TrialWatch(SETTINGS, station(baseline))
    while not watch.is_over:
        breach = watch.observe(*(FAIL if rng.random() < true_rate else PASS))
        if breach is not None:
            assert breach.guardrail is Guardrail.OVER_REJECT
            return watch.parts
    return None


@pytest.mark.parametrize(
    ("baseline", "most_parts_on_average"), [(0.05, 33), (0.075, 22), (0.1, 16), (0.15, 10)]
)
def test_five_times_the_baseline_is_found_within_60_parts(
    baseline: float, most_parts_on_average: float
) -> None:
    rng = random.Random(2)
    trials = [trial(baseline, 5 * baseline, rng) for _ in range(3000)]
    found = [parts for parts in trials if parts is not None]

    assert len(found) / len(trials) >= 0.99
    assert max(found) <= 60
    assert sum(found) / len(found) <= most_parts_on_average


@pytest.mark.parametrize("baseline", [0.05, 0.075, 0.1, 0.15])
def test_a_model_like_the_baseline_is_sent_back_in_at_most_one_percent(baseline: float) -> None:
    rng = random.Random(3)
    trials = [trial(baseline, baseline, rng) for _ in range(3000)]

    assert sum(parts is not None for parts in trials) / len(trials) <= 0.0125  # 3 sigma at 1 %


@pytest.mark.parametrize("reason", [Reason.MODEL_ERROR, Reason.TIMEOUT, Reason.NON_FINITE])
def test_three_parts_in_a_row_without_an_answer_send_the_model_back(reason: Reason) -> None:
    watch = TrialWatch(SETTINGS, station(0.5))
    silent = (Verdict.NO_DECISION, reason)

    assert watch.observe(*silent) is None
    assert watch.observe(*PASS) is None
    assert watch.observe(*silent) is None
    assert watch.observe(*silent) is None
    breach = watch.observe(*silent)

    assert breach is not None
    assert breach.guardrail is Guardrail.INFERENCE_FAILURE


@pytest.mark.parametrize("reason", list(Reason))
def test_only_the_models_own_doing_counts(reason: Reason) -> None:
    own = {Reason.UNCERTAIN, Reason.NON_FINITE, Reason.MODEL_ERROR, Reason.TIMEOUT}
    if reason is Reason.NONE:
        assert counts_for_model(*PASS) is False
        assert counts_for_model(*FAIL) is True
    else:
        expected = True if reason in own else None
        assert counts_for_model(Verdict.NO_DECISION, reason) is expected


def test_the_station_default_holds_until_there_are_enough_parts() -> None:
    settings = OverRejectSettings()

    assert baseline_rate(Baseline(parts=19, rejects=19), settings) == 0.05
    assert 0.4 < baseline_rate(Baseline(parts=20, rejects=10), settings) < 0.5
    assert baseline_rate(Baseline(parts=2000, rejects=0), settings) == 0.01
    assert baseline_rate(Baseline(parts=2000, rejects=2000), settings) == 0.75


@given(rejects=st.lists(st.booleans(), max_size=50), start=st.integers(0, BASELINE_MEMORY))
def test_a_baseline_stays_a_share_and_bounded(rejects: list[bool], start: int) -> None:
    baseline = Baseline(parts=start, rejects=start // 3)
    for is_reject in rejects:
        baseline = add_part(baseline, is_reject=is_reject)
        assert 0 <= baseline.rejects <= baseline.parts <= BASELINE_MEMORY


def test_the_last_part_asks_whether_the_baseline_would_reject_so_many() -> None:
    assert rejects_beyond(60, 0.05, 0.01) == 8
    assert rejects_beyond(60, 0.03, 0.01) == 6
    assert rejects_beyond(10, 0.9, 1e-9) == 10


def test_the_shipped_file_says_what_the_code_does_by_default() -> None:
    assert load_yaml(SHIPPED, GuardrailSettings) == GuardrailSettings()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("trial_parts: 3", "trial_parts"),
        ("over_reject: {factor: 0.5}", "over_reject.factor"),
        ("surprise: 1", "surprise"),
    ],
)
def test_a_bad_file_is_refused_by_field(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "guardrails.yaml").write_text(text)

    with pytest.raises(SettingsError, match=field):
        load_yaml(tmp_path / "guardrails.yaml", GuardrailSettings)
