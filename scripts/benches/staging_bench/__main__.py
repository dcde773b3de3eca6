"""Staging: its rate, kills, hostile servers, the start from last-known-good, the judge beside it.

Example: scripts/bench staging --json staging.json --plot staging.svg

A bundle of 200 MB is what is staged. Rates are shares of the disk's own, measured in turns; the
judge's p99 is compared with quiet blocks of the same run. The exit code is 1 when a line is missed,
2 for wrong usage.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, Final

# What this folder's benches share is the package `benches`, whose parent is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches.inspect_bench.__main__ import take_the_priority_of_a_controller
from benches.inspect_bench.errands import bundle_for_errands
from benches.inspect_bench.report import FULL, Bench, Report, Section
from benches.inspect_bench.station import StationError
from benches.plc_bench import machine, plot
from benches.plc_bench.figures import Figures, Line, figures
from benches.plc_bench.screen import add_extent, print_lines, print_table
from benches.staging_bench import beside, boot, limits, rate, resume
from benches.staging_bench.outcome import BenchError

CONFIG: Final = Path(__file__).resolve().parents[3] / "config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    rate_rounds: int
    kills: int
    starts: int
    """With each clock."""
    rounds: int
    """Beside the judge: one block of each kind a round."""
    parts: int
    """In each block."""
    limits: limits.Limits
    """Against endless and slow servers."""


FULL_EFFORT: Final = Effort(
    rate_rounds=16, kills=10, starts=10, rounds=10, parts=300, limits=limits.Limits()
)
QUICK_EFFORT: Final = Effort(
    rate_rounds=2, kills=2, starts=1, rounds=2, parts=60, limits=limits.SHORT
)


@dataclass(slots=True, kw_only=True)
class Run:
    """What is known so far."""

    folder: Path
    effort: Effort
    samples: IO[str]
    is_realtime_granted: bool
    facts: dict[str, Any] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    tables: dict[str, list[Figures]] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Tell how far the run is."""
        print(f"bench staging: {text}", file=sys.stderr, flush=True)

    def keep(self, case: str, values: object) -> None:
        """Keep raw samples."""
        print(json.dumps({"case": case, "samples": values}), file=self.samples)


def _rate(run: Run) -> None:
    bundle = bundle_for_errands(run.folder)
    rounds = run.effort.rate_rounds
    found = rate.measure(run.folder / "rate", bundle, CONFIG, rounds=rounds, say=run.say)
    run.keep("rate, s", found.seconds)
    run.facts["rate_mb_s"] = {
        case: round(found.rate_mb_s(case, range(rounds)), 1) for case in rate.CASES
    }
    run.facts["share_of_disk"] = {
        case: asdict(found.share(case, rate.DISK)) for case in (rate.DOWNLOAD, rate.INSTALL)
    }
    run.facts["rate_rounds"] = rounds
    run.lines += rate.lines(found)


def _resume(run: Run) -> None:
    bundle = bundle_for_errands(run.folder)
    kills = resume.measure(
        run.folder / "resume", bundle, CONFIG, kills=run.effort.kills, seed=1, say=run.say
    )
    run.facts["resume"] = [asdict(kill) | {"again_bytes": kill.again_bytes} for kill in kills]
    run.lines.append(resume.line(kills))


def _limits(run: Run) -> None:
    kept_to = run.effort.limits
    found = limits.measure(run.folder / "limits", kept_to, say=run.say)
    run.facts["limits"] = [asdict(refusal) for refusal in found]
    run.facts["limits_are_real"] = kept_to.are_real
    run.lines += limits.lines(found, kept_to)


def _boot(run: Run) -> None:
    run.say(f"boot: {run.effort.starts} starts with each clock")
    starts = boot.measure(run.effort.starts)
    run.facts["boot"] = [asdict(start) for start in starts]
    for case in boot.CLOCKS:
        ready = [start.ready_s for start in starts if start.case == case]
        run.lines.append(
            Line(
                promise=f"no network, no edgeHub, {case}: ready <= {boot.MOST_READY_S:g} s",
                measured=f"median {statistics.median(ready):.2f} s, max {max(ready):.2f} s"
                f" (n = {len(ready)})",
                kept=max(ready) <= boot.MOST_READY_S,
            )
        )


def _beside(run: Run) -> None:
    report = Report(is_realtime_granted=run.is_realtime_granted)
    report.sections["beside"] = Section()
    bench = Bench(report=report, folder=run.folder, samples=run.samples, effort=FULL)
    found = beside.measure(bench, rounds=run.effort.rounds, parts=run.effort.parts)
    run.keep("beside, us", found.times_us)
    run.facts["beside"] = {
        "stagings": found.stagings,
        "fetched_mb": found.fetched_mb,
        "unjudged": found.unjudged,
        "left_out": bench.left_out,
    }
    run.tables["frame complete to verdict"] = [
        figures(case, [us for round_ in found.times_us[case] for us in round_])
        for case in beside.CASES
    ]
    run.lines += beside.lines(found)


MEASURES: Final[Mapping[str, Callable[[Run], None]]] = {
    "rate": _rate,
    "resume": _resume,
    "limits": _limits,
    "boot": _boot,
    "beside": _beside,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _options().parse_args(arguments)
    samples = options.json.with_suffix(".samples.jsonl") if options.json else Path(os.devnull)
    with (
        tempfile.TemporaryDirectory(prefix="bench-", dir=options.disk) as folder,
        samples.open("w", encoding="utf-8") as kept,
    ):
        run = Run(
            folder=Path(folder),
            effort=QUICK_EFFORT if options.quick else FULL_EFFORT,
            samples=kept,
            is_realtime_granted=machine.may_be_realtime(),
        )
        for name in options.only:
            began_s = time.monotonic()
            _measure(name, run)
            run.say(f"{name}: {time.monotonic() - began_s:.0f} s")
    if options.json is not None:
        options.json.write_text(json.dumps(_document(run), indent=1) + "\n", encoding="utf-8")
    if options.plot is not None and run.tables:
        options.plot.write_text(plot.picture(run.tables, {}), encoding="utf-8")
    _print(run)
    return int(not all(line.kept for line in run.lines))


def _measure(name: str, run: Run) -> None:
    """Measure one section; one that cannot be measured is not kept, and the others are."""
    if name == "beside" and run.is_realtime_granted:
        take_the_priority_of_a_controller()
    try:
        MEASURES[name](run)
    except (BenchError, StationError) as error:
        run.lines.append(Line(promise=f"{name} is measured", measured=str(error), kept=False))


def _document(run: Run) -> dict[str, Any]:
    return {
        **run.facts,
        "tables": {name: [asdict(row) for row in rows] for name, rows in run.tables.items()},
        "machine": machine.facts() | {"realtime": run.is_realtime_granted},
        "effort": asdict(run.effort),
        "verdict": {
            "met": all(line.kept for line in run.lines),
            "lines": [asdict(line) for line in run.lines],
        },
    }


def _print(run: Run) -> None:
    for case, mb_s in run.facts.get("rate_mb_s", {}).items():
        print(f"{case:13} {mb_s:8.0f} MB/s (median of {run.facts['rate_rounds']})")
    for case, share in run.facts.get("share_of_disk", {}).items():
        print(f"{case:13} {share['figure']:8.0%} of the disk's rate of writing and syncing")
    for name, rows in run.tables.items():
        print_table(name, rows, width=30, unit="ms")
    print_lines(run.lines)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench staging", description="Measure staging. Exit: 1 beyond a line."
    )
    add_extent(parser, list(MEASURES))
    parser.add_argument("--disk", type=Path, metavar="DIR", help="a folder of the disk to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures and raw samples")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the judge's times")
    return parser


if __name__ == "__main__":
    sys.exit(main())
