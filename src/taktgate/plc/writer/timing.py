"""How long the writer's work takes: counted in fixed buckets, where it happens.

Counting allocates nothing and costs some 0.5 us, so it may stay on in every writer; the agent makes
Prometheus histograms with the same bounds of it (`timing_metrics`).
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.link.port import Mode, TagLink

if TYPE_CHECKING:
    import socket

BOUNDS_US: Final = (
    *(100, 200, 300, 500),
    *(1_000, 2_000, 3_000, 5_000),
    *(10_000, 20_000, 50_000, 100_000, 250_000),
)
"""Upper bounds, each belonging to its own bucket; what is longer goes into one more bucket."""
_BOUNDS_NS: Final = tuple(1000 * bound for bound in BOUNDS_US)
_BUCKETS: Final = len(BOUNDS_US) + 1

Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Durations of one kind since the writer's start."""

    counts: Annotated[tuple[Count, ...], Field(min_length=_BUCKETS, max_length=_BUCKETS)]
    """By bucket, not cumulated: one for each bound and the last for all that is longer."""
    sum_us: Count

    @property
    def total(self) -> int:
        """Return how many durations there were."""
        return sum(self.counts)

    def longer_than(self, bound_us: int) -> int:
        """Return how many took longer than *bound_us*.

        Raises:
            ValueError: it is none of the bounds, so that nobody can tell.
        """
        return sum(self.counts[BOUNDS_US.index(bound_us) + 1 :])


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """All that the writer times, as it is told to the agent."""

    open: Spread
    """Of the short opens: from the controller's TCP connect to its compared marks."""
    lateness: Spread
    """From the planned begin of a tick to its begin."""
    cycle: Spread
    """From the planned begin of a tick to its last reply, or to the loss of its session.

    A tick that begins without a session has no exchange and is left out.
    """
    read: Spread
    """From the start of a read exchange to its checked reply."""
    write: Spread
    """The same of a write exchange, which carries results and status."""
    verdict: Spread
    """From taking in the first verdict of a turn to the checked reply to its write."""


class Histogram:
    """Durations of one kind, counted by bucket."""

    __slots__ = ("_counts", "_sum_ns")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._sum_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; one below zero counts as zero."""
        self._counts[bisect_left(_BOUNDS_NS, duration_ns)] += 1
        self._sum_ns += max(duration_ns, 0)

    def spread(self) -> Spread:
        """Return what was counted."""
        return Spread(counts=tuple(self._counts), sum_us=self._sum_ns // 1000)


class Stopwatch:
    """The histograms of one start of the writer."""

    __slots__ = tuple(field.name for field in fields(Timings))

    def __init__(self) -> None:
        self.open = Histogram()
        self.lateness = Histogram()
        self.cycle = Histogram()
        self.read = Histogram()
        self.write = Histogram()
        self.verdict = Histogram()

    def timings(self) -> Timings:
        """Return all that was counted."""
        return Timings(
            open=self.open.spread(),
            lateness=self.lateness.spread(),
            cycle=self.cycle.spread(),
            read=self.read.spread(),
            write=self.write.spread(),
            verdict=self.verdict.spread(),
        )


class TimedLink:
    """A `TagLink` whose exchanges are timed. One that fails is no duration: it is a loss."""

    def __init__(self, link: TagLink, stopwatch: Stopwatch, clock: Callable[[], int]) -> None:
        self._link = link
        self._stopwatch = stopwatch
        self._clock = clock

    def open(self, connection: "socket.socket", contract: VerifiedContract) -> None:
        """Open a session, and count how long that took (see `TagLink.open`)."""
        began_ns = self._clock()
        self._link.open(connection, contract)
        self._stopwatch.open.add(self._clock() - began_ns)

    def recheck(self) -> Mode:
        """Compare the controller's marks (see `TagLink.recheck`)."""
        return self._link.recheck()

    def read(self, *, echo: bool) -> Reading:
        """Read, and count how long that took (see `TagLink.read`)."""
        began_ns = self._clock()
        reading = self._link.read(echo=echo)
        self._stopwatch.read.add(self._clock() - began_ns)
        return reading

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write, and count how long that took (see `TagLink.write`)."""
        began_ns = self._clock()
        self._link.write(results, status)
        self._stopwatch.write.add(self._clock() - began_ns)

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        """Read result slots again (see `TagLink.read_back`): a read like any other."""
        began_ns = self._clock()
        echoes = self._link.read_back(slots)
        self._stopwatch.read.add(self._clock() - began_ns)
        return echoes

    def close(self, *, abort: bool) -> None:
        """End the session (see `TagLink.close`)."""
        self._link.close(abort=abort)
