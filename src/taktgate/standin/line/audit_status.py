"""What the vision side said of itself over time, from its raw writes to VIS01_Sts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from taktgate.plc.contract.tags import STATUS
from taktgate.standin.line.raw_members import flag, number
from taktgate.standin.line.standstill import Outage
from taktgate.standin.logix.memory import LoggedWrite

_LONG_AGO = -(2**62)
_FOR_EVER = 2**62
_ALIVE_NS: Final = 250_000_000
"""Who wrote this short a time ago was at work: a writer writes each 100 ms, and one that takes over
has watched the tag stand still for 300 ms."""
_MOST_BEATS: Final = 20
"""A heartbeat that goes further at once is a torn write, half of it another writer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The time between two writes, in which nothing changed."""

    start_ns: int
    end_ns: int
    ready: bool
    beat_ns: int
    """When the heartbeat last changed."""


class StatusHistory:
    """Answers whether the vision side was up at a time, for a program that looked in its scans.

    What the heartbeat did while no scan ran, the program finds out in the next one.
    """

    def __init__(self, writes: Sequence[LoggedWrite], outages: Sequence[Outage] = ()) -> None:
        self._writes = writes
        self._outages = outages

    def was_up(self, start_ns: int, end_ns: int, *, watchdog_ns: int) -> bool:
        """Tell whether it was ready, with a live heartbeat, at any time meanwhile."""
        return any(
            period.ready and max(period.start_ns, start_ns) - period.beat_ns < watchdog_ns
            for period in self._within(start_ns, end_ns)
        )

    def was_down(self, start_ns: int, end_ns: int, *, watchdog_ns: int) -> bool:
        """Tell whether it was not ready, or its heartbeat stood still, at any time meanwhile."""
        return any(
            not period.ready or min(period.end_ns, end_ns) - period.beat_ns >= watchdog_ns
            for period in self._within(start_ns, end_ns)
        )

    def was_beating(self, at_ns: int, *, watchdog_ns: int) -> bool:
        """Tell whether the heartbeat was alive at a time."""
        return any(at_ns - period.beat_ns < watchdog_ns for period in self._within(at_ns, at_ns))

    def had_two_writers(self, start_ns: int, end_ns: int) -> bool:
        """Tell whether the heartbeats of two BootIds moved side by side, meanwhile.

        A BootId alone proves nothing: a request of a dead writer may still be executed.
        """
        beats: dict[int, tuple[int, int]] = {}
        for write in self._writes:
            boot_id, heartbeat = _boot_id(write), number(STATUS, write.content, "Heartbeat")
            last, _ = beats.setdefault(boot_id, (heartbeat, _LONG_AGO))
            if not 0 < heartbeat - last <= _MOST_BEATS:
                continue
            others = (at_ns for other, (_, at_ns) in beats.items() if other != boot_id)
            is_shared = any(write.at_ns - at_ns < _ALIVE_NS for at_ns in others)
            if is_shared and start_ns <= write.at_ns <= end_ns:
                return True
            beats[boot_id] = heartbeat, write.at_ns
        return False

    def _within(self, start_ns: int, end_ns: int) -> Iterator[Period]:
        for period in _periods(self._writes, self._outages):
            if period.start_ns > end_ns:
                return
            if period.end_ns >= start_ns:
                yield period


def _boot_id(write: LoggedWrite) -> int:
    return number(STATUS, write.content, "BootId")


def _periods(writes: Sequence[LoggedWrite], outages: Sequence[Outage]) -> Iterator[Period]:
    start_ns, ready, beat_ns = _LONG_AGO, False, _LONG_AGO
    beat: int | None = None
    for write in writes:
        heartbeat, is_ready = _facts(write.content)
        if heartbeat == beat and is_ready == ready:
            continue
        yield Period(start_ns=start_ns, end_ns=write.at_ns, ready=ready, beat_ns=beat_ns)
        if beat is not None and heartbeat != beat:
            beat_ns = _seen_ns(write.at_ns, outages)
        start_ns, ready, beat = write.at_ns, is_ready, heartbeat
    yield Period(start_ns=start_ns, end_ns=_FOR_EVER, ready=ready, beat_ns=beat_ns)


@lru_cache(maxsize=4096)
def _facts(content: bytes) -> tuple[int, bool]:
    """Return heartbeat and Ready; a write is looked at again with each part of its time."""
    return number(STATUS, content, "Heartbeat"), flag(STATUS, content, "Ready")


def _seen_ns(at_ns: int, outages: Sequence[Outage]) -> int:
    """Return when a program that just stood still meanwhile saw what happened at *at_ns*."""
    for outage in outages:
        if not outage.is_restart and outage.start_ns <= at_ns <= outage.end_ns:
            return outage.end_ns
    return at_ns
