"""The inspection: our own overhead, faults, swaps, overload, and the same model behind others.

Example: scripts/bench inspect --quick --json inspect.json --plot inspect.svg

The judge is the real process with its runners; the bench is its camera, PLC writer and agent. Parts
come at their times, whatever becomes of the others (open loop); a verdict's time is the kernel's
stamp in the writer's inbox. Raw runs, floors and peers take turns with what is measured. Times are
those of native 512x512 frames. The exit code is 1 when a line is missed, 2 for wrong usage.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

# What this folder's benches share is the package `benches`, whose parent is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches.inspect_bench import against_peers, determinism, failsafe, overhead, overload, swap
from benches.inspect_bench.page import filled
from benches.inspect_bench.report import FULL, QUICK, Bench, Effort, Report, Section
from benches.plc_bench import machine, plot
from benches.plc_bench.figures import Figures
from benches.plc_bench.screen import add_extent, positive, print_lines, print_table

MEASURES: Final[Mapping[str, Callable[[Bench], None]]] = {
    "overhead": overhead.measure_idle,
    "busy": overhead.measure_busy,
    "peers": against_peers.measure,
    "failsafe": failsafe.measure,
    "swap": swap.measure,
    "overload": overload.measure,
    "determinism": determinism.measure,
}
ESTIMATES_S: Final[Mapping[str, Callable[[Effort], float]]] = {
    "overhead": lambda effort: effort.rounds * (effort.parts / 15 + 12),
    "busy": lambda effort: effort.busy_parts * 4 / 3 / 30 + 15,
    "peers": lambda effort: effort.peer_requests * 1.5 + 60,
    "failsafe": lambda effort: effort.faults * 4.5 + 3,
    "swap": lambda effort: effort.swaps * 0.9 + 8,
    "overload": lambda effort: 2 * effort.overload_s + 6,
    "determinism": lambda effort: 4 * (2.0 + effort.frames * 0.1),
}
"""On two idle cores, installing the peers left out."""
_LIMITS_US: Final = {
    "overhead, busy, ": 1000 * overhead.BUSY_P99_MS,
    "overhead, ": 1000 * overhead.IDLE_P99_MS,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    options = _options().parse_args(arguments)
    if options.source is not None:
        document = json.loads(options.source.read_text(encoding="utf-8"))
        _fill_page(options.page, document)
        return int(not document["verdict"]["met"])
    report = _measure(options)
    document = _document(report, options)
    if options.json is not None:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.plot is not None:
        options.plot.write_text(_picture(report), encoding="utf-8")
    _fill_page(options.page, document)
    _print(report)
    return int(not document["verdict"]["met"])


def _measure(options: argparse.Namespace) -> Report:
    report = Report(is_realtime_granted=not options.no_realtime and machine.may_be_realtime())
    effort = _effort(options)
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        open(_samples_path(options) or os.devnull, "w", encoding="utf-8") as samples,
    ):
        bench = Bench(
            report=report,
            folder=Path(folder),
            samples=samples,
            effort=effort,
            with_gpu_wheel=options.gpu_wheel,
        )
        expected_s = sum(ESTIMATES_S[name](effort) for name in options.only)
        bench.say(f"{', '.join(options.only)}: about {expected_s / 60:.1f} minutes")
        if report.is_realtime_granted:
            take_the_priority_of_a_controller()
        for name in options.only:
            _measure_section(bench, name)
    return report


def _measure_section(bench: Bench, name: str) -> None:
    section = bench.report.sections[name] = Section()
    left_out, began_s = bench.left_out, time.monotonic()
    MEASURES[name](bench)
    section.seconds = round(time.monotonic() - began_s, 1)
    if bench.left_out > left_out:
        section.notes.append(f"{bench.left_out - left_out} parts left out: the bench was late")


def take_the_priority_of_a_controller() -> None:
    """Let parts come in time: PLC and camera are no processes of the station's machine.

    What the bench starts does not inherit it.
    """
    policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
    os.sched_setscheduler(0, policy, os.sched_param(machine.CONTROLLER_PRIORITY))


def _effort(options: argparse.Namespace) -> Effort:
    effort = QUICK if options.quick else FULL
    chosen = {name: getattr(options, name) for name in ("parts", "faults", "swaps")}
    effort = replace(effort, **{name: value for name, value in chosen.items() if value is not None})
    return effort if options.parts is None else replace(effort, rounds=1, busy_parts=options.parts)


def _samples_path(options: argparse.Namespace) -> Path | None:
    """Return where raw samples go: beside the JSON document if nothing else was said."""
    samples: Path | None = options.samples
    document: Path | None = options.json
    if samples is None and document is not None:
        return document.with_suffix(".samples.jsonl")
    return samples


def _document(report: Report, options: argparse.Namespace) -> dict[str, Any]:
    samples, lines = _samples_path(options), report.lines
    return {
        **report.facts,
        "machine": machine.facts() | {"realtime": report.is_realtime_granted},
        "quick": options.quick,
        "samples": None if samples is None else samples.name,
        "sections": {name: asdict(section) for name, section in report.sections.items()},
        "verdict": {
            "met": all(line.kept for line in lines),
            "lines": [asdict(line) for line in lines],
        },
    }


def _fill_page(page: Path | None, document: Mapping[str, Any]) -> None:
    if page is not None:
        page.write_text(filled(page.read_text(encoding="utf-8"), document), encoding="utf-8")


def _picture(report: Report) -> str:
    """Return the tables as a picture; what came before its deadline has no place on its axis."""
    tables: dict[str, list[Figures]] = {}
    limits: dict[str, float] = {}
    for section in report.sections.values():
        for name, rows in section.tables.items():
            tables[name] = [row for row in rows if row.p50_us > 0]
            start = next((start for start in _LIMITS_US if name.startswith(start)), None)
            if start is not None:
                limits[name] = _LIMITS_US[start]
    return plot.picture({name: rows for name, rows in tables.items() if rows}, limits)


def _print(report: Report) -> None:
    for section in report.sections.values():
        for name, table in section.tables.items():
            print_table(name, table, width=62, unit="ms")
        for note in section.notes:
            print(note)
        print_lines(section.lines)
    if not report.is_realtime_granted:
        print("no real-time rights: everything ran at normal priority")


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench inspect", description="Measure the inspection. Exit: 1 beyond a line."
    )
    add_extent(parser, list(MEASURES))
    parser.add_argument("--parts", type=positive, help="of the overhead, in one round")
    parser.add_argument("--faults", type=positive, help=f"of each kind (default: {FULL.faults})")
    parser.add_argument("--swaps", type=positive, help=f"in all (default: {FULL.swaps})")
    parser.add_argument("--gpu-wheel", action="store_true", help="determinism: the GPU wheel too")
    parser.add_argument("--no-realtime", action="store_true", help="ask for no real-time rights")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--samples", type=Path, metavar="FILE", help="keep the raw samples")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw a picture")
    parser.add_argument("--page", type=Path, metavar="FILE.md", help="fill in a page's figures")
    parser.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: take the figures of an earlier --json",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
