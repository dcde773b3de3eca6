"""ESCAPE_OR_DISAGREEMENT: defects pass, or the answers are not those of the confirmed model.

Live: in a block (over_reject.py) rejects fall by more than half of the baseline, and Fisher's
exact test finds that in at most 0.1 % of pairs of samples with one share; or an operator confirms
that a part with a critical defect has passed. Shadow: shadow.py.
"""

from taktgate.contracts.activation import Baseline
from taktgate.inspection.guardrails.binomial import fisher_at_most
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.settings import DisagreementSettings


def of_block(
    rejects: int, parts: int, baseline: Baseline, settings: DisagreementSettings
) -> Breach | None:
    """Return the breach of a whole block of the live model."""
    rate = baseline.rejects / baseline.parts
    if rejects / parts >= (1 - settings.fall) * rate:
        return None
    chance = fisher_at_most(rejects, parts, baseline.rejects, baseline.parts)
    if chance > settings.false_alarm:
        return None
    return Breach(
        guardrail=Guardrail.ESCAPE_OR_DISAGREEMENT,
        message=f"only {rejects} of {parts} parts rejected, the station's baseline is {rate:.1%}: "
        "defects may be passing",
        figures={
            "parts": float(parts),
            "rejects": float(rejects),
            "baselineParts": float(baseline.parts),
            "baselineRate": round(rate, 4),
            "chance": chance,
        },
    )


class Escapes:
    """Parts that an operator found defective after they had passed."""

    def __init__(self, settings: DisagreementSettings) -> None:
        self._settings = settings
        self._parts: set[int] = set()

    def report(self, trigger_id: int, defect_class: str) -> Breach | None:
        """Take one confirmed escape in; the same part counts once."""
        critical = self._settings.critical_classes
        if critical is not None and defect_class not in critical:
            return None
        self._parts.add(trigger_id)
        if len(self._parts) < self._settings.escapes:
            return None
        count = len(self._parts)
        self._parts.clear()
        return Breach(
            guardrail=Guardrail.ESCAPE_OR_DISAGREEMENT,
            message=f"{count} confirmed escape(s), the last one part {trigger_id}: {defect_class}",
            figures={"escapes": float(count)},
        )
