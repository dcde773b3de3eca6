"""INFERENCE_FAILURE: no answer in time, an answer that is not finite, a run or process that failed.

Live: 3 parts in a row, or more than 0.1 % of a window of 1,000 (a window ends early at a count
that 0.1 % brings about less than once in a million windows: 10). Trial: 3 in a row, or a
sequential test of the share against `trial_share`. Where the station's last model failed more
often than 0.1 %, that is what counts.
"""

from typing import Final

from taktgate.contracts.activation import Baseline
from taktgate.inspection.guardrails.baseline import allowed_hits, allowed_share
from taktgate.inspection.guardrails.binomial import hits_beyond
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.observed import ObservedPart
from taktgate.inspection.guardrails.sequential import RatioTest
from taktgate.inspection.guardrails.settings import InferenceFailureSettings

TRIAL_RATE: Final = 0.01
"""Sixty parts cannot tell less apart from nothing."""


def trial_test(settings: InferenceFailureSettings, baseline: Baseline, parts: int) -> RatioTest:
    """Return the test of a trial's share of parts without a usable answer."""
    rate = allowed_share(baseline.failures, baseline.parts, TRIAL_RATE)
    suspect = max(settings.trial_share, 5 * rate)
    return RatioTest.of(settings, rate=rate, suspect=suspect, parts=parts)


def in_a_row(failures: int, settings: InferenceFailureSettings) -> Breach | None:
    """Return the breach of so many *failures* in a row."""
    if failures < settings.consecutive:
        return None
    return Breach(
        guardrail=Guardrail.INFERENCE_FAILURE,
        message=f"{failures} parts in a row without a usable answer",
        figures={"consecutiveFailures": float(failures)},
    )


class FailureWindows:
    """The live model's windows, one after the other."""

    def __init__(self, settings: InferenceFailureSettings, baseline: Baseline) -> None:
        self._settings = settings
        share = allowed_share(baseline.failures, baseline.parts, settings.max_share)
        self._allowed = allowed_hits(settings.window, share, settings.max_share)
        self._early = hits_beyond(settings.window, share, settings.early_false_alarm)
        self._parts = 0
        self._failures = 0

    def observe(self, part: ObservedPart) -> Breach | None:
        """Take one part in; return the breach that it completes."""
        self._parts += 1
        self._failures += part.is_failure
        is_full = self._parts >= self._settings.window
        if not is_full and self._failures < self._early:
            return None
        figures = self.figures()
        too_many = self._failures > self._allowed
        failures, parts = self._failures, self._parts
        self._parts, self._failures = 0, 0
        if not too_many:
            return None
        return Breach(
            guardrail=Guardrail.INFERENCE_FAILURE,
            message=f"{failures} of {parts} parts without a usable answer",
            figures=figures,
        )

    def figures(self) -> dict[str, float]:
        """Return the present window's counts."""
        return {
            "failureParts": float(self._parts),
            "failures": float(self._failures),
            "failuresAllowed": float(self._allowed),
        }
