import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.inspection.judge.decision import ClassLine, Lines, decide

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


@given(score=st.floats(0, 1), classes=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_raising_a_score_never_turns_a_reject_into_a_pass(
    score: float, classes: tuple[float, float]
) -> None:
    before = decide(score, classes, LINES).verdict
    after = decide(min(1.0, score + 0.1), classes, LINES).verdict

    assert before is Verdict.PASS or after is not Verdict.PASS


def test_the_class_furthest_above_its_threshold_is_named() -> None:
    assert decide(0.9, (0.6, 0.9), LINES).decided_by == "gap"
    assert decide(0.1, (0.4, 0.1), LINES).decided_by == "pore"
