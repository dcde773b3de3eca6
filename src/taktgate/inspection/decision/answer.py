"""What a runner's answer means: scores by the rule of its bundle, a fault as a reason. Pure.

The judge, a shadow and `/infer` all ask here, so one answer means the same to each of them.
"""

from collections.abc import Mapping
from typing import Final

from taktgate.contracts.verdict import ClassScore, Reason
from taktgate.inspection.decision.rule import Decision, Lines, decide, undecided
from taktgate.inspection.doorbell import Answer, RunFault

REASONS: Final[Mapping[RunFault, Reason]] = {
    RunFault.RUN_FAILED: Reason.MODEL_ERROR,
    RunFault.BAD_FRAME: Reason.MODEL_ERROR,
    RunFault.NON_FINITE: Reason.NON_FINITE,
    RunFault.TERMINATED: Reason.TIMEOUT,
    RunFault.IMAGE_DARK: Reason.IMAGE_DARK,
    RunFault.IMAGE_SATURATED: Reason.IMAGE_SATURATED,
    RunFault.IMAGE_EXPOSURE: Reason.IMAGE_EXPOSURE,
    RunFault.IMAGE_BLURRED: Reason.IMAGE_BLURRED,
}
"""Of a run that gave no scores. Every fault has one: only `NONE` can lead to a pass."""


def decide_answer(answer: Answer, lines: Lines) -> Decision:
    """Return the verdict for *answer* under *lines*, those of the bundle that gave it."""
    if answer.fault is not RunFault.NONE:
        return undecided(REASONS[answer.fault])
    return decide(answer.score, answer.class_scores, lines)


def named_scores(decision: Decision, answer: Answer, lines: Lines) -> tuple[ClassScore, ...]:
    """Return the class scores of *answer* by name; nothing when no scores led to *decision*."""
    if decision.score is None:
        return ()
    return tuple(
        ClassScore(name=line.name, score=score)
        for line, score in zip(lines.classes, answer.class_scores, strict=True)
    )
