"""Where to draw the line, and what a model did on images it never saw, with 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from taktgate.bundle.manifest import Interval

INTERVAL_METHOD: Final = "Wilson score, 95 %"
_Z95: Final = 1.959964

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Parts by what they were and what the model would have done; rejected means not passed."""

    ok: int
    ok_rejected: int
    defective: int
    defective_rejected: int

    @property
    def recall(self) -> Interval:
        """Return the share of defective parts that are rejected."""
        return wilson(self.defective_rejected, self.defective)

    @property
    def false_reject_rate(self) -> Interval:
        """Return the share of good parts that are rejected."""
        return wilson(self.ok_rejected, self.ok)

    @property
    def precision(self) -> Interval:
        """Return the share of rejected parts that are defective."""
        return wilson(self.defective_rejected, self.defective_rejected + self.ok_rejected)

    def reject_rate(self, defective_fraction: float) -> float:
        """Return the share of all parts rejected on a line with that share of defective parts."""
        good = (1.0 - defective_fraction) * self.false_reject_rate.value
        return good + defective_fraction * self.recall.value


def count(scores: Floats, is_defective: Flags, *, passes_below: float) -> Counts:
    """Return the counts under the rule *pass if score < passes_below*; a NaN is rejected."""
    is_rejected = ~(scores < passes_below)
    return Counts(
        ok=int((~is_defective).sum()),
        ok_rejected=int((is_rejected & ~is_defective).sum()),
        defective=int(is_defective.sum()),
        defective_rejected=int((is_rejected & is_defective).sum()),
    )


def wilson(hits: int, trials: int) -> Interval:
    """Return the share of *hits* with its Wilson interval; without a trial, 0 within 0..1."""
    if trials == 0:
        return Interval(value=0.0, low=0.0, high=1.0)
    share, z2 = hits / trials, _Z95 * _Z95
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    half *= _Z95 / (1 + z2 / trials)
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Interval(value=share, low=min(low, share), high=max(high, share))


def operating_logit(logits: Floats, is_defective: Flags, *, false_reject_rate: float) -> float:
    """Return the logit to reject from, so that at most that share of good parts is rejected.

    From there it goes up as far as that loses no defective part: to the middle of the last gap.
    """
    good, bad = logits[~is_defective], logits[is_defective]
    floor = rejecting_logit(logits, is_defective, false_reject_rate=false_reject_rate)
    next_bad = bad[bad >= floor].min(initial=np.inf)
    if not np.isfinite(next_bad):
        return floor
    return 0.5 * float(max(floor, good[good < next_bad].max(initial=-np.inf)) + next_bad)


def rejecting_logit(logits: Floats, is_defective: Flags, *, false_reject_rate: float) -> float:
    """Return the logit from which that share of good parts, at most, is rejected."""
    good = np.sort(logits[~is_defective])
    may_reject = int(len(good) * false_reject_rate)
    return float(np.nextafter(good[len(good) - 1 - may_reject], np.inf))


def logit(scores: NDArray[np.float32]) -> Floats:
    """Return the logits of scores, kept away from 0 and 1 where a float32 cannot tell more."""
    clipped = np.clip(scores.astype(np.float64), 1e-12, 1.0 - 1e-7)
    return np.asarray(np.log(clipped / (1.0 - clipped)), dtype=np.float64)
