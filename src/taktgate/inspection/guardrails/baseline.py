"""How the confirmed model behaves on this station's own parts: counted at once, saved seldom."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from taktgate.contracts.activation import Baseline
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import SECOND
from taktgate.inspection.guardrails.binomial import fisher_at_most, hits_beyond
from taktgate.inspection.guardrails.observed import ObservedPart, observe
from taktgate.inspection.guardrails.settings import GuardrailSettings, OverRejectSettings

MAX_RATE: Final = 0.75
MIN_REJECT_RATE: Final = 0.01
MEMORY_PARTS: Final = 2000
"""Beyond so many parts old ones are forgotten by halves: a baseline describes the present line."""
CONTRADICTION: Final = 0.005
"""So seldom, to either side, does one share bring about two samples that differ so much."""
BEYOND_BASELINE: Final = 0.001
"""So seldom does the share of a baseline bring about more than is allowed in one window."""
SAVE_EVERY_PARTS: Final = 20
SAVE_EVERY_NS: Final = 60 * SECOND


class BaselineKeeper:
    """The counts as they are, and when the disk should hear of them."""

    def __init__(
        self, counts: Baseline, settings: GuardrailSettings, clock: Callable[[], int]
    ) -> None:
        self.counts = counts
        self._settings = settings
        self._clock = clock
        self._offered_ns = clock()

    def add(self, envelope: VerdictEnvelope) -> None:
        """Count one part of the confirmed model."""
        part = observe(envelope, self._settings.latency)
        if part is not None:
            self.counts = add_part(self.counts, part)

    def restart(self, counts: Baseline) -> None:
        """Begin with what another model has shown in its trial."""
        self.counts = counts

    def due(self, saved: Baseline) -> Baseline | None:
        """Return the counts when they are to replace those on the disk."""
        now_ns = self._clock()
        is_time = now_ns - self._offered_ns >= SAVE_EVERY_NS
        if not is_time or abs(self.counts.parts - saved.parts) < SAVE_EVERY_PARTS:
            return None
        self._offered_ns = now_ns
        return self.counts


def add_part(baseline: Baseline, part: ObservedPart) -> Baseline:
    """Return *baseline* with one more part of the confirmed model."""
    counts = replace(
        baseline,
        parts=baseline.parts + 1,
        rejects=baseline.rejects + part.is_reject,
        over_budget=baseline.over_budget + part.is_over_budget,
        failures=baseline.failures + part.is_failure,
    )
    if counts.parts <= MEMORY_PARTS:
        return counts
    return Baseline(
        parts=counts.parts // 2,
        rejects=counts.rejects // 2,
        over_budget=counts.over_budget // 2,
        failures=counts.failures // 2,
    )


def baseline_rate(baseline: Baseline, settings: OverRejectSettings) -> float:
    """Return the reject rate to hold a model against.

    The share is smoothed by two parts of the default, so that a station without a single reject
    does not take the first one for a breach.
    """
    if baseline.parts < settings.min_baseline_parts:
        rate = settings.default_baseline
    else:
        rate = (baseline.rejects + 2 * settings.default_baseline) / (baseline.parts + 2)
    return min(max(rate, MIN_REJECT_RATE), MAX_RATE)


def of_a_trial(baseline: Baseline, paired: Baseline, settings: OverRejectSettings) -> Baseline:
    """Return what the rejects of a model on trial are held against.

    *paired* is what the confirmed model made of the parts that the candidate saw in its shadow.
    They are few, but of the present line: where they contradict the long memory (Fisher's exact
    test), the product or its mix is another one now, and they count alone.
    """
    enough = settings.min_baseline_parts
    if paired.parts < enough or baseline.parts < enough:
        return paired if paired.parts >= enough else baseline
    fewer = fisher_at_most(paired.rejects, paired.parts, baseline.rejects, baseline.parts)
    passed, passed_before = paired.parts - paired.rejects, baseline.parts - baseline.rejects
    more = fisher_at_most(passed, paired.parts, passed_before, baseline.parts)
    return paired if min(fewer, more) <= CONTRADICTION else baseline


def allowed_share(hits: int, parts: int, at_least: float) -> float:
    """Return what the station's last model has shown of something bad, but not below *at_least*.

    On a machine that is slow or fails by itself a new model is not sent back for as much of it.
    """
    return at_least if parts == 0 else min(max(hits / parts, at_least), MAX_RATE)


def allowed_hits(window: int, share: float, usual: float) -> int:
    """Return how many of *window* parts may have something bad, where *share* is allowed of it.

    By the rule it is the *usual* share. Where more than that is allowed, chance is as well: what
    *share* brings about in all but one window of a thousand.
    """
    by_rule = int(window * usual)
    if share <= usual:
        return by_rule
    return max(by_rule, min(hits_beyond(window, share, BEYOND_BASELINE), window) - 1)
