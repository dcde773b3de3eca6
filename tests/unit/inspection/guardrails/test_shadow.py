import math

from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.guardrails.shadow import ShadowComparison, ShadowOutcome
from taktgate.inspection.opinions import Opinion, ShadowPair

SETTINGS = GuardrailSettings()
PARTS = SETTINGS.shadow_parts


def opinion(
    verdict: Verdict,
    *,
    reason: Reason = Reason.NONE,
    score: float | None = None,
    decided_by: str | None = None,
    run_ms: float = 8.0,
) -> Opinion:
    return Opinion(
        digest="sha256:" + "a" * 64,
        verdict=verdict,
        reason=reason,
        score=score,
        scores=(),
        decided_by=decided_by,
        run_ns=round(run_ms * MILLISECOND),
    )


def two(live: Opinion, shadow: Opinion) -> ShadowPair:
    return ShadowPair(judge_start_id="j", trigger_id=1, live=live, shadow=shadow)


def passed(run_ms: float = 8.0) -> Opinion:
    return opinion(Verdict.PASS, score=0.1, run_ms=run_ms)


def failed(name: str | None = None) -> Opinion:
    return opinion(Verdict.FAIL, score=0.9, decided_by=name)


BROKEN = opinion(Verdict.NO_DECISION, reason=Reason.NON_FINITE)
SILENT = opinion(Verdict.NO_DECISION, reason=Reason.TIMEOUT, run_ms=0.0)
SAME = two(passed(), passed())
ESCAPES = two(failed("crack"), passed())
REJECTS = two(passed(), failed("pore"))
ANY = st.sampled_from([SAME, two(failed(), failed()), ESCAPES, REJECTS, two(passed(), BROKEN)])


def compared(pairs: list[ShadowPair], settings: GuardrailSettings = SETTINGS) -> ShadowComparison:
    comparison = ShadowComparison(settings)
    for pair in pairs:
        comparison.add(pair)
    return comparison


def breach_of(comparison: ShadowComparison) -> Breach:
    outcome = comparison.outcome()
    assert isinstance(outcome, Breach)
    return outcome


def test_a_shadow_that_agrees_passes_with_its_last_part_and_not_before() -> None:
    assert compared([SAME] * (PARTS - 1)).outcome() is ShadowOutcome.RUNNING
    assert compared([SAME] * PARTS).outcome() is ShadowOutcome.PASSED


def test_what_comes_after_the_last_part_changes_nothing() -> None:
    comparison = compared([*[SAME] * PARTS, *[ESCAPES] * 20])

    assert comparison.outcome() is ShadowOutcome.PASSED
    assert comparison.figures()["agreement"] == 1.0


def test_one_disagreement_in_forty_is_no_breach() -> None:
    assert compared([ESCAPES, *[SAME] * (PARTS - 1)]).outcome() is ShadowOutcome.PASSED


def test_a_shadow_that_lets_rejects_pass_is_sent_back_with_the_class() -> None:
    comparison = compared([ESCAPES] * PARTS)
    breach = breach_of(comparison)

    assert breach.guardrail is Guardrail.ESCAPE_OR_DISAGREEMENT
    assert comparison.pairs == 5
    assert breach.figures["liveFailShadowPass"] == 5.0
    assert breach.figures["liveFailShadowPass:crack"] == 5.0
    assert breach.figures["livePassShadowFail"] == 0.0
    assert breach.figures["mcnemarP"] == 2 / 2**5


def test_both_directions_of_disagreement_are_kept_apart() -> None:
    figures = compared([ESCAPES, SAME, REJECTS, SAME]).figures()

    assert figures["liveFailShadowPass:crack"] == 1.0
    assert figures["livePassShadowFail:pore"] == 1.0
    assert figures["agreement"] == 0.5
    assert figures["mcnemarP"] == 1.0


def test_a_shadow_without_answers_is_sent_back_for_that() -> None:
    in_a_row = compared([two(passed(), BROKEN)] * 3)
    now_and_then = compared([SAME, SAME, two(passed(), BROKEN)] * 13)

    assert breach_of(in_a_row).guardrail is Guardrail.INFERENCE_FAILURE
    assert breach_of(now_and_then).guardrail is Guardrail.INFERENCE_FAILURE
    assert breach_of(now_and_then).figures["shadowPairs"] < PARTS


def test_no_answer_is_no_agreement() -> None:
    assert "agreement" not in compared([two(passed(), BROKEN)] * 2).figures()


def test_a_shadow_that_never_answers_in_time_is_given_up() -> None:
    silence = [two(passed(), SILENT)]

    assert compared(silence * 9).outcome() is ShadowOutcome.RUNNING
    assert breach_of(compared(silence * 10)).guardrail is Guardrail.INFERENCE_FAILURE


def test_a_shadow_that_a_busy_line_keeps_waiting_is_not_accused() -> None:
    starved = compared([SAME, *[two(passed(), SILENT)] * 6] * PARTS)

    assert starved.outcome() is ShadowOutcome.PASSED
    assert starved.figures()["agreement"] == 1.0


def test_a_part_that_the_live_model_did_not_judge_says_nothing_about_the_shadow() -> None:
    assert compared([two(SILENT, failed())] * 50).pairs == 0


def test_a_shadow_whose_quickest_runs_are_too_slow_is_sent_back() -> None:
    latency = SETTINGS.latency.model_copy(update={"budget_ms": 45.0})
    settings = SETTINGS.model_copy(update={"latency": latency})

    slow = compared([two(passed(), passed(60.0))] * PARTS, settings)
    preempted = compared([SAME, *[two(passed(), passed(60.0))] * 2] * PARTS, settings)

    assert breach_of(slow).guardrail is Guardrail.LATENCY
    assert preempted.outcome() is ShadowOutcome.PASSED


@given(pairs=st.lists(ANY, max_size=80))
def test_a_shadow_decides_once_and_its_figures_are_finite(pairs: list[ShadowPair]) -> None:
    comparison = ShadowComparison(SETTINGS)
    decided: ShadowOutcome | Breach = ShadowOutcome.RUNNING
    for pair in pairs:
        comparison.add(pair)
        if decided is not ShadowOutcome.RUNNING:
            assert comparison.outcome() == decided
        decided = comparison.outcome()
    assert comparison.pairs <= PARTS
    assert all(map(math.isfinite, comparison.figures().values()))
