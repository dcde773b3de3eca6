"""A confirmed model that judges: watched for as long as it does.

Held against the baseline of the model that it replaced, the one that it would go back to. After a
swap or a return a few parts are counted by no test (cool-down). A guardrail that has fired is
silent until it would not have fired for `rearm_parts` (hysteresis): where there is no way back it
alarms once.
"""

from taktgate.contracts.activation import Baseline
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.guardrails import escape_or_disagreement, inference_failure, over_reject
from taktgate.inspection.guardrails.baseline import baseline_rate
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.escape_or_disagreement import Escapes
from taktgate.inspection.guardrails.inference_failure import FailureWindows
from taktgate.inspection.guardrails.latency import LatencyWindows
from taktgate.inspection.guardrails.observed import ObservedPart, observe
from taktgate.inspection.guardrails.resource_or_drift import (
    InputDrift,
    ResourceSample,
    ResourceWatch,
    ScoreDrift,
)
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.image_facts import ImageFacts


class LiveWatch:
    """Follows one confirmed model from the part on at which it became so, or was returned to.

    *inputs* is the predecessor's: what the camera sees does not begin anew with a model.
    """

    def __init__(
        self, settings: GuardrailSettings, baseline: Baseline, *, inputs: InputDrift | None = None
    ) -> None:
        self._settings = settings
        self._slow = LatencyWindows(settings.latency, baseline)
        self._failing = FailureWindows(settings.inference_failure, baseline)
        self._rates = RejectBlocks(settings, baseline)
        self._escapes = Escapes(settings.escape_or_disagreement)
        self._scores = ScoreDrift(settings.drift)
        self._resources = ResourceWatch(settings.resource)
        self.inputs = InputDrift(settings.drift) if inputs is None else inputs
        self.parts = 0
        """Parts that the model has answered for, or should have."""
        self._consecutive_failures = 0
        self._fired_at: dict[Guardrail, int] = {}

    def observe(self, envelope: VerdictEnvelope) -> Breach | None:
        """Take one verdict of the live model in; return the breach that it completes."""
        part = observe(envelope, self._settings.latency)
        if part is None:
            return None
        self.parts += 1
        self._consecutive_failures = self._consecutive_failures + 1 if part.is_failure else 0
        if self.parts <= self._settings.cool_down_parts:
            return None
        found = (
            inference_failure.in_a_row(
                self._consecutive_failures, self._settings.inference_failure
            ),
            self._failing.observe(part),
            self._rates.observe(part),
            self._slow.observe(part),
            self._drift(part),
        )
        heard = [breach for breach in found if breach is not None and self._is_heard(breach)]
        return heard[0] if heard else None

    def image(self, facts: ImageFacts) -> Breach | None:
        """Take the facts of one image in; return the alarm that they complete."""
        return self.inputs.add(facts)

    def resources(self, sample: ResourceSample) -> Breach | None:
        """Take one sample of the device in; return the breach that it completes."""
        return self._resources.add(sample)

    def escape(self, trigger_id: int, defect_class: str) -> Breach | None:
        """Take in that a person found part *trigger_id*, which this model passed, defective."""
        return self._escapes.report(trigger_id, defect_class)

    def figures(self) -> dict[str, float]:
        """Return the figures of the watch so far, as they are reported."""
        return {
            "liveParts": float(self.parts),
            "consecutiveFailures": float(self._consecutive_failures),
            **self._failing.figures(),
            **self._slow.figures(),
            **self._rates.figures(),
            **self._scores.figures(),
            **self.inputs.figures(),
            **self._resources.figures(),
        }

    def _drift(self, part: ObservedPart) -> Breach | None:
        if part.score is None:
            return None
        return self._scores.add(part.score, are_images_steady=self.inputs.is_steady)

    def _is_heard(self, breach: Breach) -> bool:
        """Tell whether *breach* is news; each breach that is not keeps its guardrail silent."""
        before = self._fired_at.get(breach.guardrail)
        self._fired_at[breach.guardrail] = self.parts
        return before is None or self.parts - before >= self._settings.rearm_parts


class RejectBlocks:
    """The reject rate, block after block: too high is OVER_REJECT, too low may be an escape."""

    def __init__(self, settings: GuardrailSettings, baseline: Baseline) -> None:
        self._settings = settings
        self._baseline = baseline
        rate = baseline_rate(baseline, settings.over_reject)
        at_least = max(settings.over_reject.min_parts, settings.escape_or_disagreement.min_parts)
        self._block = over_reject.block_parts(rate, at_least)
        self._is_known = baseline.parts >= settings.over_reject.min_baseline_parts
        """Too little data is inconclusive: without a baseline no rate is too high or too low."""
        self._parts = 0
        self._rejects = 0

    def observe(self, part: ObservedPart) -> Breach | None:
        """Take one part in; return the breach that it completes."""
        self._parts += 1
        self._rejects += part.is_reject
        if self._parts < self._block:
            return None
        parts, rejects = self._parts, self._rejects
        self._parts, self._rejects = 0, 0
        if not self._is_known:
            return None
        settings, baseline = self._settings, self._baseline
        return over_reject.of_block(
            rejects, parts, baseline, settings.over_reject
        ) or escape_or_disagreement.of_block(
            rejects, parts, baseline, settings.escape_or_disagreement
        )

    def figures(self) -> dict[str, float]:
        """Return the present block's counts."""
        return {
            "blockParts": float(self._parts),
            "blockRejects": float(self._rejects),
            "blockLength": float(self._block),
        }
