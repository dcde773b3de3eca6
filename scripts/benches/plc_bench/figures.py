"""From samples to figures: percentiles that were measured, intervals, slopes, and lines."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benches.hub_bench.verdict import percentile

BOOTSTRAPS = 200
NS_PER_US = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Durations of one case, in us."""

    case: str
    samples: int
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with its 95 % interval."""

    figure: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A promise and whether it is kept. One that cannot be judged here is not kept either."""

    promise: str
    measured: str
    kept: bool


def figures(case: str, samples_us: Sequence[float]) -> Figures:
    """Return the figures of a case."""
    ranked = sorted(samples_us)
    return Figures(
        case=case,
        samples=len(ranked),
        p50_us=percentile(ranked, 50),
        p99_us=percentile(ranked, 99),
        p999_us=percentile(ranked, 99.9),
        max_us=ranked[-1],
    )


def interval(
    rounds: Sequence[int], figure_of: Callable[[Sequence[int]], float], seed: int = 1
) -> Interval:
    """Return *figure_of* all *rounds* and its interval, by resampling whole rounds.

    What disturbs a machine lasts longer than a sample: those of one round are no strangers.
    """
    chance = random.Random(seed)  # noqa: S311 - resamples, no secret
    found = sorted(figure_of(chance.choices(rounds, k=len(rounds))) for _ in range(BOOTSTRAPS))
    return Interval(
        figure=figure_of(rounds), low=percentile(found, 2.5), high=percentile(found, 97.5)
    )


def slope(values: Sequence[float]) -> Interval:
    """Return by how much *values* grow from one to the next: least squares, with its interval."""
    count = len(values)
    if count < 3:
        raise ValueError(f"a slope needs 3 values, got {count}")
    middle = (count - 1) / 2
    mean = sum(values) / count
    spread = sum((index - middle) ** 2 for index in range(count))
    rise = sum((index - middle) * (value - mean) for index, value in enumerate(values)) / spread
    residuals = sum(
        (value - mean - rise * (index - middle)) ** 2 for index, value in enumerate(values)
    )
    error = 1.96 * math.sqrt(residuals / (count - 2) / spread)
    return Interval(figure=rise, low=rise - error, high=rise + error)


def pooled(rounds: Mapping[int, Sequence[float]], chosen: Sequence[int]) -> list[float]:
    """Return the samples of the *chosen* rounds; one that was chosen twice counts twice."""
    return [sample for number in chosen for sample in rounds[number]]
