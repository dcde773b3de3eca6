"""A candidate in the shadow of the live model: both judge the same parts, only one is heard.

A pair counts when the live model has given a usable answer. They agree when both let the part
pass, or both do not. Three tests, each sequential, end the shadow before its last part:
disagreement (allowed share against `suspect_factor` times that), failures of the shadow in a row,
and failures by share. Disagreement is reported in both directions and by class, with McNemar's
exact test: *live fails, shadow passes* is a possible escape of the candidate, *live passes,
shadow fails* a possible needless reject.

Run times are compared, and judged by one sign only: the quickest tenth of the shadow's runs. It
runs at idle priority, so its other runs say more about the line than about the model.

An answer that does not come in time says little, for the same reason: it makes no pair. Only a
shadow that hardly ever answers is given up.
"""

from bisect import insort
from collections import Counter
from enum import StrEnum
from statistics import median
from typing import Final

from taktgate.contracts.activation import Baseline
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.decision.rule import NO_USABLE_ANSWER
from taktgate.inspection.guardrails.binomial import mcnemar
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.inference_failure import TRIAL_RATE, in_a_row
from taktgate.inspection.guardrails.sequential import RatioTest
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.opinions import Opinion, ShadowPair

_MIN_RUNS: Final = 20
_SILENT_TO_ANSWERED: Final = 9


class ShadowOutcome(StrEnum):
    """Where a shadow stands that has not breached."""

    RUNNING = "running"
    PASSED = "passed"


def disagreement_test(settings: GuardrailSettings) -> RatioTest:
    """Return the test of the share of parts that the two judge otherwise."""
    rules = settings.escape_or_disagreement
    allowed = 1 - rules.min_agreement
    suspect = rules.suspect_factor * allowed
    return RatioTest.of(rules, rate=allowed, suspect=suspect, parts=max(settings.shadow_parts, 1))


def failure_test(settings: GuardrailSettings) -> RatioTest:
    """Return the test of the share of parts without a usable answer of the shadow."""
    rules = settings.inference_failure
    suspect = max(rules.trial_share, 2 * TRIAL_RATE)
    parts = max(settings.shadow_parts, 1)
    return RatioTest.of(rules, rate=TRIAL_RATE, suspect=suspect, parts=parts)


class ShadowComparison:
    """Follows one shadow pair by pair."""

    def __init__(self, settings: GuardrailSettings) -> None:
        self._settings = settings
        self._differing = disagreement_test(settings)
        self._failing = failure_test(settings)
        self.pairs = 0
        self.unanswered = 0
        """Frames that the shadow had no answer to in time."""
        self.failures = 0
        self._in_a_row = 0
        self._live_only: Counter[str] = Counter()
        """Live fails, shadow passes, by the class that decided for the live model."""
        self._shadow_only: Counter[str] = Counter()
        self._live_rejects = 0
        self._live_runs: list[int] = []
        self._shadow_runs: list[int] = []
        self._breach: Breach | None = None

    @property
    def disagreements(self) -> int:
        """Return how many parts the two did not agree on."""
        return self._live_only.total() + self._shadow_only.total()

    @property
    def live(self) -> Baseline:
        """Return what the live model made of the parts that count."""
        return Baseline(parts=self.pairs, rejects=self._live_rejects)

    def add(self, pair: ShadowPair) -> None:
        """Take one pair in; after a breach, or all parts, nothing counts any more."""
        live, shadow = pair.live, pair.shadow
        if self.outcome() is not ShadowOutcome.RUNNING or live.reason in NO_USABLE_ANSWER:
            return
        if shadow.reason is Reason.TIMEOUT:
            self.unanswered += 1
            self._breach = self._silence()
            return
        self.pairs += 1
        self._live_rejects += live.verdict is not Verdict.PASS
        is_failure = shadow.reason in NO_USABLE_ANSWER
        self.failures += is_failure
        self._in_a_row = self._in_a_row + 1 if is_failure else 0
        if not is_failure:
            self._compare(live, shadow)
        self._breach = self._failure() or self._difference() or self._latency()

    def outcome(self) -> ShadowOutcome | Breach:
        """Return where the shadow stands."""
        if self._breach is not None:
            return self._breach
        is_over = self.pairs >= self._settings.shadow_parts
        return ShadowOutcome.PASSED if is_over else ShadowOutcome.RUNNING

    def figures(self) -> dict[str, float]:
        """Return the figures of the shadow so far, as they are reported."""
        answered = self.pairs - self.failures
        escapes, rejects = self._live_only.total(), self._shadow_only.total()
        figures = {
            "shadowPairs": float(self.pairs),
            "shadowParts": float(self._settings.shadow_parts),
            "shadowFailures": float(self.failures),
            "shadowUnanswered": float(self.unanswered),
            "liveFailShadowPass": float(escapes),
            "livePassShadowFail": float(rejects),
            "mcnemarP": mcnemar(escapes, rejects),
        }
        if answered:
            figures["agreement"] = round(1 - (escapes + rejects) / answered, 4)
        figures |= {f"liveFailShadowPass:{name}": float(n) for name, n in self._live_only.items()}
        figures |= {f"livePassShadowFail:{name}": float(n) for name, n in self._shadow_only.items()}
        return figures | self._run_figures()

    def _compare(self, live: Opinion, shadow: Opinion) -> None:
        passes = (live.verdict is Verdict.PASS, shadow.verdict is Verdict.PASS)
        if passes == (False, True):
            self._live_only[live.decided_by or "score"] += 1
        elif passes == (True, False):
            self._shadow_only[shadow.decided_by or "score"] += 1
        if live.run_ns and shadow.run_ns:
            insort(self._live_runs, live.run_ns)
            insort(self._shadow_runs, shadow.run_ns)

    def _silence(self) -> Breach | None:
        is_silent = self.unanswered >= max(
            self._settings.shadow_silent_parts, _SILENT_TO_ANSWERED * self.pairs
        )
        if not is_silent:
            return None
        return Breach(
            guardrail=Guardrail.INFERENCE_FAILURE,
            message=f"in the shadow {self.unanswered} of {self.unanswered + self.pairs} parts "
            "without an answer in time",
            figures=self.figures(),
        )

    def _failure(self) -> Breach | None:
        if in_a_row(self._in_a_row, self._settings.inference_failure):
            said = f"in the shadow {self._in_a_row} parts in a row without a usable answer"
        elif self._failing.is_breach(self.failures, self.pairs):
            said = f"in the shadow {self.failures} of {self.pairs} parts without a usable answer"
        else:
            return None
        return Breach(guardrail=Guardrail.INFERENCE_FAILURE, message=said, figures=self.figures())

    def _difference(self) -> Breach | None:
        if not self._differing.is_breach(self.disagreements, self.pairs):
            return None
        escapes, rejects = self._live_only.total(), self._shadow_only.total()
        return Breach(
            guardrail=Guardrail.ESCAPE_OR_DISAGREEMENT,
            message=f"{self.disagreements} of {self.pairs} parts judged otherwise than by the live "
            f"model: {escapes} possible escapes, {rejects} possible needless rejects",
            figures=self.figures(),
        )

    def _latency(self) -> Breach | None:
        budget_ms = self._settings.latency.budget_ms
        if budget_ms is None or len(self._shadow_runs) < _MIN_RUNS:
            return None  # the trial knows the budget of each part
        quick_ms = self._shadow_runs[len(self._shadow_runs) // 10] / MILLISECOND
        if quick_ms <= budget_ms:
            return None
        return Breach(
            guardrail=Guardrail.LATENCY,
            message=f"nine of ten runs in the shadow take longer than {quick_ms:.0f} ms, "
            f"the budget is {budget_ms:.0f} ms",
            figures=self.figures(),
        )

    def _run_figures(self) -> dict[str, float]:
        if not self._shadow_runs:
            return {}
        live_ms, shadow_ms = (
            median(runs) / MILLISECOND for runs in (self._live_runs, self._shadow_runs)
        )
        return {
            "liveRunMs": round(live_ms, 3),
            "shadowRunMs": round(shadow_ms, 3),
            "runDifferenceMs": round(shadow_ms - live_ms, 3),
        }
