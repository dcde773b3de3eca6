"""How many of the writer's cycles take longer than a tick on a busy machine, by its own count."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from benches.plc_bench.figures import Line
from benches.plc_bench.machine import busy_machine
from benches.plc_bench.station import READY_S, Station, line_is_empty

from taktgate.plc.writer.timing import BOUNDS_US, Spread, Timings
from taktgate.standin.line.process import LineProcess

LONG_US: Final = 10_000
MOST_LONG: Final = 0.01
WITH_RIGHTS, WITHOUT_RIGHTS = "with real-time rights", "without"
_PARTS_PER_S: Final = 10.0
_STATUS_S: Final = 1.2
"""The writer tells its counts every second."""

Say = Callable[[str], None]
StartWriter = Callable[[bool], AbstractAsyncContextManager[Station]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycles:
    """What the writer counted while the machine was busy, with rights or without."""

    mode: str
    granted: bool
    """Whether the writer had what it was meant to have."""
    cycles: int
    long: int
    late: int
    """Ticks that began more than a tick late."""
    longest_below_ms: float
    """The bound of the highest bucket that was used; infinite for the last."""

    @property
    def share(self) -> float:
        """Return the share of the cycles that were too long; all of none."""
        return self.long / self.cycles if self.cycles else 1.0


async def measure(
    plc: LineProcess,
    start_writer: StartWriter,
    *,
    modes: Mapping[str, bool],
    rounds: int,
    seconds: float,
    say: Say,
) -> list[Cycles]:
    """Run the writer on a busy machine in each of *modes* (rights asked for) in turn."""
    found: dict[str, list[Cycles]] = {mode: [] for mode in modes}
    for number in range(rounds):
        for mode, asks in modes.items():
            say(f"loop: round {number + 1} of {rounds}, {mode}")
            async with start_writer(asks) as station:
                found[mode].append(await _one(plc, station, mode, asks=asks, seconds=seconds))
    return [_together(each) for each in found.values()]


def lines(measured: list[Cycles]) -> list[Line]:
    """Hold the cycles with rights to their line; without them the figure is only printed."""
    return [
        Line(
            promise=f"cycles over {LONG_US // 1000} ms <= {MOST_LONG:.0%}, {each.mode}, busy",
            measured=f"{each.share:.2%} ({each.long} of {each.cycles})",
            kept=each.granted and each.share <= MOST_LONG,
        )
        for each in measured
        if each.mode == WITH_RIGHTS
    ]


async def _one(
    plc: LineProcess, station: Station, mode: str, *, asks: bool, seconds: float
) -> Cycles:
    parts = max(1, round(seconds * _PARTS_PER_S))
    with busy_machine():
        before = await _timings(station)
        await plc.run(parts, _PARTS_PER_S)
        await asyncio.sleep(seconds)
        after = await _timings(station)
    await line_is_empty(plc)
    assert station.status is not None
    return Cycles(
        mode=mode,
        granted=station.status.is_realtime or not asks,
        cycles=after.cycle.total - before.cycle.total,
        long=after.cycle.longer_than(LONG_US) - before.cycle.longer_than(LONG_US),
        late=after.lateness.longer_than(LONG_US) - before.lateness.longer_than(LONG_US),
        longest_below_ms=_longest_below_ms(before.cycle, after.cycle),
    )


async def _timings(station: Station) -> Timings:
    """Return the counts of a status that is told from now on."""
    station.status = None
    await station.until(lambda: station.status is not None, _STATUS_S + READY_S)
    assert station.status is not None
    return station.status.timings


def _longest_below_ms(before: Spread, after: Spread) -> float:
    bounds = (*(bound / 1000 for bound in BOUNDS_US), float("inf"))
    used = [
        bound
        for bound, old, new in zip(bounds, before.counts, after.counts, strict=True)
        if new > old
    ]
    return max(used, default=0.0)


def _together(rounds: list[Cycles]) -> Cycles:
    return Cycles(
        mode=rounds[0].mode,
        granted=all(each.granted for each in rounds),
        cycles=sum(each.cycles for each in rounds),
        long=sum(each.long for each in rounds),
        late=sum(each.late for each in rounds),
        longest_below_ms=max(each.longest_below_ms for each in rounds),
    )
