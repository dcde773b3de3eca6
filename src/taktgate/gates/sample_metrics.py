"""Where to draw the line, and how parts come out on each side of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from taktgate.bundle.claims import Counts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def count(scores: Floats, is_defective: Flags, *, passes_below: float) -> Counts:
    """Return the counts under the rule *pass if score < passes_below*; a NaN is rejected."""
    is_rejected = ~(scores < passes_below)
    return Counts(
        ok=int((~is_defective).sum()),
        ok_rejected=int((is_rejected & ~is_defective).sum()),
        defective=int(is_defective.sum()),
        defective_rejected=int((is_rejected & is_defective).sum()),
    )


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
