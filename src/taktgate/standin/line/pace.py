"""When scans begin: a period, jitter that a seed repeats, and what happens when one is missed."""

import random
from typing import Any, Final

_MILLISECOND: Final = 1_000_000


class ScanPace:
    """A periodic task.

    A scan whose time has passed is left out and counted, as Logix does (task overlap, 1756-PM005).
    Each scan begins 0..*jitter_ms* after its place in the grid; jitter of a period and more makes
    overruns.
    """

    def __init__(self, *, period_ms: float, jitter_ms: float = 0.0, seed: int = 0) -> None:
        self._period_ns = round(period_ms * _MILLISECOND)
        self._jitter_ns = round(jitter_ms * _MILLISECOND)
        self._chance = random.Random(seed)  # noqa: S311 - jitter that can be repeated
        self._grid_ns: int | None = None
        self._began_ns = 0
        self._longest_ns = 0
        self.scans = 0
        self.overruns = 0

    def begin(self, now_ns: int) -> None:
        """Take note that a scan begins."""
        if self._grid_ns is None:
            self._grid_ns = now_ns
        self._began_ns = now_ns
        self.scans += 1

    def end(self, now_ns: int) -> int:
        """Take note that it is over; return when the next one begins."""
        self._longest_ns = max(self._longest_ns, now_ns - self._began_ns)
        assert self._grid_ns is not None
        self._grid_ns += self._period_ns
        if self._grid_ns < now_ns:
            self.overruns += 1
            self._grid_ns = now_ns
        return self._grid_ns + self._chance.randint(0, self._jitter_ns)

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return {
            "scans": self.scans,
            "overruns": self.overruns,
            "longest_ms": round(self._longest_ns / _MILLISECOND, 3),
        }
