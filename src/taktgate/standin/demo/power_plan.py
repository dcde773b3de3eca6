"""Which cuts of the mains a run makes, and what they are to hit. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from taktgate.contracts.twins import StagingPhase

MOST_CUTS: Final = 100
LATENCY_BUDGET_MS: Final = 300.0
SHADOW_PARTS: Final = 20
TRIAL_PARTS: Final = 30
BALLAST_BYTES: Final = 24_000_000
DOWNLOAD_MB_S: Final = 8.0
"""So that a download of some megabytes lasts for some seconds."""
AIMS: Final = (
    StagingPhase.FETCHING,
    StagingPhase.VERIFYING,
    StagingPhase.TESTING,
    StagingPhase.STAGED,
    StagingPhase.TRIAL,
)
"""One order is cut once in each of its phases: a trial may be broken off once, and the work before
it five times in a row, until the order is given up by design."""
_LASTS_S: Final = {
    StagingPhase.VERIFYING: 0.1,
    StagingPhase.TESTING: 0.5,
    StagingPhase.STAGED: 0.05,
    StagingPhase.TRIAL: 4.0,
}
"""About; a phase that is shorter today lets the next one be hit."""
_DARK_S: Final = (0.2, 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCut:
    """One cut, and the chances that were drawn for it."""

    aim: StagingPhase
    share: float
    """Of a download: it is cut when so much lies there."""
    after_s: float
    """In other phases: how long after their begin it is cut."""
    dark_s: float
    """How long the power stays away."""


def plan_cuts(count: int, seed: int) -> Sequence[Sequence[PlannedCut]]:
    """Return *count* cuts by order, all drawn from *seed*; each but the last order gets all AIMS.

    The cuts of a last order that gets only some are spread over its phases.
    """
    dice = Random(seed)  # noqa: S311 - a schedule, not a secret
    whole, rest = divmod(count, len(AIMS))
    aims: list[Sequence[StagingPhase]] = [AIMS] * whole
    if rest:
        aims.append(sorted(dice.sample(AIMS, rest), key=AIMS.index))
    return [[_drawn(aim, dice) for aim in order] for order in aims]


def _drawn(aim: StagingPhase, dice: Random) -> PlannedCut:
    return PlannedCut(
        aim=aim,
        share=dice.uniform(0.05, 0.95),
        after_s=dice.uniform(0.0, _LASTS_S.get(aim, 0.0)),
        dark_s=dice.uniform(*_DARK_S),
    )
