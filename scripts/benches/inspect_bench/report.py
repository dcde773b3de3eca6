"""One run of the bench: what was asked for, what is known so far, and what is made of it."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from benches.inspect_bench.frames import weld_frames
from benches.inspect_bench.model import BenchModel, weld_seam
from benches.inspect_bench.parts import SeenPart
from benches.inspect_bench.station import Priorities, Station, Terms
from benches.inspect_bench.wayward import wayward
from benches.plc_bench.figures import Figures, Line, figures

FRAMES: Final = 16
MOST_FATES: Final = 5
NORMAL: Final = "normal priority"
REALTIME: Final = "real-time priority"
JUDGE_PRIORITY, RUNNER_PRIORITY = 50, 40
"""Below the writer's 60: a verdict on its way to the PLC goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is measured."""

    rounds: int
    """Of the overhead, each with a judge of its own."""
    parts: int
    """A round."""
    busy_parts: int
    faults: int
    """Of each kind."""
    swaps: int
    overload_s: float
    """At each rate."""
    frames: int
    """Scored by each case of determinism."""
    peer_requests: int
    """To each peer, and parts of ours between them."""


FULL: Final = Effort(
    rounds=5,
    parts=1000,
    busy_parts=5000,
    faults=100,
    swaps=1000,
    overload_s=30.0,
    frames=100,
    peer_requests=300,
)
QUICK: Final = Effort(
    rounds=1,
    parts=300,
    busy_parts=150,
    faults=2,
    swaps=5,
    overload_s=3.0,
    frames=20,
    peer_requests=5,
)


@dataclass(slots=True, kw_only=True)
class Section:
    """What one section has to show."""

    seconds: float = 0.0
    """How long it took."""
    tables: dict[str, list[Figures]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Report:
    """What was measured; what was not asked for is missing."""

    is_realtime_granted: bool
    facts: dict[str, Any] = field(default_factory=dict)
    """By the keys of the JSON document."""
    sections: dict[str, Section] = field(default_factory=dict)

    @property
    def newest(self) -> Section:
        """Return the section that is being measured."""
        return next(reversed(self.sections.values()))

    @property
    def lines(self) -> list[Line]:
        """Return the lines of all sections."""
        return [line for section in self.sections.values() for line in section.lines]


@dataclass(slots=True, kw_only=True)
class Bench:
    """Where things are, and the report that each section adds to."""

    report: Report
    folder: Path
    samples: IO[str]
    effort: Effort
    with_gpu_wheel: bool = False
    left_out: int = 0
    """Parts that the bench was too late for."""
    _models: dict[str, BenchModel] = field(default_factory=dict)
    _stations: int = 0

    def station(self, live: BenchModel, terms: Terms | None = None) -> Station:
        """Return a new station on a folder of its own."""
        self._stations += 1
        return Station(self.folder / f"station-{self._stations}", live=live, terms=terms)

    def weld_seam(self, version: str = "1.0.0") -> BenchModel:
        """Return the reference model."""
        if version not in self._models:
            self._models[version] = weld_seam(self.folder / "models", version)
        return self._models[version]

    def wayward(self) -> BenchModel:
        """Return the model that is ill when its frame says so."""
        if "wayward" not in self._models:
            (self.folder / "wayward/base").mkdir(parents=True)
            self._models["wayward"] = wayward(self.folder / "wayward")
        return self._models["wayward"]

    def modes(self) -> dict[str, Priorities]:
        """Return the priorities to measure with: those that the machine grants."""
        modes = {NORMAL: Priorities()}
        if self.report.is_realtime_granted:
            modes[REALTIME] = Priorities(judge=JUDGE_PRIORITY, runner=RUNNER_PRIORITY)
        return modes

    def best_mode(self) -> tuple[str, Priorities]:
        """Return the mode in which a station of this machine would run."""
        return list(self.modes().items())[-1]

    def say(self, text: str) -> None:
        """Tell how far the run is."""
        print(f"bench inspect: {text}", file=sys.stderr, flush=True)

    def keep(self, case: str, round_: int, samples_us: Sequence[float]) -> None:
        """Keep raw samples."""
        rounded = [round(each, 1) for each in samples_us]
        print(json.dumps({"case": case, "round": round_, "us": rounded}), file=self.samples)

    def add_table(self, name: str, columns: dict[str, list[float]]) -> None:
        """Add the figures of each case that has samples."""
        rows = [figures(case, samples) for case, samples in columns.items() if samples]
        if rows:
            self.report.newest.tables[name] = rows


def fates(parts: Iterable[SeenPart]) -> list[str]:
    """Return what became of the first of those *parts* that were not judged."""
    unjudged = [part.fate for part in parts if part.envelope is not None and not part.is_judged]
    return unjudged[:MOST_FATES]


def milliseconds(samples_us: Sequence[float]) -> dict[str, float | int]:
    """Return n and percentiles as they stand in the JSON document; n alone without samples."""
    if not samples_us:
        return {"n": 0}
    found = figures("", samples_us)
    return {
        "n": found.samples,
        "p50": round(found.p50_us / 1000, 4),
        "p99": round(found.p99_us / 1000, 4),
        "p999": round(found.p999_us / 1000, 4),
        "max": round(found.max_us / 1000, 4),
    }


def line_of_p99(what: str, limit_ms: float, samples_us: Sequence[float]) -> Line:
    """Hold the 99th percentile to *limit_ms*."""
    found = milliseconds(samples_us)
    p99_ms = found.get("p99")
    measured = "no sample" if p99_ms is None else f"{p99_ms:.3f} ms (n = {found['n']})"
    return Line(
        promise=f"{what}: p99 <= {limit_ms:g} ms",
        measured=measured,
        kept=p99_ms is not None and p99_ms <= limit_ms,
    )


def sound_frames() -> tuple[Any, ...]:
    """Return the frames that every section lets come, in turn."""
    return weld_frames(FRAMES)
