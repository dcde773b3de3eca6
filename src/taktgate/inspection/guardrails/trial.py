"""A model on trial: judges parts, and is sent back here, on the station, without the cloud.

Three tests look at each of its parts: INFERENCE_FAILURE, OVER_REJECT and LATENCY, each against
what the station's last confirmed model showed. Their counts are all there is to keep, so a trial
survives a restart. A confirmed escape ends it as well. How many parts a decision takes:
docs/guardrails.md.
"""

from dataclasses import replace

from taktgate.contracts.activation import NO_PARTS, Baseline, Trial
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.guardrails import inference_failure, latency, over_reject
from taktgate.inspection.guardrails.baseline import of_a_trial
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.escape_or_disagreement import Escapes
from taktgate.inspection.guardrails.observed import ObservedPart, observe
from taktgate.inspection.guardrails.settings import GuardrailSettings


class TrialWatch:
    """Follows one trial part by part, from what *so_far* has recorded of it on."""

    def __init__(
        self, settings: GuardrailSettings, baseline: Baseline, so_far: Trial | None = None
    ) -> None:
        parts = settings.trial_parts
        self._settings = settings
        paired = NO_PARTS if so_far is None else so_far.paired
        self._rejects_like = of_a_trial(baseline, paired, settings.over_reject)
        self._rejecting = over_reject.trial_test(settings.over_reject, self._rejects_like, parts)
        self._failing = inference_failure.trial_test(settings.inference_failure, baseline, parts)
        self._slow = latency.trial_test(settings.latency, baseline, parts)
        self._escapes = Escapes(settings.escape_or_disagreement)
        self.parts = 0 if so_far is None else so_far.parts
        self.rejects = 0 if so_far is None else so_far.rejects
        self.failures = 0 if so_far is None else so_far.failures
        self.consecutive_failures = 0 if so_far is None else so_far.consecutive_failures
        """Parts in a row without a usable answer, up to now."""
        self.over_budget = 0 if so_far is None else so_far.over_budget

    @property
    def is_over(self) -> bool:
        """Return True when all parts of the trial are in."""
        return self.parts >= self._settings.trial_parts

    def observe(self, envelope: VerdictEnvelope) -> Breach | None:
        """Take one verdict of the model on trial in; return the breach that it completes."""
        part = observe(envelope, self._settings.latency)
        if part is None:
            return None
        self._count(part)
        return self._failure() or self._over_reject() or self._latency(part.budget_ms)

    def escape(self, trigger_id: int, defect_class: str) -> Breach | None:
        """Take in that a person found part *trigger_id*, which this model passed, defective."""
        return self._escapes.report(trigger_id, defect_class)

    def progress(self, trial: Trial) -> Trial:
        """Return *trial* with the counts as they are now."""
        return replace(
            trial,
            parts=self.parts,
            rejects=self.rejects,
            failures=self.failures,
            consecutive_failures=self.consecutive_failures,
            over_budget=self.over_budget,
        )

    def as_baseline(self) -> Baseline:
        """Return what the trial has shown, as the baseline of the model that it confirms."""
        return Baseline(
            parts=self.parts,
            rejects=self.rejects,
            over_budget=self.over_budget,
            failures=self.failures,
        )

    def figures(self) -> dict[str, float]:
        """Return the figures of the trial so far, as they are reported."""
        test = self._rejecting
        return {
            "parts": float(self.parts),
            "rejects": float(self.rejects),
            "trialParts": float(self._settings.trial_parts),
            "baselineParts": float(self._rejects_like.parts),
            "baselineRate": round(test.rate, 4),
            "suspectRate": round(test.suspect, 4),
            "logRatio": round(test.evidence(self.rejects, self.parts), 3),
            "limit": round(test.limit, 3),
            "failures": float(self.failures),
            "consecutiveFailures": float(self.consecutive_failures),
            "overBudget": float(self.over_budget),
        }

    def _count(self, part: ObservedPart) -> None:
        self.parts += 1
        self.rejects += part.is_reject
        self.failures += part.is_failure
        self.consecutive_failures = self.consecutive_failures + 1 if part.is_failure else 0
        self.over_budget += part.is_over_budget

    def _failure(self) -> Breach | None:
        if inference_failure.in_a_row(self.consecutive_failures, self._settings.inference_failure):
            return self._breach(
                Guardrail.INFERENCE_FAILURE,
                f"{self.consecutive_failures} parts in a row without a usable answer",
            )
        if not self._failing.is_breach(self.failures, self.parts):
            return None
        return self._breach(
            Guardrail.INFERENCE_FAILURE,
            f"{self.failures} of {self.parts} parts without a usable answer",
        )

    def _over_reject(self) -> Breach | None:
        test = self._rejecting
        if not test.is_breach(self.rejects, self.parts):
            return None
        return self._breach(
            Guardrail.OVER_REJECT,
            f"{self.rejects} of {self.parts} parts rejected, "
            f"the station's baseline is {test.rate:.1%}",
        )

    def _latency(self, budget_ms: float) -> Breach | None:
        if not self._slow.is_breach(self.over_budget, self.parts):
            return None
        return self._breach(
            Guardrail.LATENCY,
            f"{self.over_budget} of {self.parts} parts took longer than {budget_ms:.0f} ms "
            "from frame to verdict",
            budgetMs=round(budget_ms, 3),
        )

    def _breach(self, guardrail: Guardrail, message: str, **more: float) -> Breach:
        return Breach(guardrail=guardrail, message=message, figures={**self.figures(), **more})


def counts_of(watch: TrialWatch | None) -> dict[str, float]:
    """Return the figures of *watch*, none without one."""
    return {} if watch is None else watch.figures()
