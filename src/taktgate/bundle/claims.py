"""What a model did on images it never saw: shares with 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from taktgate.bundle.manifest import GoldenClaims, Interval

INTERVAL_METHOD: Final = "Wilson score, 95 %"
_Z95: Final = 1.959964


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

    def claims(self, *, dataset: str, dataset_licence: str, split_method: str) -> GoldenClaims:
        """Return what a manifest claims by these counts, and where their images come from."""
        return GoldenClaims(
            dataset=dataset,
            dataset_licence=dataset_licence,
            split_method=split_method,
            interval_method=INTERVAL_METHOD,
            n_ok=self.ok,
            n_defective=self.defective,
            recall=self.recall,
            false_reject_rate=self.false_reject_rate,
            precision=self.precision,
        )

    def reject_rate(self, defective_fraction: float) -> float:
        """Return the share of all parts rejected on a line with that share of defective parts."""
        good = (1.0 - defective_fraction) * self.false_reject_rate.value
        return good + defective_fraction * self.recall.value


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
