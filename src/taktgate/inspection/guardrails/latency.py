"""LATENCY: verdicts that take longer than the station's budget.

Live: of the last `window` parts more than 1 % are over the budget, which is to say that their
99th percentile is; two windows running. A window ends as soon as that is certain, so a model that
is always too slow is found after 22 parts, and one at 2 % after 1,000 to 2,000.

Trial: a sequential test (sequential.py) of the share over the budget, 1 % or what the station's
last model showed against `trial_share`: a machine that is slow by itself blames no model.
"""

from taktgate.contracts.activation import Baseline
from taktgate.inspection.guardrails.baseline import allowed_hits, allowed_share
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.observed import ObservedPart
from taktgate.inspection.guardrails.sequential import RatioTest
from taktgate.inspection.guardrails.settings import LatencySettings


def trial_test(settings: LatencySettings, baseline: Baseline, parts: int) -> RatioTest:
    """Return the test of a trial's share of parts over the budget."""
    rate = allowed_share(baseline.over_budget, baseline.parts, settings.over_budget_share)
    suspect = max(settings.trial_share, 5 * rate)
    return RatioTest.of(settings, rate=rate, suspect=suspect, parts=parts)


class LatencyWindows:
    """The live model's windows, one after the other."""

    def __init__(self, settings: LatencySettings, baseline: Baseline) -> None:
        self._settings = settings
        share = allowed_share(baseline.over_budget, baseline.parts, settings.over_budget_share)
        self._allowed = allowed_hits(settings.window, share, settings.over_budget_share)
        self._parts = 0
        self._over = 0
        self._windows = 0

    def observe(self, part: ObservedPart) -> Breach | None:
        """Take one part in; return the breach that it completes."""
        if part.verdict_ms is None or part.is_failure:
            return None
        self._parts += 1
        self._over += part.is_over_budget
        if self._over > self._allowed:
            return self._window_over(part)
        if self._parts >= self._settings.window:
            self._parts, self._over, self._windows = 0, 0, 0
        return None

    def _window_over(self, part: ObservedPart) -> Breach | None:
        self._windows += 1
        figures = {**self.figures(), "budgetMs": round(part.budget_ms, 3)}
        self._parts, self._over = 0, 0
        if self._windows < self._settings.windows_running:
            return None
        self._windows = 0
        return Breach(
            guardrail=Guardrail.LATENCY,
            message=f"{figures['overBudget']:.0f} of {figures['latencyParts']:.0f} parts took "
            f"longer than {part.budget_ms:.0f} ms from frame to verdict, "
            f"for the {figures['latencyWindows']:.0f}. window running",
            figures=figures,
        )

    def figures(self) -> dict[str, float]:
        """Return the present window's counts."""
        return {
            "latencyParts": float(self._parts),
            "overBudget": float(self._over),
            "overBudgetAllowed": float(self._allowed),
            "latencyWindows": float(self._windows),
        }
