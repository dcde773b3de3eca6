"""What our own code adds to `session.run`: idle, and while the station does other things too."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

from benches.inspect_bench.errands import Done, Errands, bundle_for_errands
from benches.inspect_bench.errands import line as busy_line
from benches.inspect_bench.frames import enlarged
from benches.inspect_bench.parts import SeenPart, steps_of
from benches.inspect_bench.raw import RawBeside
from benches.inspect_bench.report import (
    NORMAL,
    Bench,
    fates,
    line_of_p99,
    milliseconds,
    sound_frames,
)
from benches.inspect_bench.station import Priorities, Station, Terms
from benches.plc_bench.figures import NS_PER_US, Line

PER_S: Final = 30.0
IDLE_P99_MS: Final = 1.0
BUSY_P99_MS: Final = 3.0
_WARM_UP: Final = 60
_LARGE: Final = (1280, 1024)
_LARGE_SHARE: Final = 10
_LEAST_LARGE: Final = 10
_MOST_UNJUDGED: Final = 0.001
_STEPS: Final = {
    "overhead": "overhead (pickup + input + answer)",
    "pickup": "  pickup: frame complete to runner",
    "prepare": "  input: frame into the tensor",
    "answer": "  answer: run's end to datagram",
    "gate": "image gate",
    "beyond_run": "overhead + image gate",
    "run": "session.run in the runner",
    "camera": "camera: exposure to complete",
    "wake": "inbox' owner awake",
}
RAW: Final = "raw session.run in the bench"


def measure_idle(bench: Bench) -> None:
    """Measure with each priority in turn, round by round, a new judge each time."""
    report, effort = bench.report, bench.effort
    seen: dict[str, list[SeenPart]] = {mode: [] for mode in bench.modes()}
    raw_us: dict[str, list[float]] = {mode: [] for mode in seen}
    for number in range(effort.rounds):
        for mode, priorities in bench.modes().items():
            bench.say(f"overhead, {mode}: round {number + 1} of {effort.rounds}")
            with _station(bench, priorities) as station, _raw(bench, priorities) as raw:
                parts, runs_us = _measure(bench, station, effort.parts, raw)
                if number == 0:
                    _report_large(bench, mode, station)
            seen[mode] += parts
            raw_us[mode] += runs_us
            bench.keep(f"overhead, {mode}", number, _of(parts, "overhead"))
            bench.keep(f"raw, {mode}", number, runs_us)
    report.facts["overhead_ms"] = _facts(seen)
    for mode, parts in seen.items():
        _report(bench, f"overhead, {mode}", parts, raw_us[mode])
        report.newest.lines += _lines(f"overhead idle, {mode}", IDLE_P99_MS, parts)


def measure_busy(bench: Bench) -> None:
    """Measure while a large bundle is staged again and again and metrics are scraped.

    The line is for the priority that the station would have; the other one is printed.
    """
    report, best = bench.report, bench.best_mode()[0]
    seen: dict[str, list[SeenPart]] = {}
    done: dict[str, Done] = {}
    bundle = bundle_for_errands(bench.folder)
    for mode, priorities in bench.modes().items():
        parts = bench.effort.busy_parts if mode == best else bench.effort.busy_parts // 3
        bench.say(f"overhead, busy, {mode}: {parts} parts")
        with (
            _station(bench, priorities) as station,
            Errands(station, bundle) as errands,
            _raw(bench, priorities) as raw,
        ):
            errands.begin()
            seen[mode], raw_us = _measure(bench, station, parts, raw)
            done[mode] = errands.done()
        bench.keep(f"overhead, busy, {mode}", 0, _of(seen[mode], "overhead"))
        _report(bench, f"overhead, busy, {mode}", seen[mode], raw_us)
        report.newest.notes.append(f"busy, {mode}: {done[mode].told()}")
        if mode == best:
            report.newest.lines += _lines(f"overhead busy, {mode}", BUSY_P99_MS, seen[mode])
            report.newest.lines.append(busy_line(done[mode]))
    report.facts["overhead_busy_ms"] = _facts(seen) | {
        "meanwhile": {mode: asdict(each) for mode, each in done.items()}
    }


@contextmanager
def _station(bench: Bench, priorities: Priorities) -> Iterator[Station]:
    with bench.station(bench.weld_seam(), Terms(priorities=priorities)) as station:
        station.feed(sound_frames(), count=min(_WARM_UP, bench.effort.parts), per_s=PER_S)
        yield station


def _raw(bench: Bench, priorities: Priorities) -> RawBeside:
    folder = bench.folder / f"raw-{priorities.runner}"
    return RawBeside(bench.weld_seam(), folder, priority=priorities.runner)


def _measure(
    bench: Bench, station: Station, count: int, raw: RawBeside
) -> tuple[list[SeenPart], list[float]]:
    """Return *count* parts and, from the gaps between them, as many raw runs in us."""
    parts = station.feed(sound_frames(), count=count, per_s=PER_S, between=raw.run)
    station.pass_time(0.1)  # for the last part's note
    raw.collect()
    bench.left_out += station.left_out
    return parts, raw.samples_us


def _of(parts: Iterable[SeenPart], name: str) -> list[float]:
    """Return the figure *name* of `Steps` of each judged part, in us."""
    return [getattr(steps, name) for steps in map(steps_of, parts) if steps is not None]


def _facts(seen: dict[str, list[SeenPart]]) -> dict[str, object]:
    """Return the figures of the best mode, then those of each with its steps."""
    best = list(seen)[-1]
    by_mode = {
        mode: {name: milliseconds(_of(parts, name)) for name in _STEPS}
        for mode, parts in seen.items()
    }
    return {**by_mode[best]["overhead"], "mode": best, "by_mode": by_mode}


def _report(bench: Bench, name: str, parts: list[SeenPart], raw_us: list[float]) -> None:
    columns = {label: _of(parts, figure) for figure, label in _STEPS.items()}
    lag = [(part.sent_ns - part.due_ns) / NS_PER_US for part in parts]
    bench.report.newest.notes += [f"{name}: {fate}" for fate in fates(parts)]
    bench.add_table(name, columns | {RAW: raw_us, "bench late with the trigger": lag})


def _report_large(bench: Bench, mode: str, station: Station) -> None:
    """Measure frames that have to be resized, at the priority that all stations have."""
    if mode != NORMAL:
        return
    width, height = _LARGE
    frames = [enlarged(frame, width, height) for frame in sound_frames()[:4]]
    count = max(_LEAST_LARGE, bench.effort.parts // _LARGE_SHARE)
    parts = station.feed(frames, count=count, per_s=PER_S / 2)
    station.pass_time(0.1)
    labels = {"prepare": "resize and input", "gate": "image gate", "camera": "camera"}
    bench.add_table(
        f"frames of {width}x{height}, {mode}",
        {label: _of(parts, name) for name, label in labels.items()},
    )
    bench.report.facts["large_frame_ms"] = {name: milliseconds(_of(parts, name)) for name in labels}


def _lines(what: str, limit_ms: float, parts: list[SeenPart]) -> list[Line]:
    """Hold the overhead to its limit; parts without a verdict must not hide behind it."""
    reasons = Counter(
        str(part.envelope.reason)
        for part in parts
        if part.envelope is not None and not part.is_judged
    )
    unjudged = reasons.total()
    return [
        line_of_p99(what, limit_ms, _of(parts, "overhead")),
        Line(
            promise=f"{what}: every part judged",
            measured=f"{unjudged} of {len(parts)} not {dict(reasons) or ''}".rstrip(),
            kept=unjudged <= _MOST_UNJUDGED * len(parts),
        ),
    ]
