"""The PLC link: writes against other clients, verdict to acknowledge, busy loop, lost controllers.

Example: scripts/bench plc --json --samples plc.jsonl --plot plc.svg

The controller is the stand-in PLC in a process of its own, pinned to the last core; clients and
writer are on the first one. Cases take turns round by round after a warm-up, ratios and excesses
are against floors that are sampled in the same rounds at the same priority. The lines:
a write is one request; cached backend <= 1.2 x, pycomm3 backend <= 3.2 x the raw packet at p50;
verdict to acknowledge at p99 <= 2 ms above wake-up and echo; <= 1 % of the cycles over 10 ms on a
busy machine with real-time rights; a lost controller noticed <= 250 ms, written to <= 500 ms after
it is back, and nothing grows. The exit code is 1 when one is missed, or cannot be judged here.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

# What this folder's benches share is the package `benches`, whose parent is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benches.hub_bench.process import BenchProcess
from benches.plc_bench import loop, losses, machine, plot, verdicts, writes
from benches.plc_bench.figures import Figures, Line, figures, pooled
from benches.plc_bench.network import Cable, laid_cable
from benches.plc_bench.screen import add_extent, positive, print_lines, print_table
from benches.plc_bench.station import Station

from taktgate.standin.line.process import LineProcess

PACKAGE = "plc_bench"
PARTS = ("writes", "verdicts", "loop", "losses")
DEADLINE_MS, GATE_DELAY_MS = 100, 120
"""Presets that let 40 parts a second come."""
EXCHANGE_BYTES = (202, 64)
"""Request and reply of one result with the status, as part 1 counts them."""
LIMITS_US = {
    "losses, noticed": 1000 * losses.NOTICED_MS,
    "losses, written again": 1000 * losses.WRITTEN_MS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    rounds: int
    writes: int
    """Of each client, a round."""
    parts: int
    """Verdicts a round."""
    loop_rounds: int
    loop_s: float
    losses: int


FULL = Effort(rounds=10, writes=600, parts=200, loop_rounds=3, loop_s=20.0, losses=100)
QUICK = Effort(rounds=2, writes=20, parts=8, loop_rounds=1, loop_s=0.5, losses=1)


@dataclass(slots=True, kw_only=True)
class Report:
    """What was measured, part by part; a part that was not asked for is missing."""

    realtime: bool
    facts: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[Figures]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _options().parse_args(arguments)
    report = _measure(options)
    if options.plot:
        options.plot.write_text(plot.picture(report.tables, LIMITS_US), encoding="utf-8")
    if options.json:
        print(json.dumps(_document(report)))
    else:
        _print(report)
    return int(not all(line.kept for line in report.lines))


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    chosen = {"rounds": options.rounds, "losses": options.losses}
    given = {name: value for name, value in chosen.items() if value is not None}
    return Effort(**(asdict(effort) | given))


def _measure(options: argparse.Namespace) -> Report:
    report = Report(realtime=machine.may_be_realtime())
    if not report.realtime:
        report.notes.append("no real-time rights here: everything ran at normal priority")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        open(options.samples or os.devnull, "w", encoding="utf-8") as samples,
    ):
        bench = Bench(report=report, folder=Path(folder), samples=samples, backend=options.backend)
        asyncio.run(_measure_parts(bench, options.only, _effort(options)))
    return report


async def _measure_parts(bench: "Bench", parts: Sequence[str], effort: Effort) -> None:
    for part in parts:
        await MEASURES[part](bench, effort)


@dataclass(slots=True, kw_only=True)
class Bench:
    """One run: what was asked for, where things are, and what is known so far."""

    report: Report
    folder: Path
    samples: IO[str]
    backend: str
    _stations: int = 0

    @asynccontextmanager
    async def plc(self, cable: Cable | None = None) -> AsyncIterator[LineProcess]:
        """Run the stand-in PLC, behind *cable* if there is one."""
        plc = LineProcess(
            control=self.folder / "plc.sock",
            host="127.0.0.1" if cable is None else cable.far_address,
            port=0 if cable is None else 44818,
            deadline_ms=DEADLINE_MS,
            gate_delay_ms=GATE_DELAY_MS,
        )
        if cable is None:
            await plc.start()
        else:
            with cable.far_end():
                await plc.start()
        try:
            self.settle_controller(plc.pid)
            yield plc
        finally:
            await plc.stop()

    def settle_controller(self, process: int) -> None:
        """Give *process* the core and the priority of a controller."""
        machine.pin(process, machine.cores()[1])
        if self.report.realtime:
            machine.take_realtime(process, machine.CONTROLLER_PRIORITY)

    def settle_near(self, process: int) -> None:
        """Give *process* the core and the priority of the writer."""
        machine.pin(process, machine.cores()[0])
        if self.report.realtime:
            machine.take_realtime(process, machine.WRITER_PRIORITY)

    @asynccontextmanager
    async def writer(self, plc: LineProcess, *, realtime: bool) -> AsyncIterator[Station]:
        """Run the real writer at *plc*."""
        self._stations += 1
        station = Station(
            self.folder / f"station-{self._stations}",
            controller=plc.address,
            priority=machine.WRITER_PRIORITY if realtime else 0,
            backend=self.backend,
        )
        async with station:
            machine.pin(station.pid, machine.cores()[0])
            yield station

    def say(self, text: str) -> None:
        """Tell how far the run is."""
        print(f"bench plc: {text}", file=sys.stderr, flush=True)

    def keep(self, case: str, samples: Mapping[int, Sequence[float]]) -> None:
        """Keep raw samples, a line for each round."""
        for number, values in samples.items():
            print(json.dumps({"case": case, "round": number, "us": values}), file=self.samples)


async def measure_writes(bench: Bench, effort: Effort) -> None:
    """Part 1."""
    async with AsyncExitStack() as stack:
        plc = await stack.enter_async_context(bench.plc())
        echo = stack.enter_context(BenchProcess("echo", package=PACKAGE))
        client = stack.enter_context(BenchProcess("measuring", package=PACKAGE))
        echo.ask("address")  # it is up, and so are its threads
        bench.settle_controller(echo.pid)
        bench.settle_near(client.pid)
        measured = writes.measure(
            client,
            echo,
            (plc.ready["host"], plc.ready["port"]),
            rounds=effort.rounds,
            count=effort.writes,
            say=bench.say,
        )
    report = bench.report
    report.tables["writes"] = writes.all_figures(measured)
    report.facts["writes"] = {
        "ratios": {case: asdict(ratio) for case, ratio in writes.ratios(measured).items()},
        "requests": measured.requests,
        "request_bytes": measured.request_bytes,
    }
    report.lines += writes.lines(measured)
    for case, rounds in measured.samples_us.items():
        bench.keep(f"write, {case}", rounds)


async def measure_verdicts(bench: Bench, effort: Effort) -> None:
    """Part 2."""
    async with AsyncExitStack() as stack:
        plc = await stack.enter_async_context(bench.plc())
        echo = stack.enter_context(BenchProcess("echo", package=PACKAGE))
        floor = stack.enter_context(BenchProcess("floor", package=PACKAGE))
        address = echo.ask("address")
        inbox = bench.folder / "floor.sock"
        sizes = dict(zip(("request_bytes", "reply_bytes"), EXCHANGE_BYTES, strict=True))
        floor.ask("open", path=str(inbox), echo=address, **sizes)
        bench.settle_controller(echo.pid)
        bench.settle_near(floor.pid)
        realtime = bench.report.realtime
        station = await stack.enter_async_context(bench.writer(plc, realtime=realtime))
        measured = await verdicts.measure(
            plc,
            station,
            floor,
            inbox,
            rounds=effort.rounds,
            parts=effort.parts,
            say=bench.say,
        )
    report = bench.report
    report.tables["verdicts"] = [
        figures(case, pooled(rounds, tuple(rounds)))
        for case, rounds in (
            ("wake-up + echo", measured.floor_us),
            ("verdict to acknowledge", measured.verdicts_us),
        )
    ]
    report.facts["verdicts"] = {
        "excess_p99_us": asdict(verdicts.excess_p99_us(measured)),
        "unwritten": measured.unwritten,
    }
    report.lines += verdicts.lines(measured)
    bench.keep("verdict", measured.verdicts_us)
    bench.keep("wake-up + echo", measured.floor_us)


async def measure_loop(bench: Bench, effort: Effort) -> None:
    """Part 3."""
    async with bench.plc() as plc:
        found = await loop.measure(
            plc,
            lambda asks: bench.writer(plc, realtime=asks),
            modes={loop.WITH_RIGHTS: True, loop.WITHOUT_RIGHTS: False},
            rounds=effort.loop_rounds,
            seconds=effort.loop_s,
            say=bench.say,
        )
    bench.report.facts["loop"] = [asdict(each) for each in found]
    bench.report.lines += loop.lines(found)
    bench.report.notes += [
        f"busy loop, {each.mode}: {each.share:.2%} of {each.cycles} cycles over"
        f" {loop.LONG_US // 1000} ms, {each.late} ticks late,"
        f" longest < {each.longest_below_ms:g} ms"
        + ("" if each.granted else " (the rights were not granted)")
        for each in found
    ]


async def measure_losses(bench: Bench, effort: Effort) -> None:
    """Part 4."""
    cable = laid_cable()
    try:
        async with (
            bench.plc(cable) as plc,
            bench.writer(plc, realtime=bench.report.realtime) as station,
        ):
            measured = await losses.measure(
                plc, station, cable, losses=effort.losses, say=bench.say
            )
    finally:
        if cable is not None:
            cable.remove()
    report = bench.report
    for what, table in losses.all_figures(measured).items():
        report.tables[f"losses, {what}"] = table
    report.facts["losses"] = {
        "count": len(measured.losses),
        "left_out": measured.left_out,
        "downloads": [asdict(each) for each in measured.downloads],
        "held_first": asdict(measured.held[0]),
        "held_last": asdict(measured.held[-1]),
    }
    report.notes += [
        f"after a download: noticed after {each.noticed_ms:.0f} ms, written again after"
        f" {each.written_ms:.0f} ms, {each.check_ms:.0f} of them the check"
        for each in measured.downloads
    ]
    report.notes += [f"{kind}: left out: {why}" for kind, why in measured.left_out.items()]
    report.lines += losses.lines(measured)
    for each, held in zip(measured.losses, measured.held, strict=True):
        print(json.dumps(asdict(each) | asdict(held)), file=bench.samples)


MEASURES = {
    "writes": measure_writes,
    "verdicts": measure_verdicts,
    "loop": measure_loop,
    "losses": measure_losses,
}


def _document(report: Report) -> dict[str, Any]:
    return {
        "machine": machine.facts(),
        "realtime": report.realtime,
        "figures": {
            name: [asdict(each) for each in table] for name, table in report.tables.items()
        },
        **report.facts,
        "notes": report.notes,
        "lines": [asdict(line) for line in report.lines],
    }


def _print(report: Report) -> None:
    ratios = report.facts.get("writes", {}).get("ratios", {})
    shares = {case: f"{ratio['figure']:5.2f} x raw" for case, ratio in ratios.items()}
    for name, table in report.tables.items():
        remarks = shares if name == "writes" else None
        print_table(name, table, width=28, unit="us", remarks=remarks)
    for note in report.notes:
        print(note)
    print_lines(report.lines)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench plc", description="Measure the PLC link. Exit: 1 beyond a line."
    )
    parser.add_argument("--rounds", type=positive, help=f"of each case (default: {FULL.rounds})")
    parser.add_argument("--losses", type=positive, help=f"in all (default: {FULL.losses})")
    add_extent(parser, PARTS)
    parser.add_argument(
        "--backend", choices=("pycomm3", "cached"), default="pycomm3", help="of the writer"
    )
    parser.add_argument("--samples", metavar="FILE", help="keep the raw samples, a line a round")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw a picture")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
