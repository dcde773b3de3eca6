"""Many storms, on all processors; the same seed gives the same storms, however many there are."""

import logging
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, Final

from taktgate.standin.verdict_storm.storm import Storm, Weather

STORM_VERDICTS: Final = 10_000
_SEEDS: Final = 1_000_000
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """What many storms came to."""

    seed: int
    seconds: float
    storms: tuple[Weather, ...]

    @property
    def verdicts(self) -> int:
        """Return how many verdicts were made."""
        return sum(storm.verdicts for storm in self.storms)

    @property
    def wrong(self) -> int:
        """Return the number of wrong actuations."""
        return sum(storm.wrong for storm in self.storms)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        disturbances: Counter[str] = Counter()
        outcomes: Counter[str] = Counter()
        for storm in self.storms:
            disturbances.update(storm.disturbances)
            outcomes.update(storm.outcomes)
        findings = [
            f"seed {storm.seed}: {words}" for storm in self.storms for words in storm.findings
        ]
        return {
            "seed": self.seed,
            "storms": len(self.storms),
            "verdicts": self.verdicts,
            "parts": sum(storm.parts for storm in self.storms),
            "accepted": sum(storm.accepted for storm in self.storms),
            "wrong_actuations": self.wrong,
            "unsafe": sum(storm.unsafe for storm in self.storms),
            "foreign": sum(storm.foreign for storm in self.storms),
            "disturbances": dict(sorted(disturbances.items())),
            "outcomes": dict(sorted(outcomes.items())),
            "seconds": round(self.seconds, 1),
            "verdicts_per_s": round(self.verdicts / self.seconds) if self.seconds else 0,
            "findings": findings[:_SHOWN],
        }


def run(
    verdicts: int, *, seed: int, jobs: int | None = None, tell: Callable[[str], None]
) -> Season:
    """Have at least so many *verdicts* made."""
    began = time.monotonic()
    storms: list[Weather] = []
    with ProcessPoolExecutor(jobs or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_storm, each, size) for each, size in _plan(verdicts, seed)]
        for done in as_completed(waiting):
            storms.append(done.result())
            made, wrong = sum(one.verdicts for one in storms), sum(one.wrong for one in storms)
            tell(f"{made} verdicts, {wrong} wrong actuations")
    storms.sort(key=lambda storm: storm.seed)
    return Season(seed=seed, seconds=time.monotonic() - began, storms=tuple(storms))


def _plan(verdicts: int, seed: int) -> Iterator[tuple[int, int]]:
    """Yield the seed of each storm, and its size."""
    for number, made in enumerate(range(0, verdicts, STORM_VERDICTS)):
        yield seed * _SEEDS + number, min(STORM_VERDICTS, verdicts - made)


def _storm(seed: int, verdicts: int) -> Weather:
    # A writer says once why it lost its session; here it loses some thousands.
    logging.disable(logging.CRITICAL)
    return Storm(seed=seed).run(verdicts)
