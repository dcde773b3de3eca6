"""Swaps under load: parts keep coming while two signed models take turns.

Each swap is the whole way of a candidate: its bundle is verified, loaded in a new process beside
the live one, warmed up and proven, made live between two parts, and the old one is dropped. The
bench says to the judge what its agent would.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from typing import Any, Final

from benches.inspect_bench.frames import Pixels, weld_frames
from benches.inspect_bench.holdings import Holdings, held_by
from benches.inspect_bench.model import BenchModel
from benches.inspect_bench.parts import SeenPart
from benches.inspect_bench.raw import RawSession
from benches.inspect_bench.report import MOST_FATES, Bench, milliseconds
from benches.inspect_bench.station import Station, StationError, Terms
from benches.plc_bench.figures import NS_PER_US, Interval, Line, slope

from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.inspection import control
from taktgate.inspection.control import Drop, Happening, JudgeEvent, Load, RunnerState, Swap

PER_S: Final = 30.0
RSS_KB_PER_SWAP: Final = 1.0
_VERSIONS: Final = ("1.0.0", "1.1.0")
_POLL_NS: Final = 20 * MILLISECOND
_ONE_SWAP_S: Final = 30.0
_EVERY: Final = 10
_TOLD_APART: Final = 0.01
_SAME_SCORE: Final = 1e-4
_FRAMES: Final = 8
_SLOPE_NEEDS: Final = 100
"""Swaps; memory of the first tenth fills caches and is left out."""
_SETTLE_S: Final = 2.0


class Stage(Enum):
    """Where the present swap stands."""

    LOADING = auto()
    SWAPPING = auto()
    DROPPING = auto()


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the parts."""

    expected: Mapping[str, list[float]]
    """The score of each frame, by the digest of the model that judges it."""
    parts: int = 0
    late: int = 0
    """No verdict by the decision deadline, or one that says so."""
    mixed: int = 0
    """Judged by another model than the envelope names, by its score."""
    undecided: Counter[str] = field(default_factory=Counter)
    fates: list[str] = field(default_factory=list)
    latency_us: list[float] = field(default_factory=list)
    """Trigger sent to verdict sent."""
    first_us: list[float] = field(default_factory=list)
    """The same of each swap's first part alone: it would pay for a cold start."""
    _judging: str | None = None
    """The model of the part before."""

    def count(self, part: SeenPart, frame: int) -> None:
        """Count one part with its verdict."""
        envelope = part.envelope
        assert envelope is not None
        self.parts += 1
        self.latency_us.append((part.verdict_ns - part.sent_ns) / NS_PER_US)
        if envelope.model is not None and envelope.model.digest != self._judging:
            if self._judging is not None:
                self.first_us.append(self.latency_us[-1])
            self._judging = envelope.model.digest
        if not part.is_judged:
            self.undecided[envelope.reason] += 1
            self.fates.append(part.fate)
        if part.verdict_ns > part.decide_by_ns:
            self.late += 1
        if part.is_judged and not self._is_of_its_model(part, frame):
            self.mixed += 1

    def _is_of_its_model(self, part: SeenPart, frame: int) -> bool:
        envelope = part.envelope
        assert envelope is not None
        assert envelope.model is not None
        assert envelope.score is not None
        scores = self.expected.get(envelope.model.digest)
        return scores is not None and abs(envelope.score - scores[frame]) <= _SAME_SCORE


@dataclass(slots=True, kw_only=True)
class Swaps:
    """All that was measured."""

    tally: Tally
    held: list[Holdings] = field(default_factory=list)
    """Before the first swap, and after each."""
    took_us: list[float] = field(default_factory=list)
    """Load asked for to old runner gone."""
    deaths: list[str] = field(default_factory=list)
    """Runners that died or were killed meanwhile: none should."""

    @property
    def rss_kb_per_swap(self) -> Interval | None:
        """Return the growth of the judge's memory; None when it is too early to tell."""
        sizes = [each.resident_kb for each in self.held[1:]]
        return slope(sizes[len(sizes) // 10 :]) if len(sizes) >= _SLOPE_NEEDS else None

    def leaked(self) -> dict[str, int]:
        """Return what there is more of after the last swap than after the first one."""
        first, last = asdict(self.held[1]), asdict(self.held[-1])
        return {name: last[name] - first[name] for name in first if name != "resident_kb"}


def measure(bench: Bench) -> None:
    """Swap as often as asked for while parts come."""
    models = [bench.weld_seam(version) for version in _VERSIONS]
    frames, expected = _telling_frames(models)
    terms = Terms(standby=False, priorities=bench.best_mode()[1])
    with bench.station(models[0], terms) as station:
        swapper = Swapper(station, models, Swaps(tally=Tally(expected=expected)), bench)
        _Line(station, frames, swapper.swaps.tally).begin()
        swapper.run(bench.effort.swaps)
        bench.left_out += station.left_out
    swaps = swapper.swaps
    bench.keep("swap, took", 0, swaps.took_us)
    bench.keep("swap, latency of parts", 0, swaps.tally.latency_us)
    bench.keep("swap, latency of first parts", 0, swaps.tally.first_us)
    bench.keep("swap, resident kB", 0, [each.resident_kb for each in swaps.held])
    bench.add_table(
        "swaps under load",
        {
            "a whole swap": swaps.took_us,
            "trigger to verdict": swaps.tally.latency_us,
            "of these, the first part of a swap": swaps.tally.first_us,
        },
    )
    bench.report.facts["swap"] = _facts(swaps)
    bench.report.newest.lines += _lines(swaps)
    bench.report.newest.notes += [*swaps.tally.fates, *swaps.deaths][:MOST_FATES]
    if swaps.rss_kb_per_swap is None:
        bench.report.newest.notes.append(
            f"memory of swaps: a slope needs {_SLOPE_NEEDS}, not judged"
        )


class Swapper:
    """Leads one candidate after the other through its stages, as events and status tell."""

    def __init__(
        self, station: Station, models: list[BenchModel], swaps: Swaps, bench: Bench
    ) -> None:
        self.swaps = swaps
        self._station, self._bench = station, bench
        self._models = models
        self._slots = [station.install(model) for model in models]
        self._live = 0
        self._stage = Stage.DROPPING
        self._began_ns = 0
        self._trouble = ""
        station.on_event = self._on_event

    def run(self, count: int) -> None:
        """Make *count* swaps.

        Raises:
            StationError: a candidate was refused, or takes far too long.
        """
        held = self.swaps.held
        self._station.pass_time(_SETTLE_S)
        held.append(held_by(self._station.pid))
        for number in range(count):
            if number % _EVERY == 0:
                self._bench.say(f"swap: {number} of {count}")
            self._swap()
        self._station.pass_time(_SETTLE_S)
        held[-1] = held_by(self._station.pid)  # all that had to go has had the time

    def _swap(self) -> None:
        self._began_ns = monotonic_ns()
        self._stage = Stage.LOADING
        load = Load(
            slot=self._slots[1 - self._live],
            digest=self._models[1 - self._live].digest,
            golden=True,
        )
        self._station.command(control.KIND_LOAD, load)
        self._station.until(self._is_done, _ONE_SWAP_S, "a swap is done")
        if self._trouble:
            raise StationError(f"a candidate was refused: {self._trouble}")
        self.swaps.took_us.append((monotonic_ns() - self._began_ns) / NS_PER_US)
        self.swaps.held.append(held_by(self._station.pid))
        self._live = 1 - self._live

    def _on_event(self, event: JudgeEvent) -> None:
        candidate = self._models[1 - self._live].digest
        if event.happening in (Happening.DIED, Happening.KILLED):
            # The judge replaces it, and what waited for it comes later: the swap goes on.
            self.swaps.deaths.append(f"{event.happening} while {self._stage.name}: {event.message}")
        elif event.happening is Happening.REFUSED:
            self._trouble = f"{event.reason}: {event.message}"
        elif event.digest != candidate:
            return
        elif event.happening is Happening.READY and self._stage is Stage.LOADING:
            self._stage = Stage.SWAPPING
            self._station.command(control.KIND_SWAP, Swap(digest=candidate))
        elif event.happening is Happening.FIRST_PART and self._stage is Stage.SWAPPING:
            self._stage = Stage.DROPPING
            self._station.command(control.KIND_DROP, Drop(digest=self._models[self._live].digest))

    def _is_done(self) -> bool:
        """Tell whether the new model alone is left, or something went wrong."""
        if self._trouble:
            return True
        status = self._station.status
        if self._stage is not Stage.DROPPING or status is None:
            return False
        left = [model for model in status.models if model.state is RunnerState.READY]
        candidate = self._models[1 - self._live].digest
        return [m.digest for m in left] == [m.digest for m in status.models] == [candidate]


class _Line:
    """Parts without end, each at its time."""

    def __init__(self, station: Station, frames: list[Pixels], tally: Tally) -> None:
        self._station, self._frames, self._tally = station, frames, tally
        self._number = 0
        self._period_ns = round(SECOND / PER_S)
        self._frame_of: dict[int, int] = {}
        station.on_verdict = self._count

    def begin(self) -> None:
        """Let the first part come, and all others after it."""
        for frame in self._frames:
            self._station.camera.prepare(frame)
        self._send(monotonic_ns())

    def _send(self, due_ns: int) -> None:
        frame = self._number % len(self._frames)
        self._number += 1
        if self._station.is_in_time(due_ns):
            part = self._station.part(self._frames[frame], due_ns)
            self._frame_of[part.trigger_id] = frame
        next_ns = due_ns + self._period_ns
        self._station.timeline.at(next_ns, lambda: self._send(next_ns))

    def _count(self, part: SeenPart) -> None:
        del self._station.parts[part.trigger_id]  # there will be many
        self._tally.count(part, self._frame_of.pop(part.trigger_id))


def _telling_frames(models: list[BenchModel]) -> tuple[list[Pixels], dict[str, list[float]]]:
    """Return frames by whose scores the two models can be told apart, and these scores."""
    sessions = [RawSession(model) for model in models]
    frames: list[Pixels] = []
    scores: dict[str, list[float]] = {model.digest: [] for model in models}
    for frame in weld_frames(4 * _FRAMES, defective_share=0.0):
        found = [session.run(frame)[0] for session in sessions]
        if abs(found[0] - found[1]) < _TOLD_APART or len(frames) == _FRAMES:
            continue
        frames.append(frame)
        for model, score in zip(models, found, strict=True):
            scores[model.digest].append(score)
    assert len(frames) >= 2, "too few frames tell the two versions apart"
    return frames, scores


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in reasons.items())


def _facts(swaps: Swaps) -> dict[str, Any]:
    growth = swaps.rss_kb_per_swap
    tally = swaps.tally
    return {
        "swaps": len(swaps.took_us),
        "parts": tally.parts,
        "late": tally.late,
        "mixed": tally.mixed,
        "undecided": dict(tally.undecided),
        "rss_kb_per_swap": None if growth is None else round(growth.figure, 4),
        "rss_kb_per_swap_95": None if growth is None else [growth.low, growth.high],
        "runner_deaths": len(swaps.deaths),
        "leaked": swaps.leaked(),
        "held_before": asdict(swaps.held[0]),
        "held_after": asdict(swaps.held[-1]),
        "swap_ms": milliseconds(swaps.took_us),
        "part_ms": milliseconds(tally.latency_us),
    }


def _lines(swaps: Swaps) -> list[Line]:
    tally, growth, leaked = swaps.tally, swaps.rss_kb_per_swap, swaps.leaked()
    of = f"of {tally.parts} parts over {len(swaps.took_us)} swaps"
    undecided = sum(tally.undecided.values())
    grown = {name: more for name, more in leaked.items() if more > 0}
    lines = [
        Line(promise="swaps: no part late", measured=f"{tally.late} {of}", kept=not tally.late),
        Line(promise="swaps: no part mixed", measured=f"{tally.mixed} {of}", kept=not tally.mixed),
        Line(
            promise="swaps: every part judged",
            measured=f"{undecided} undecided {of} {_counted(tally.undecided)}".strip(),
            kept=not undecided,
        ),
        Line(
            promise="swaps: no runner dies",
            measured=f"{len(swaps.deaths)} died",
            kept=not swaps.deaths,
        ),
        Line(
            promise="swaps: no process, segment or descriptor is left over",
            measured=f"more than before: {grown or 'nothing'}",
            kept=not grown,
        ),
    ]
    if growth is not None:
        lines.append(
            Line(
                promise=f"swaps: the judge grows by <= {RSS_KB_PER_SWAP:g} kB a swap",
                measured=f"{growth.figure:.3f} kB ({growth.low:.3f} - {growth.high:.3f})",
                kept=growth.figure <= RSS_KB_PER_SWAP,
            )
        )
    return lines
