"""A controller that is lost and comes back: how soon it is noticed, and how soon written again."""

import asyncio
import contextlib
import os
import random
import signal
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benches.plc_bench.figures import Figures, Interval, Line, figures, slope
from benches.plc_bench.network import Cable
from benches.plc_bench.station import Station, StationError

from taktgate.edge.clock import MILLISECOND, monotonic_ns
from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.tags import STATUS, STATUS_TAG
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.line.process import LineProcess

NOTICED_MS: Final = 250.0
WRITTEN_MS: Final = 500.0
MEMORY_PER_1000: Final = 1024 * 1024
"""Growth of memory that the slope's interval must exclude, when it excludes zero."""
_AWAY_S: Final = (0.3, 0.6)
"""How long a controller stays away after it was missed, at no certain point of a probe's 100 ms."""
_LONG_AWAY_S: Final = 5.0
_LONG_SHARE: Final = 0.1
"""Of the losses: a delay that grows meanwhile would be found by these."""
_LOSSES_PER_DOWNLOAD: Final = 20
_ENOUGH_FOR_A_SLOPE: Final = 10
_BACK_S: Final = 60.0
_LIVES_S: Final = 0.5
"""How long a session lives before it is lost: it dies young, which is the harder case."""
_POLL_S: Final = 0.01

Say = Callable[[str], None]
Act = Callable[[], Awaitable[int]]
"""Does it, and returns when it began (ns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A way to lose a controller, and to get the same one back."""

    name: str
    strike: Act
    heal: Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """One loss."""

    kind: str
    noticed_ms: float
    """From the strike to the writer's word that it has no session."""
    written_ms: float
    """From the controller's return to the first write of the new session at the controller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One download of the same project: the controller is a changed one until it is checked."""

    noticed_ms: float
    """From the download to the writer's word that it has no session."""
    written_ms: float
    """From then to the first write of the new session."""
    check_ms: float
    """What the full check took of that, by the writer's word."""

    @property
    def beyond_check_ms(self) -> float:
        """Return what was not the check's."""
        return self.written_ms - self.check_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the writer holds of the system."""

    descriptors: int
    threads: int
    children: int
    resident_bytes: int


@dataclass(slots=True, kw_only=True)
class Losses:
    """All losses, and what the writer held after each."""

    losses: list[Loss] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    downloads: list[Download] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Kinds that cannot be had here, and why."""

    @property
    def growth(self) -> Interval:
        """Return the growth of resident memory from loss to loss, in bytes: of the second half.

        The first half fills caches and free lists.
        """
        sizes = [float(each.resident_bytes) for each in self.held]
        return slope(sizes[len(sizes) // 2 :])


async def measure(
    plc: LineProcess, station: Station, cable: Cable | None, *, losses: int, say: Say
) -> Losses:
    """Lose the controller *losses* times, by each kind in turn."""
    kinds = kinds_of(plc, cable)
    chance = random.Random(3)  # noqa: S311 - a spread of times, no secret
    measured = Losses()
    if cable is None:
        measured.left_out["cable"] = "no network namespace here: needs root and `ip`"
    for number in range(losses):
        kind = kinds[number % len(kinds)]
        if number % 10 < len(kinds):
            say(f"losses: {number + 1} of {losses}, {kind.name}")
        measured.losses.append(await _lose(plc, station, kind, chance))
        measured.held.append(held_by(station.pid))
    for number in range(losses // _LOSSES_PER_DOWNLOAD):
        say(f"losses: download {number + 1}")
        measured.downloads.append(await _download(plc, station))
    return measured


def kinds_of(plc: LineProcess, cable: Cable | None) -> list[Kind]:
    """Return the ways in which the controller can be lost here."""
    kinds = [
        Kind(
            name="stopped (SIGSTOP)",
            strike=lambda: _signal(plc, signal.SIGSTOP),
            heal=lambda: _signal(plc, signal.SIGCONT),
        ),
        Kind(
            name="silent (blackhole)",
            strike=lambda: _timed(plc.fault(blackhole=True)),
            heal=lambda: _timed(plc.fault(clear=True)),
        ),
        Kind(
            name="reset (RST)",
            strike=lambda: _timed(plc.fault(cut=True)),
            heal=lambda: _timed(plc.fault(clear=True)),
        ),
        Kind(
            name="power cut, port closed",
            strike=lambda: _end(plc),
            heal=lambda: _start(plc, cable),
        ),
    ]
    if cable is not None:
        kinds.append(
            Kind(
                name="cable pulled",
                strike=lambda: _at_once(cable.pull),
                heal=lambda: _at_once(cable.plug),
            )
        )
    return kinds


def all_figures(measured: Losses) -> dict[str, list[Figures]]:
    """Return the figures of noticing and of writing again, by kind and over all."""
    kinds = {"all": measured.losses}
    for loss in measured.losses:
        kinds.setdefault(loss.kind, []).append(loss)
    return {
        "noticed": [
            figures(kind, [1000 * each.noticed_ms for each in found])
            for kind, found in kinds.items()
        ],
        "written again": [
            figures(kind, [1000 * each.written_ms for each in found])
            for kind, found in kinds.items()
        ],
    }


def lines(measured: Losses) -> list[Line]:
    """Hold every single loss to the lines, and what the writer holds to no growth."""
    noticed = max(measured.losses, key=lambda loss: loss.noticed_ms)
    written = max(measured.losses, key=lambda loss: loss.written_ms)
    first, last = measured.held[0], measured.held[-1]
    found = [
        Line(
            promise=f"a lost controller is noticed <= {NOTICED_MS:g} ms",
            measured=f"{noticed.noticed_ms:.0f} ms at most ({noticed.kind})",
            kept=noticed.noticed_ms <= NOTICED_MS,
        ),
        Line(
            promise=f"first good write <= {WRITTEN_MS:g} ms after it is back",
            measured=f"{written.written_ms:.0f} ms at most ({written.kind})",
            kept=written.written_ms <= WRITTEN_MS,
        ),
        Line(
            promise=f"no descriptor, thread or child more after {len(measured.held)} losses",
            measured=f"{first.descriptors} {first.threads} {first.children} -> "
            f"{last.descriptors} {last.threads} {last.children}",
            kept=last.descriptors <= first.descriptors
            and last.threads <= first.threads
            and last.children <= first.children,
        ),
    ]
    if measured.downloads:
        slowest = max(measured.downloads, key=lambda download: download.beyond_check_ms)
        found.append(
            Line(
                promise=f"first good write <= check + {WRITTEN_MS:g} ms after a download",
                measured=f"{slowest.written_ms:.0f} ms at most, {slowest.check_ms:.0f} the check's",
                kept=slowest.beyond_check_ms <= WRITTEN_MS,
            )
        )
    if len(measured.held) >= _ENOUGH_FOR_A_SLOPE:
        growth = measured.growth
        found.append(
            Line(
                promise="no growth of memory: 0 within the slope's interval, or < 1 MiB / 1000",
                measured=f"{growth.figure:.0f} B a loss ({growth.low:.0f} to {growth.high:.0f})",
                kept=growth.low <= 0 or 1000 * growth.high < MEMORY_PER_1000,
            )
        )
    return found


def held_by(process: int) -> Held:
    """Return what *process* holds now."""
    folder = Path(f"/proc/{process}")
    children = (folder / f"task/{process}/children").read_text(encoding="ascii").split()
    pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    return Held(
        descriptors=len(os.listdir(folder / "fd")),
        threads=len(os.listdir(folder / "task")),
        children=len(children),
        resident_bytes=pages * os.sysconf("SC_PAGE_SIZE"),
    )


async def _lose(plc: LineProcess, station: Station, kind: Kind, chance: random.Random) -> Loss:
    await asyncio.sleep(_LIVES_S)
    reconnects = _told(station).reconnects
    struck_ns = await kind.strike()
    await station.until(lambda: not _told(station).is_connected, _BACK_S)
    noticed_ns = station.heard_ns
    is_long = chance.random() < _LONG_SHARE
    await asyncio.sleep(_LONG_AWAY_S if is_long else chance.uniform(*_AWAY_S))
    healed_ns = await kind.heal()
    written_ns = await _first_write(plc, reconnects, healed_ns)
    await station.until(lambda: _told(station).is_ready, _BACK_S)
    return Loss(
        kind=kind.name,
        noticed_ms=(noticed_ns - struck_ns) / MILLISECOND,
        written_ms=(written_ns - healed_ns) / MILLISECOND,
    )


async def _download(plc: LineProcess, station: Station) -> Download:
    await asyncio.sleep(_LIVES_S)
    reconnects, checks = _told(station).reconnects, _told(station).contract_checks
    began_ns = monotonic_ns()
    await plc.download()
    await station.until(lambda: not _told(station).is_connected, _BACK_S)
    noticed_ns = station.heard_ns
    written_ns = await _first_write(plc, reconnects, noticed_ns)
    await station.until(lambda: _told(station).is_ready, _BACK_S)
    if _told(station).contract_checks == checks:
        raise StationError("the tags were not checked after a download")
    return Download(
        noticed_ms=(noticed_ns - began_ns) / MILLISECOND,
        written_ms=(written_ns - noticed_ns) / MILLISECOND,
        check_ms=float(_told(station).contract_check_ms),
    )


async def _first_write(plc: LineProcess, reconnects: int, since_ns: int) -> int:
    """Return when the first status of a new session was written; older ones may arrive late."""
    async with asyncio.timeout(_BACK_S):
        while True:
            for write in await plc.write_log(tag=STATUS_TAG.name, since_ns=since_ns):
                content = unpack(STATUS, bytes.fromhex(write["content"]))
                if content["CntReconnect"] != reconnects and content["Online"]:
                    return int(write["at_ns"])
            await asyncio.sleep(_POLL_S)


def _told(station: Station) -> WriterStatus:
    """Return what the writer said last of itself."""
    assert station.status is not None
    return station.status


async def _timed(act: Awaitable[None]) -> int:
    began_ns = monotonic_ns()
    await act
    return began_ns


async def _at_once(act: Callable[[], None]) -> int:
    began_ns = monotonic_ns()
    act()
    return began_ns


async def _signal(plc: LineProcess, number: signal.Signals) -> int:
    return await _at_once(lambda: os.kill(plc.pid, number))


async def _end(plc: LineProcess) -> int:
    began_ns = monotonic_ns()
    await plc.stop()
    return began_ns


async def _start(plc: LineProcess, cable: Cable | None) -> int:
    """Start the PLC again; return the last moment at which its port was surely closed."""
    watching = asyncio.create_task(_last_refused_ns(plc.ready["host"], plc.ready["port"]))
    with cable.far_end() if cable is not None else contextlib.nullcontext():
        starting = asyncio.create_task(plc.start())
        await asyncio.sleep(0)
    await starting
    return await watching


async def _last_refused_ns(host: str, port: int) -> int:
    while True:
        tried_ns = monotonic_ns()
        with socket.socket() as probe:
            probe.settimeout(0.05)
            if probe.connect_ex((host, port)) == 0:
                return tried_ns
        await asyncio.sleep(0.001)
