"""From the send of a verdict to the PLC's acknowledge, beyond what waking up and an echo take."""

import asyncio
import random
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.hub_bench.process import BenchProcess
from benches.hub_bench.verdict import percentile
from benches.plc_bench.figures import NS_PER_US, Interval, Line, interval, pooled
from benches.plc_bench.floor import STAMP
from benches.plc_bench.station import Station, StationError, line_is_empty

from taktgate.edge.clock import monotonic_ns
from taktgate.standin.line.process import LineProcess

EXCESS_P99_MS: Final = 2.0
MOST_UNWRITTEN: Final = 0.01
PARTS_PER_S: Final = 40.0
_FINISH_S: Final = 60.0
_WARM_UP: Final = 10

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """Times by round: of verdicts, and of the floor between them."""

    verdicts_us: Mapping[int, list[float]]
    floor_us: Mapping[int, list[float]]
    unwritten: int
    """Verdicts that were not confirmed, or not as PASS: late ones of a machine that stood still."""


async def measure(
    plc: LineProcess,
    station: Station,
    floor: BenchProcess,
    inbox: Path,
    *,
    rounds: int,
    parts: int,
    say: Say,
) -> Verdicts:
    """Let *parts* parts come, *rounds* times over; with each the floor is sampled once.

    Raises:
        StationError: no verdict at all was acknowledged.
    """
    probe = _FloorProbe(inbox)
    station.on_part = probe.send_soon
    await _let_parts_come(plc, station, _WARM_UP)
    floor.ask("take")
    verdicts: dict[int, list[float]] = {}
    floors: dict[int, list[float]] = {}
    unwritten = 0
    for number in range(rounds):
        say(f"verdicts: round {number + 1} of {rounds}")
        station.outcomes.clear()
        await _let_parts_come(plc, station, parts)
        taken, floor_ns = _taken(station), floor.ask("take")
        unwritten += parts - len(taken)
        if taken and floor_ns:
            verdicts[number] = taken
            floors[number] = [each / NS_PER_US for each in floor_ns]
    if not verdicts:
        raise StationError("the PLC acknowledged no verdict in time")
    station.on_part = lambda: None
    probe.close()
    return Verdicts(verdicts_us=verdicts, floor_us=floors, unwritten=unwritten)


def excess_p99_us(measured: Verdicts) -> Interval:
    """Return by how much the 99th percentile lies above that of the floor."""

    def excess_of(rounds: Sequence[int]) -> float:
        ours = percentile(pooled(measured.verdicts_us, rounds), 99)
        return ours - percentile(pooled(measured.floor_us, rounds), 99)

    return interval(tuple(measured.verdicts_us), excess_of)


def lines(measured: Verdicts) -> list[Line]:
    """Hold the excess to its line; too many verdicts without any time would hide behind it."""
    excess = excess_p99_us(measured)
    timed = sum(map(len, measured.verdicts_us.values()))
    share = measured.unwritten / (timed + measured.unwritten)
    return [
        Line(
            promise=f"verdict to acknowledge: p99 <= {EXCESS_P99_MS:g} ms above the floor's",
            measured=f"{excess.figure / 1000:.2f} ms"
            f" ({excess.low / 1000:.2f}-{excess.high / 1000:.2f}), {measured.unwritten} unwritten",
            kept=excess.figure <= 1000 * EXCESS_P99_MS and share < MOST_UNWRITTEN,
        )
    ]


async def _let_parts_come(plc: LineProcess, station: Station, parts: int) -> None:
    """Run *parts* parts and wait until the writer has closed the last of them."""
    before = len(station.outcomes)
    await plc.run(parts, PARTS_PER_S)
    limit_s = parts / PARTS_PER_S + _FINISH_S
    await station.until(lambda: len(station.outcomes) >= before + parts, limit_s)
    await line_is_empty(plc)


def _taken(station: Station) -> list[float]:
    """Return the times of the verdicts that the PLC acknowledged."""
    sent = station.sent_ns
    return [
        (outcome.closed_ns - sent[outcome.plc_epoch, outcome.trigger_id]) / NS_PER_US
        for outcome in station.outcomes
        if outcome.written and (outcome.plc_epoch, outcome.trigger_id) in sent
    ]


class _FloorProbe:
    """Sends one datagram to the floor for each part, at no certain point of a tick."""

    def __init__(self, inbox: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.connect(str(inbox))
        self._chance = random.Random(2)  # noqa: S311 - a spread of times, no secret

    def send_soon(self) -> None:
        delay_s = self._chance.uniform(0, 1 / PARTS_PER_S)
        asyncio.get_running_loop().call_later(delay_s, self._send)

    def close(self) -> None:
        self._socket.close()

    def _send(self) -> None:
        if self._socket.fileno() >= 0:
            self._socket.send(STAMP.pack(monotonic_ns()))
