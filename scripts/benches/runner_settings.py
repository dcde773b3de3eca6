"""What threads, spinning, arena and priority of a runner cost: session.run at the line's pace.

Example: scripts/bench runner_settings --json runner_settings.json

Each case is a process with the runner's own session on the weld-seam sample (512x512, uint8), and
runs frames that are due at 30 a second. The cases take turns, round after round, in an order that
changes with each round; the others sleep meanwhile. Busy cases share the machine with one process
a core at normal priority. A case whose priority is not granted is left out and named. The figures
are there to choose defaults by (docs/adr/0004-runner-settings.md): none is a line to be kept.
"""

import argparse
import contextlib
import json
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

# What this folder's benches share is the package `benches`, whose parent is not on the path yet.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benches.hub_bench.process import BenchProcess
from benches.hub_bench.verdict import percentile
from benches.plc_bench import machine

from taktgate.bundle.archive import unpack

ROOT: Final = Path(__file__).resolve().parents[2]
BUNDLE: Final = ROOT / "src/taktgate/standin/samples/weld-seam/weld-seam-1.0.0.bundle"
REALTIME: Final = 40
FRAMES: Final = 40
"""Different frames, over and over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to run the model."""

    name: str
    terms: dict[str, Any]
    is_busy: bool = False
    priority: str = "normal"
    """`normal`, `realtime` or `idle`."""


def _case(name: str, **terms: Any) -> Case:
    return Case(name=name, terms=terms)


CASES: Final = (
    _case("default: 1 thread, no spinning"),
    _case("2 threads, no spinning", threads=2),
    _case("2 threads, spinning", threads=2, spinning=True),
    _case("no arena", arena=False),
    _case("no memory pattern", memory_pattern=False),
    _case("no arena, no memory pattern", arena=False, memory_pattern=False),
    Case(name="busy: 1 thread", terms={}, is_busy=True),
    Case(name="busy: 2 threads, no spinning", terms={"threads": 2}, is_busy=True),
    Case(name="busy: 2 threads, spinning", terms={"threads": 2, "spinning": True}, is_busy=True),
    Case(name="busy: 1 thread, SCHED_FIFO", terms={}, is_busy=True, priority="realtime"),
    Case(name="busy: 1 thread, idle priority", terms={}, is_busy=True, priority="idle"),
)


@dataclass(slots=True, kw_only=True)
class Samples:
    """What was measured of one case, over all rounds."""

    runs_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    rss_kb: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        """Take in a round."""
        self.runs_ms += answer["runs_ms"]
        self.cpu_ms.append(answer["cpu_ms"])
        self.rss_kb = max(self.rss_kb, answer["rss_kb"])

    def figures(self) -> dict[str, Any]:
        """Return percentiles with their number of samples."""
        return {
            "n": len(self.runs_ms),
            **{
                f"p{percent:g}_ms": round(percentile(self.runs_ms, percent), 3)
                for percent in (50, 99)
            },
            "max_ms": round(max(self.runs_ms), 3),
            "cpu_ms_a_frame": round(sum(self.cpu_ms) / len(self.cpu_ms), 3),
            "rss_kb": self.rss_kb,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = _options()
    choices = options.parse_args(arguments)
    cases = [case for case in CASES if choices.only in case.name]
    if not cases:
        options.error(f"no case's name holds {choices.only!r}")
    rounds, frames = (2, 20) if choices.quick else (choices.rounds, choices.frames)
    with tempfile.TemporaryDirectory(prefix="runner-settings-") as name:
        slot = Path(name) / "slot"
        unpack(BUNDLE, slot)
        samples, refused = _measure(cases, slot, rounds, frames, choices.per_s)
    report = {
        "machine": {"cores": list(machine.cores()), "system": platform.platform()},
        "frames_per_s": choices.per_s,
        "left_out": refused,
        "cases": {case: each.figures() for case, each in samples.items()},
    }
    if choices.json:
        Path(choices.json).write_text(json.dumps(report, indent=1) + "\n")
    for case, figures in report["cases"].items():
        print(f"{case:34}", "  ".join(f"{key} {value}" for key, value in figures.items()))
    for case in refused:
        print(f"{case:34} left out: the priority is not granted")
    return 0


def _measure(
    cases: Sequence[Case], slot: Path, rounds: int, frames: int, per_s: float
) -> tuple[dict[str, Samples], list[str]]:
    """Let the cases take turns."""
    with contextlib.ExitStack() as stack:
        started = [(case, _start(stack, case, slot)) for case in cases]
        refused = [case.name for case, process in started if process is None]
        running = [(case, process) for case, process in started if process is not None]
        samples = {case.name: Samples() for case, _ in running}
        for number in range(rounds):
            shift = number % max(1, len(running))
            for case, process in running[shift:] + running[:shift]:
                print(f"round {number + 1} of {rounds}: {case.name}", file=sys.stderr)
                with machine.busy_machine() if case.is_busy else contextlib.nullcontext():
                    answer = process.ask("paced", count=frames, per_s=per_s)
                samples[case.name].add(answer)
        return samples, refused


def _start(stack: contextlib.ExitStack, case: Case, slot: Path) -> BenchProcess | None:
    """Start the process of *case*; None when it is not granted its priority."""
    process = stack.enter_context(BenchProcess("session", package="runner_bench"))
    terms = {"policy": "cpu", **case.terms}
    process.ask("open", slot=str(slot), frames=FRAMES, sessions=1, **terms)
    if case.priority == "idle":
        process.ask("step_back")
    if case.priority == "realtime" and not machine.take_realtime(process.pid, REALTIME):
        return None
    return process


def _options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(prog="scripts/bench runner_settings")
    options.add_argument("--rounds", type=int, default=10, help="default 10")
    options.add_argument("--frames", type=int, default=100, help="of each case, a round")
    options.add_argument("--per-s", type=float, default=30.0, help="frames a second, default 30")
    options.add_argument("--only", default="", metavar="TEXT", help="cases whose name holds TEXT")
    options.add_argument("--quick", action="store_true", help="2 rounds of 20 frames")
    options.add_argument("--json", metavar="FILE", help="write the figures there")
    return options


if __name__ == "__main__":
    sys.exit(main())
