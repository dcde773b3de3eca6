"""The confirmed model: its baseline on this station, and what its guardrails find."""

from collections.abc import Callable

from taktgate.contracts.activation import Activation, Baseline
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.guardrails.baseline import BaselineKeeper
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.environment import Response, respond
from taktgate.inspection.guardrails.live import LiveWatch
from taktgate.inspection.guardrails.resource_or_drift import InputDrift, ResourceSample
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.image_facts import ImageFacts


class GoodModel:
    """Watches last-known-good for as long as it judges."""

    def __init__(
        self, activation: Activation, settings: GuardrailSettings, clock: Callable[[], int]
    ) -> None:
        self._settings = settings
        self._baseline = BaselineKeeper(activation.baseline, settings, clock)
        self._has_returned = False
        self.has_failed = False
        """It gives no usable answers, and the station had to stay with it."""
        self._watch = self._watch_of(activation, None)

    @property
    def counts(self) -> Baseline:
        """Return the baseline as it is now; the disk hears of it at a low rate."""
        return self._baseline.counts

    @property
    def figures(self) -> dict[str, float]:
        """Return what the watch has counted."""
        return self._watch.figures()

    def due(self, saved: Baseline) -> Baseline | None:
        """Return the baseline when it is to replace *saved* on the disk."""
        return self._baseline.due(saved)

    def restart(self, activation: Activation, *, has_returned: bool) -> None:
        """Begin with the model that is last-known-good from now on.

        *has_returned*: the station went back to it; should it breach soon, it is not the model.
        """
        self._baseline.restart(activation.baseline)
        self._has_returned, self.has_failed = has_returned, False
        self._watch = self._watch_of(activation, self._watch.inputs)

    def observe(self, envelope: VerdictEnvelope) -> Breach | None:
        """Take in one part that it judged; return the breach that the part completes."""
        self._baseline.add(envelope)
        return self._watch.observe(envelope)

    def image(self, facts: ImageFacts) -> Breach | None:
        """Take in what was measured on one image."""
        return self._watch.image(facts)

    def resources(self, sample: ResourceSample) -> Breach | None:
        """Take in what the device bears."""
        return self._watch.resources(sample)

    def escape(self, trigger_id: int, defect_class: str) -> Breach | None:
        """Take in that a person found a part defective that this model passed."""
        return self._watch.escape(trigger_id, defect_class)

    def response(self, breach: Breach, *, has_way_back: bool) -> Response:
        """Return what follows from *breach* of it."""
        response = respond(
            breach,
            self._settings,
            has_way_back=has_way_back,
            parts_since_return=self._watch.parts if self._has_returned else None,
        )
        is_failure = breach.guardrail is Guardrail.INFERENCE_FAILURE
        self.has_failed = is_failure and response is not Response.ROLL_BACK
        return response

    def _watch_of(self, activation: Activation, inputs: InputDrift | None) -> LiveWatch:
        """Return a watch that holds the model against the one that it would go back to."""
        baseline = activation.baseline
        if activation.previous_good is not None:
            baseline = activation.previous_baseline
        return LiveWatch(self._settings, baseline, inputs=inputs)
