"""Wald's sequential probability ratio test of a share, decided part by part. Pure.

H0: hits come at `rate`. H1: at `suspect`. The model goes back as soon as the log ratio crosses
log((1 - missed) / false_alarm); that H0 lets it cross at any time is rarer than `false_alarm`
(Ville's inequality). At the last part a weaker sign will do: H1 is the likelier, and `rate` alone
brings about so many hits with at most `final_false_alarm`. There is no early acceptance: a model
earns trust by all its parts. The ratio depends on the counts alone, so they are all there is to
keep.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

from taktgate.inspection.guardrails.binomial import hits_beyond
from taktgate.inspection.guardrails.settings import SequentialSettings

MAX_SUSPECT: Final = 0.9
"""A share near 1 would make each part without a hit an acquittal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioTest:
    """One test over at most `parts` parts."""

    rate: float
    suspect: float
    parts: int
    limit: float
    too_many: int
    """Hits at the last part that are too rare under `rate`."""

    @classmethod
    def of(cls, settings: SequentialSettings, *, rate: float, suspect: float, parts: int) -> Self:
        """Return the test of *rate* against *suspect*, or against MAX_SUSPECT if that is less.

        Args:
            settings: How sure it must be.
            rate: Above 0 and below MAX_SUSPECT.
            suspect: Above *rate*.
            parts: At most so many are tested.
        """
        return cls(
            rate=rate,
            suspect=min(suspect, MAX_SUSPECT),
            parts=parts,
            limit=math.log((1 - settings.missed) / settings.false_alarm),
            too_many=hits_beyond(parts, rate, settings.final_false_alarm),
        )

    def evidence(self, hits: int, parts: int) -> float:
        """Return the log ratio after *hits* among *parts*."""
        on_hit = math.log(self.suspect / self.rate)
        on_miss = math.log1p(-self.suspect) - math.log1p(-self.rate)
        return hits * on_hit + (parts - hits) * on_miss

    def is_breach(self, hits: int, parts: int) -> bool:
        """Tell whether *hits* among *parts* speak for the suspect share."""
        evidence = self.evidence(hits, parts)
        is_bad_in_the_end = parts >= self.parts and evidence > 0 and hits >= self.too_many
        return evidence >= self.limit or is_bad_in_the_end
