"""What of a verdict the guardrails count."""

from dataclasses import dataclass
from typing import Final

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.decision.rule import NO_USABLE_ANSWER
from taktgate.inspection.guardrails.settings import LatencySettings

MODEL_REJECTS: Final = NO_USABLE_ANSWER | {Reason.UNCERTAIN}
"""Reasons of NO_DECISION that are the model's doing; the others say nothing about it: a missing
frame, an unfit image, a line that asks for more than one model can judge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPart:
    """One part that its model has answered for, or should have."""

    is_reject: bool
    is_failure: bool
    """No answer, or none that can be used."""
    verdict_ms: float | None
    """From the frame in memory to the verdict; None without a frame."""
    budget_ms: float
    score: float | None

    @property
    def is_over_budget(self) -> bool:
        """Return True for an answer that took longer than it may; a missing one is a failure."""
        if self.is_failure or self.verdict_ms is None:
            return False
        return self.verdict_ms > self.budget_ms


def counts_for_model(verdict: Verdict, reason: Reason) -> bool | None:
    """Return whether a part counts as rejected by its model; None when it says nothing about it."""
    if verdict is Verdict.PASS:
        return False
    if verdict is Verdict.FAIL or reason in MODEL_REJECTS:
        return True
    return None


def observe(envelope: VerdictEnvelope, settings: LatencySettings) -> ObservedPart | None:
    """Return what *envelope* says about its model; None when it says nothing.

    Time counts from the frame, not from the trigger: a slow camera is not the model's doing. The
    judge's queue, the hand-over and the run are in it, since all of them grow with a slow model.
    """
    is_reject = counts_for_model(envelope.verdict, envelope.reason)
    if is_reject is None or envelope.model is None:
        return None
    received_ns = envelope.received_ns
    return ObservedPart(
        is_reject=is_reject,
        is_failure=envelope.reason in NO_USABLE_ANSWER,
        verdict_ms=None
        if received_ns is None
        else (envelope.decided_ns - received_ns) / MILLISECOND,
        budget_ms=budget_ms(envelope, settings),
        score=envelope.score,
    )


def budget_ms(envelope: VerdictEnvelope, settings: LatencySettings) -> float:
    """Return how long the verdict of *envelope* may take from its frame on."""
    if settings.budget_ms is not None:
        return settings.budget_ms
    return settings.budget_share * (envelope.deadline_ns - envelope.trigger_ns) / MILLISECOND
