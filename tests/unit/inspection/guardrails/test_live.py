import math
import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inspection.guardrails.parts import (
    FAIL,
    NO_FRAME,
    PASS,
    SILENT,
    SLOW,
    station,
    verdict,
)

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.live import LiveWatch
from taktgate.inspection.guardrails.resource_or_drift import ResourceSample
from taktgate.inspection.guardrails.settings import GuardrailSettings

SETTINGS = GuardrailSettings()
COOL = [PASS] * SETTINGS.cool_down_parts
ANY = st.sampled_from([PASS, FAIL, SLOW, SILENT, NO_FRAME])


def watch(baseline: float = 0.1) -> LiveWatch:
    return LiveWatch(SETTINGS, station(baseline))


def breaches(live: LiveWatch, parts: list[VerdictEnvelope]) -> list[tuple[int, Breach]]:
    """Return each breach and the part that completed it, from 1."""
    found = [(number, live.observe(part)) for number, part in enumerate(parts, start=1)]
    return [(number, breach) for number, breach in found if breach is not None]


def mixed(parts: int, **per_thousand: int) -> list[VerdictEnvelope]:
    """Return parts among which the given kinds are spread evenly."""
    kinds = {"fail": FAIL, "slow": SLOW, "silent": SILENT}
    line = [PASS] * parts
    for offset, (name, count) in enumerate(per_thousand.items()):
        for k in range(parts * count // 1000):
            line[min(parts - 1, math.ceil(k * 1000 / count) + offset)] = kinds[name]
    return line


def test_a_p99_over_the_budget_in_two_windows_running_is_a_breach() -> None:
    [(number, breach)] = breaches(watch(), [*COOL, *mixed(2000, slow=20, fail=100)])

    assert breach.guardrail is Guardrail.LATENCY
    assert 1000 < number <= 2020
    assert breach.figures["overBudget"] == 11.0


def test_a_p99_within_the_budget_is_none() -> None:
    assert breaches(watch(), [*COOL, *mixed(4000, slow=9, fail=100)]) == []


def test_one_slow_window_between_good_ones_is_no_breach() -> None:
    parts = [*COOL, *([SLOW] * 11), *mixed(2000, fail=100), *([SLOW] * 11), *mixed(989, fail=100)]

    assert breaches(watch(), parts) == []


def test_a_model_that_is_always_too_slow_is_found_after_22_parts() -> None:
    [(number, breach)] = breaches(watch(), [*COOL, *[SLOW] * 30])

    assert breach.guardrail is Guardrail.LATENCY
    assert number == len(COOL) + 22


def test_three_failures_in_a_row_are_a_breach_from_the_first_part_after_the_cool_down() -> None:
    [(number, breach)] = breaches(watch(), [*COOL[1:], SILENT, SILENT, SILENT])

    assert breach.guardrail is Guardrail.INFERENCE_FAILURE
    assert number == len(COOL) + 2


def test_nothing_fires_while_it_cools_down() -> None:
    assert breaches(watch(), [SILENT] * len(COOL)) == []


def test_two_failures_among_a_thousand_are_one_too_many() -> None:
    thousand = mixed(1000, fail=100)
    thousand[100] = thousand[700] = SILENT

    [(number, breach)] = breaches(watch(), [*COOL, *thousand])

    assert breach.guardrail is Guardrail.INFERENCE_FAILURE
    assert number == len(COOL) + 1000


def test_one_failure_among_a_thousand_is_allowed() -> None:
    thousand = mixed(1000, fail=100)
    thousand[100] = SILENT

    assert breaches(watch(), [*COOL, *thousand]) == []


def test_many_failures_do_not_wait_for_the_thousandth_part() -> None:
    number, breach = breaches(watch(), [*COOL, *[SILENT, PASS, PASS] * 20])[0]

    assert breach.guardrail is Guardrail.INFERENCE_FAILURE
    assert number <= len(COOL) + 30


def test_twice_the_baselines_rejects_are_a_breach_after_500_parts() -> None:
    [(number, breach)] = breaches(watch(), [*COOL, *mixed(500, fail=200)])

    assert breach.guardrail is Guardrail.OVER_REJECT
    assert number == len(COOL) + 500


def test_rejects_within_3_sigma_or_one_and_a_half_times_are_none() -> None:
    assert breaches(watch(), [*COOL, *mixed(500, fail=145)]) == []


def test_rejects_that_fall_by_more_than_half_are_a_breach() -> None:
    [(number, breach)] = breaches(watch(), [*COOL, *mixed(500, fail=40)])

    assert breach.guardrail is Guardrail.ESCAPE_OR_DISAGREEMENT
    assert number == len(COOL) + 500


def test_a_fall_that_a_little_known_baseline_may_bring_about_by_chance_is_none() -> None:
    live = LiveWatch(SETTINGS, station(0.1, parts=30))  # three rejects of thirty parts

    assert breaches(live, [*COOL, *mixed(500, fail=40)]) == []


def test_a_camera_that_is_slow_is_not_the_models_doing() -> None:
    late = [replace(PASS, received_ns=150 * MILLISECOND, decided_ns=170 * MILLISECOND)] * 100

    assert breaches(LiveWatch(SETTINGS, station(0.0, parts=0)), [*COOL, *late]) == []


def test_rejects_that_fall_by_half_are_none() -> None:
    assert breaches(watch(), [*COOL, *mixed(500, fail=52)]) == []


def test_rare_rejects_are_not_compared_before_25_of_them_are_expected() -> None:
    live = watch(0.01)

    assert breaches(live, [*COOL, *[PASS] * 2300]) == []  # at 500 parts zero rejects mean nothing
    [(_, breach)] = breaches(live, [PASS] * 300)
    assert breach.guardrail is Guardrail.ESCAPE_OR_DISAGREEMENT


def test_without_a_baseline_no_reject_rate_is_wrong() -> None:
    live = LiveWatch(SETTINGS, station(0.0, parts=0))

    assert breaches(live, [*COOL, *mixed(2000, fail=600)]) == []


def test_a_confirmed_escape_is_a_breach_at_once() -> None:
    breach = watch().escape(17, "crack")

    assert breach is not None
    assert breach.guardrail is Guardrail.ESCAPE_OR_DISAGREEMENT
    assert "part 17: crack" in breach.message


def test_an_escape_of_an_uncritical_class_or_of_one_part_twice_is_none() -> None:
    rules = SETTINGS.escape_or_disagreement.model_copy(
        update={"critical_classes": ("crack",), "escapes": 2}
    )
    live = LiveWatch(SETTINGS.model_copy(update={"escape_or_disagreement": rules}), station(0.1))

    assert live.escape(1, "scratch") is None
    assert live.escape(2, "crack") is None
    assert live.escape(2, "crack") is None
    assert live.escape(3, "crack") is not None


def test_a_guardrail_that_has_fired_is_silent_until_it_would_not_have_for_a_while() -> None:
    live = LiveWatch(SETTINGS, station(0.0, parts=0))
    parts = [*COOL, *[SLOW] * 300, *mixed(SETTINGS.rearm_parts, fail=100), *[SLOW] * 22]
    numbers = [number for number, _ in breaches(live, parts)]

    assert numbers == [len(COOL) + 22, len(parts)]


@given(parts=st.lists(ANY, max_size=400))
def test_no_rate_fires_below_its_minimum_count(parts: list[VerdictEnvelope]) -> None:
    for _, breach in breaches(watch(), parts):
        assert breach.guardrail in (Guardrail.INFERENCE_FAILURE, Guardrail.LATENCY)
        if breach.guardrail is Guardrail.LATENCY:
            assert parts.count(SLOW) >= 22
        else:
            assert parts.count(SILENT) >= 3


@given(parts=st.lists(ANY, max_size=100))
def test_figures_are_finite(parts: list[VerdictEnvelope]) -> None:
    live = watch()
    for part in parts:
        breach = live.observe(part)
        assert breach is None or all(map(math.isfinite, breach.figures.values()))
    assert all(map(math.isfinite, live.figures().values()))


def test_a_sound_model_is_left_alone_for_a_shift() -> None:
    rng = random.Random(5)
    live = watch(0.1)
    for _ in range(20_000):
        is_defective = rng.random() < 0.1
        score = 0.9 if is_defective else rng.betavariate(2, 20)
        word = Verdict.FAIL if is_defective else Verdict.PASS
        assert live.observe(verdict(word, score=score, took_ms=rng.gauss(20, 4))) is None


def test_a_reason_that_is_not_the_models_counts_for_nothing() -> None:
    live = watch()
    for reason in (Reason.OVERLOAD, Reason.IMAGE_DARK, Reason.NO_FRAME, Reason.SKIPPED):
        assert live.observe(verdict(Verdict.NO_DECISION, reason, took_ms=190.0)) is None
    assert live.parts == 0


def test_the_newest_sample_of_the_device_is_among_the_figures() -> None:
    live = watch()
    live.resources(ResourceSample(runner_rss_mb=80.0, is_throttled=False))
    live.resources(ResourceSample(runner_rss_mb=90.0))

    assert live.figures()["runnerRssMb"] == 90.0
    assert "throttled" not in live.figures(), "what the device does not tell is no figure"
