"""Slow change of a stream of figures, held against its own beginning. Pure; microseconds a part.

`PageTest` is Page's test in both directions (the Page-Hinkley test with the mean that was
learnt), on means of a batch; `Reference` is what it learnt. `StabilityIndex` is the population
stability index of the score's distribution: a trend only, since it also answers to another mix of
parts.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taktgate.inspection.guardrails.settings import DriftSettings

_SMOOTHING: Final = 0.1
_REARM_LEVEL: Final = 1.0
_BINS: Final = 10
_SAME: Final = 0.01
"""A change by less than this share of the level is none, however even the beginning was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Mean and standard deviation of a beginning."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Reference":
        """Return the reference of *values*, two or more finite ones."""
        mean = math.fsum(values) / len(values)
        variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
        floor = max(_SAME * abs(mean), _SAME * 0.1)
        return cls(mean=mean, deviation=max(math.sqrt(variance), floor))


class PageTest:
    """One figure, part by part. It fires once, and again only after the figure has been back."""

    def __init__(self, settings: DriftSettings) -> None:
        self._settings = settings
        self._batch: list[float] = []
        self._learnt: list[float] = []
        self._reference: Reference | None = None
        self._up = 0.0
        self._down = 0.0
        self.level = 0.0
        """Smoothed shift from the beginning, in standard deviations of a batch, signed."""
        self.is_drifted = False

    @property
    def is_learning(self) -> bool:
        """Return True while the beginning is not over: nothing fires yet."""
        return self._reference is None

    def add(self, value: float) -> int:
        """Take one value in; return +1 or -1 when a lasting shift up or down is found, else 0."""
        if not math.isfinite(value):
            return 0
        self._batch.append(value)
        if len(self._batch) < self._settings.batch_parts:
            return 0
        mean = math.fsum(self._batch) / len(self._batch)
        self._batch.clear()
        if self._reference is None:
            self._learn(mean)
            return 0
        return self._test((mean - self._reference.mean) / self._reference.deviation)

    def _learn(self, mean: float) -> None:
        self._learnt.append(mean)
        if len(self._learnt) * self._settings.batch_parts >= self._settings.learn_parts:
            self._reference = Reference.of(self._learnt)
            self._learnt.clear()

    def _test(self, shift: float) -> int:
        settings = self._settings
        shift = min(max(shift, -settings.clip), settings.clip)
        self.level += _SMOOTHING * (shift - self.level)
        self._up = max(0.0, self._up + shift - settings.allowance)
        self._down = max(0.0, self._down - shift - settings.allowance)
        found = (self._up > settings.limit) - (self._down > settings.limit)
        if found:
            self._up = self._down = 0.0
        if self.is_drifted:
            self.is_drifted = bool(found) or abs(self.level) > _REARM_LEVEL
            return 0
        self.is_drifted = bool(found)
        return found


class StabilityIndex:
    """PSI of the score, window after window."""

    def __init__(self, settings: DriftSettings) -> None:
        self._settings = settings
        self._learnt: list[float] = []
        self._edges: tuple[float, ...] = ()
        self._shares: tuple[float, ...] = ()
        self._counts = [0] * _BINS
        self._windows = 0
        self.last = 0.0
        """Of the last whole window."""

    def add(self, score: float) -> bool:
        """Take one score in; return True when so many windows running were beyond the limit."""
        if not self._shares:
            self._learn(score)
            return False
        self._counts[bisect_right(self._edges, score)] += 1
        if sum(self._counts) < self._settings.psi_parts:
            return False
        self.last = stability_index(self._shares, _smoothed(self._counts))
        self._counts = [0] * _BINS
        self._windows = self._windows + 1 if self.last > self._settings.psi_limit else 0
        return self._windows == self._settings.psi_windows_running

    def _learn(self, score: float) -> None:
        self._learnt.append(score)
        if len(self._learnt) < self._settings.learn_parts:
            return
        ordered = sorted(self._learnt)
        self._edges = tuple(ordered[len(ordered) * k // _BINS] for k in range(1, _BINS))
        counts = [0] * _BINS
        for each in ordered:
            counts[bisect_right(self._edges, each)] += 1
        self._shares = _smoothed(counts)
        self._learnt.clear()


def stability_index(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the PSI of two distributions over the same bins, no share of which is zero."""
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(before, after, strict=True))


def _smoothed(counts: Sequence[int]) -> tuple[float, ...]:
    """Return the shares; half a part in each bin keeps an empty one finite."""
    total = sum(counts) + len(counts) / 2
    return tuple((count + 0.5) / total for count in counts)
