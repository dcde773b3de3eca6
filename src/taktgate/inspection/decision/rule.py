"""From scores to a verdict: the one rule that lets a part pass."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, Finite, Name
from taktgate.contracts.verdict import Reason, Verdict

NO_USABLE_ANSWER: Final = frozenset({Reason.TIMEOUT, Reason.MODEL_ERROR, Reason.NON_FINITE})
"""What a model is blamed for: by the breaker within a few parts, by the guardrails over many."""

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassLine:
    """A defect class and the score from which on it rejects a part."""

    __pydantic_config__ = STRICT_DOCUMENT

    name: Name
    threshold: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Where a bundle draws the line; taken from its manifest and nowhere else."""

    __pydantic_config__ = STRICT_DOCUMENT

    classes: tuple[ClassLine, ...]
    uncertain_low: Share
    uncertain_high: Share


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a set of scores means under a bundle's lines."""

    __pydantic_config__ = STRICT_DOCUMENT

    verdict: Verdict
    reason: Reason
    score: Finite | None
    decided_by: Name | None


def undecided(reason: Reason) -> Decision:
    """Return that no scores decide."""
    return Decision(verdict=Verdict.NO_DECISION, reason=reason, score=None, decided_by=None)


def decide(score: float, class_scores: Sequence[float], lines: Lines) -> Decision:
    """Return the verdict for *score* and *class_scores*, in the order of the bundle's classes.

    A part passes if the score is below the uncertain band and each class below its own threshold.
    Every comparison is written so that a NaN fails it. What does not pass is uncertain if all that
    speaks against the part lies inside the band, else it fails.
    """
    values = (score, *class_scores)
    if not all(math.isfinite(value) for value in values):
        return undecided(Reason.NON_FINITE)
    if len(class_scores) != len(lines.classes) or not all(0.0 <= value <= 1.0 for value in values):
        return undecided(Reason.MODEL_ERROR)
    speaking = [
        value
        for value, line in zip(class_scores, lines.classes, strict=True)
        if not value < line.threshold
    ]
    if not score < lines.uncertain_low:
        speaking.append(score)
    decided_by = _decisive(class_scores, lines)
    if not speaking:
        return Decision(
            verdict=Verdict.PASS, reason=Reason.NONE, score=score, decided_by=decided_by
        )
    if all(lines.uncertain_low <= value < lines.uncertain_high for value in speaking):
        return Decision(
            verdict=Verdict.NO_DECISION,
            reason=Reason.UNCERTAIN,
            score=score,
            decided_by=decided_by,
        )
    return Decision(verdict=Verdict.FAIL, reason=Reason.NONE, score=score, decided_by=decided_by)


def _decisive(class_scores: Sequence[float], lines: Lines) -> str | None:
    """Return the class that comes closest to its threshold, or lies furthest above it."""
    margins = [
        (value - line.threshold, line.name)
        for value, line in zip(class_scores, lines.classes, strict=True)
    ]
    return max(margins)[1] if margins else None
