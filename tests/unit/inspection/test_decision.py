import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.inspection.decision.answer import REASONS, decide_answer, named_scores
from taktgate.inspection.decision.rule import ClassLine, Lines, decide
from taktgate.inspection.doorbell import Answer, RunFault

LINES = Lines(
    classes=(ClassLine(name="pore", threshold=0.5), ClassLine(name="gap", threshold=0.3)),
    uncertain_low=0.45,
    uncertain_high=0.55,
)
ANY = st.floats(allow_nan=True, allow_infinity=True)


@pytest.mark.parametrize(
    ("score", "classes", "verdict", "reason"),
    [
        (0.1, (0.1, 0.1), Verdict.PASS, Reason.NONE),
        (0.4499, (0.4999, 0.2999), Verdict.PASS, Reason.NONE),
        (0.45, (0.1, 0.1), Verdict.NO_DECISION, Reason.UNCERTAIN),
        (0.5, (0.5, 0.1), Verdict.NO_DECISION, Reason.UNCERTAIN),
        (0.55, (0.1, 0.1), Verdict.FAIL, Reason.NONE),
        (0.1, (0.1, 0.3), Verdict.FAIL, Reason.NONE),
        (0.5, (0.1, 0.31), Verdict.FAIL, Reason.NONE),
        (math.nan, (0.1, 0.1), Verdict.NO_DECISION, Reason.NON_FINITE),
        (0.1, (0.1, math.nan), Verdict.NO_DECISION, Reason.NON_FINITE),
        (math.inf, (0.1, 0.1), Verdict.NO_DECISION, Reason.NON_FINITE),
        (-math.inf, (0.1, 0.1), Verdict.NO_DECISION, Reason.NON_FINITE),
        (-0.5, (0.1, 0.1), Verdict.NO_DECISION, Reason.MODEL_ERROR),
        (0.1, (0.1,), Verdict.NO_DECISION, Reason.MODEL_ERROR),
        (0.1, (), Verdict.NO_DECISION, Reason.MODEL_ERROR),
    ],
)
def test_lines_of_the_bundle_decide(
    score: float, classes: tuple[float, ...], verdict: Verdict, reason: Reason
) -> None:
    decision = decide(score, classes, LINES)

    assert (decision.verdict, decision.reason) == (verdict, reason)


@given(score=ANY, classes=st.lists(ANY, max_size=4))
def test_a_part_passes_only_with_finite_scores_below_every_line(
    score: float, classes: list[float]
) -> None:
    decision = decide(score, classes, LINES)

    if decision.verdict is Verdict.PASS:
        assert len(classes) == len(LINES.classes)
        assert 0.0 <= score < LINES.uncertain_low
        assert all(
            0.0 <= value < line.threshold
            for value, line in zip(classes, LINES.classes, strict=True)
        )


@given(
    scores=st.tuples(*[st.floats(0, 1)] * 3),
    raised=st.tuples(*[st.floats(0, 1)] * 3),
    lines=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_raising_any_score_never_turns_a_reject_into_a_pass(
    scores: tuple[float, ...], raised: tuple[float, ...], lines: tuple[float, ...]
) -> None:
    """Under any lines that a bundle may draw."""
    pore, gap, *band = lines
    drawn = Lines(
        classes=(ClassLine(name="pore", threshold=pore), ClassLine(name="gap", threshold=gap)),
        uncertain_low=min(band),
        uncertain_high=max(band),
    )
    before = decide(scores[0], scores[1:], drawn).verdict
    higher = [max(pair) for pair in zip(scores, raised, strict=True)]
    after = decide(higher[0], higher[1:], drawn).verdict

    assert before is Verdict.PASS or after is not Verdict.PASS


@given(
    place=st.integers(0, 2),
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
    others=st.lists(st.floats(0, 0.2), min_size=3, max_size=3),
)
def test_one_value_that_is_not_finite_anywhere_is_a_fault_however_good_the_others_are(
    place: int, value: float, others: list[float]
) -> None:
    others[place] = value
    decision = decide(others[0], others[1:], LINES)

    assert (decision.verdict, decision.reason) == (Verdict.NO_DECISION, Reason.NON_FINITE)


def test_the_class_furthest_above_its_threshold_is_named() -> None:
    assert decide(0.9, (0.6, 0.9), LINES).decided_by == "gap"
    assert decide(0.1, (0.4, 0.1), LINES).decided_by == "pore"


def answer(fault: RunFault) -> Answer:
    """Return an answer whose scores would pass, with *fault*."""
    return Answer(
        job_id=1,
        fault=fault,
        score=0.1,
        class_scores=(0.1, 0.2),
        arrived_ns=1,
        gated_ns=2,
        start_ns=3,
        end_ns=4,
        facts=None,
    )


@pytest.mark.parametrize("fault", [fault for fault in RunFault if fault is not RunFault.NONE])
def test_an_answer_with_a_fault_never_passes_whatever_its_scores_are(fault: RunFault) -> None:
    decision = decide_answer(answer(fault), LINES)

    assert (decision.verdict, decision.reason) == (Verdict.NO_DECISION, REASONS[fault])
    assert named_scores(decision, answer(fault), LINES) == ()


def test_an_answer_without_a_fault_is_decided_by_its_scores_each_by_its_own_name() -> None:
    good = answer(RunFault.NONE)
    decision = decide_answer(good, LINES)

    assert decision == decide(0.1, (0.1, 0.2), LINES)
    scores = {each.name: each.score for each in named_scores(decision, good, LINES)}
    assert scores == {"pore": 0.1, "gap": 0.2}
