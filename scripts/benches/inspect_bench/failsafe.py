"""Models that hang, crawl, crash or answer NaN: when the part gets its verdict all the same.

The verdict's lateness counts from the decision deadline and is held against a process that sleeps
until such a moment and does nothing else, at the judge's priority, in turn with the faults.
"""

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from benches.hub_bench.process import BenchProcess
from benches.hub_bench.verdict import percentile
from benches.inspect_bench.frames import Pixels
from benches.inspect_bench.inbox import Letter, StampedInbox
from benches.inspect_bench.parts import SeenPart
from benches.inspect_bench.raw import RawSession
from benches.inspect_bench.report import Bench, milliseconds, sound_frames
from benches.inspect_bench.station import Station, Terms
from benches.inspect_bench.wayward import ENDLESS, ordered
from benches.plc_bench import machine
from benches.plc_bench.figures import NS_PER_US, Interval, Line, interval, pooled

from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.inspection.control import RunnerState

BEYOND_FLOOR_P99_MS: Final = 2.0
TAKT_NS: Final = 100 * MILLISECOND
DEADLINE_MS, RESERVE_MS = 110, 50
_STRIKE_NS: Final = 15 * MILLISECOND
_LONG_RUN_MS, _SLOW_RUN_MS = 40, 150
"""The one is under way when its process is struck, and would be in time; the other is not."""
_LONGEST_S: Final = 20.0
_FAULTS_A_ROUND: Final = 4
_CALIBRATION_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way in which a model fails."""

    name: str
    frame: Pixels
    is_kept_waiting: bool
    """Nobody knows better before the deadline: the verdict comes at it."""
    strike: signal.Signals | None = None
    """Sent to the runner while it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffered:
    """What one fault did."""

    fault: str
    late_us: float
    """Verdict sent minus decision deadline: negative before it."""
    was_judged: bool
    """A score decided the part: the strike came too late, or the fault was believed."""
    lost: list[str]
    """Why the parts after it were not judged either: one reason each."""
    back_ms: float
    """From its verdict to that of the next part that was judged."""


@dataclass(slots=True, kw_only=True)
class Measured:
    """All faults, and the floor, by round."""

    suffered: dict[int, list[Suffered]] = field(default_factory=dict)
    floor_us: dict[int, list[float]] = field(default_factory=dict)


def measure(bench: Bench) -> None:
    """Let each fault happen in turn, round after round."""
    mode, priorities = bench.best_mode()
    terms = Terms(deadline_ms=DEADLINE_MS, reserve_ms=RESERVE_MS, priorities=priorities)
    faults = _faults(RawSession(bench.wayward()))
    measured = Measured()
    per_round = min(_FAULTS_A_ROUND, bench.effort.faults)
    with ExitStack() as stack:
        station = stack.enter_context(bench.station(bench.wayward(), terms))
        floor = stack.enter_context(BenchProcess("sleeper", package="inspect_bench"))
        sleeper = _Floor(floor, station, priorities.judge)
        for number in range(bench.effort.faults // per_round):
            bench.say(f"failsafe, {mode}: {(number + 1) * per_round} of {bench.effort.faults} each")
            measured.suffered[number] = []
            measured.floor_us[number] = []
            for fault in faults * per_round:
                measured.suffered[number].append(_suffer(station, fault))
                measured.floor_us[number].append(sleeper.sample())
    _keep(bench, measured)
    _report(bench, mode, faults, measured)


def _faults(raw: RawSession) -> list[Fault]:
    frame = sound_frames()[0]
    began_ns = monotonic_ns()
    raw.run(ordered(frame, steps=_CALIBRATION_STEPS))
    step_ms = (monotonic_ns() - began_ns) / MILLISECOND / _CALIBRATION_STEPS
    long = ordered(frame, steps=round(_LONG_RUN_MS / step_ms))
    slow = ordered(frame, steps=round(_SLOW_RUN_MS / step_ms))
    return [
        Fault(name="hung (SIGSTOP)", frame=long, is_kept_waiting=True, strike=signal.SIGSTOP),
        Fault(name="slow", frame=slow, is_kept_waiting=True),
        Fault(name="NaN", frame=ordered(frame, nan=True), is_kept_waiting=False),
        Fault(name="endless run", frame=ordered(frame, steps=ENDLESS), is_kept_waiting=True),
        Fault(name="crashing (SIGKILL)", frame=long, is_kept_waiting=False, strike=signal.SIGKILL),
    ]


def _suffer(station: Station, fault: Fault) -> Suffered:
    """Let one fault happen, and parts come at the takt until one is judged again."""
    before = _be_well(station)
    pid = station.live_runner()
    part = _part_at(station, before.due_ns + TAKT_NS, fault.frame)
    if fault.strike is not None and pid is not None:
        station.timeline.at(part.sent_ns + _STRIKE_NS, partial(_strike, pid, fault.strike))
    station.until(lambda: part.envelope is not None, _LONGEST_S, "a verdict for the fault")
    lost: list[str] = []
    next_part = _sound_part_at(station, part.due_ns + TAKT_NS)
    while not next_part.is_judged:
        assert next_part.envelope is not None
        lost.append(next_part.envelope.reason)
        next_part = _sound_part_at(station, next_part.due_ns + TAKT_NS)
    return Suffered(
        fault=fault.name,
        late_us=(part.verdict_ns - part.decide_by_ns) / NS_PER_US,
        was_judged=part.is_judged,
        lost=lost,
        back_ms=(next_part.verdict_ns - part.verdict_ns) / MILLISECOND,
    )


def _be_well(station: Station) -> SeenPart:
    """Wait for a ready judge with a warm standby; return a part that was judged."""
    station.until(lambda: station.is_ready and _has_standby(station), _LONGEST_S, "all is well")
    due_ns = monotonic_ns() + TAKT_NS
    while not (part := _sound_part_at(station, due_ns)).is_judged:
        due_ns = max(part.due_ns, monotonic_ns()) + TAKT_NS
    return part


def _has_standby(station: Station) -> bool:
    """Tell whether a second runner is warm."""
    assert station.status is not None
    return all(model.standby is RunnerState.READY for model in station.status.models)


def _sound_part_at(station: Station, due_ns: int) -> SeenPart:
    """Let one sound part come and wait for its verdict."""
    frames = sound_frames()
    part = _part_at(station, due_ns, frames[len(station.parts) % len(frames)])
    station.until(lambda: part.envelope is not None, _LONGEST_S, "a verdict")
    return part


def _part_at(station: Station, due_ns: int, frame: Pixels) -> SeenPart:
    """Let one part come at *due_ns*, or as soon as possible after it."""
    station.camera.prepare(frame)
    came: list[SeenPart] = []
    at_ns = max(due_ns, monotonic_ns())
    station.timeline.at(at_ns, lambda: came.append(station.part(frame, at_ns)))
    station.until(lambda: bool(came), _LONGEST_S, "a part comes")
    return came[0]


def _strike(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # then the part is judged, or was lost with its runner
        os.kill(pid, number)


class _Floor:
    """The sleeper, and the inbox that knows when it woke up."""

    def __init__(self, sleeper: BenchProcess, station: Station, priority: int) -> None:
        path: Path = station.folder / "floor.sock"
        self._sleeper, self._station = sleeper, station
        self._woke: list[Letter] = []
        station.timeline.listen_to(StampedInbox(path, self._woke.append))
        sleeper.ask("open", inbox=str(path))
        if priority:
            machine.take_realtime(sleeper.pid, priority)

    def sample(self) -> float:
        """Return by how many us the sleeper missed its moment."""
        until_ns = monotonic_ns() + (DEADLINE_MS - RESERVE_MS) * MILLISECOND
        self._woke.clear()
        self._sleeper.start("sleep", until_ns=until_ns)
        self._station.until(lambda: bool(self._woke), _LONGEST_S, "the sleeper woke up")
        self._sleeper.answer()
        return (self._woke[0].sent_ns - until_ns) / NS_PER_US


def _keep(bench: Bench, measured: Measured) -> None:
    for number, suffered in measured.suffered.items():
        for name in sorted({each.fault for each in suffered}):
            late = [each.late_us for each in suffered if each.fault == name]
            bench.keep(f"failsafe, {name}", number, late)
        bench.keep("failsafe, floor", number, measured.floor_us[number])


def _report(bench: Bench, mode: str, faults: Sequence[Fault], measured: Measured) -> None:
    waiting = frozenset(fault.name for fault in faults if fault.is_kept_waiting)
    late_us = {number: _late(each, waiting) for number, each in measured.suffered.items()}
    everything = [each for suffered in measured.suffered.values() for each in suffered]
    hits = [each for each in everything if not each.was_judged]
    by_fault = {f.name: [h for h in hits if h.fault == f.name] for f in faults}
    floor_us = pooled(measured.floor_us, tuple(measured.floor_us))
    at_deadline_us = pooled(late_us, tuple(late_us))
    excess = _excess_us(late_us, measured.floor_us)
    bench.add_table(
        f"fail-safe verdict after the decision deadline, {mode}",
        {name: [each.late_us for each in found] for name, found in by_fault.items()}
        | {"all that are kept waiting": at_deadline_us, "floor: sleeper": floor_us},
    )
    bench.add_table(
        "from the fail-safe verdict to the next judged one",
        {name: [1000 * each.back_ms for each in found] for name, found in by_fault.items()},
    )
    bench.report.facts["failsafe_after_deadline_ms"] = {
        **milliseconds(at_deadline_us),
        "mode": mode,
        "floor": milliseconds(floor_us),
        "beyond_floor_p99": _in_ms(excess),
        "by_fault": {name: _fault_facts(found) for name, found in by_fault.items()},
        "strikes_too_late": len(everything) - len(hits),
    }
    bench.report.newest.lines += _lines(excess, faults, everything)


def _late(suffered: Sequence[Suffered], waiting: frozenset[str]) -> list[float]:
    return [each.late_us for each in suffered if each.fault in waiting and not each.was_judged]


def _excess_us(late_us: Mapping[int, list[float]], floor_us: Mapping[int, list[float]]) -> Interval:
    """Return by how much the 99th percentile lies above the floor's."""

    def excess_of(rounds: Sequence[int]) -> float:
        return percentile(pooled(late_us, rounds), 99) - percentile(pooled(floor_us, rounds), 99)

    return interval(tuple(late_us), excess_of)


def _fault_facts(found: Sequence[Suffered]) -> dict[str, object]:
    return {
        **milliseconds([each.late_us for each in found]),
        "lost_parts": dict(Counter(reason for each in found for reason in each.lost)),
        "lost_parts_max": max((len(each.lost) for each in found), default=0),
        "judged_again_ms": milliseconds([1000 * each.back_ms for each in found]),
    }


def _in_ms(found: Interval) -> dict[str, float]:
    bounds: dict[str, Callable[[Interval], float]] = {
        "figure": lambda each: each.figure,
        "low": lambda each: each.low,
        "high": lambda each: each.high,
    }
    return {name: round(bound(found) / 1000, 4) for name, bound in bounds.items()}


def _lines(excess: Interval, faults: Sequence[Fault], everything: Sequence[Suffered]) -> list[Line]:
    believed = {fault.name for fault in faults if fault.strike is None}
    passed = [each for each in everything if each.was_judged and each.fault in believed]
    known = {fault.name for fault in faults if not fault.is_kept_waiting}
    late = [each for each in everything if each.fault in known and each.late_us > 0]
    most = max(len(each.lost) for each in everything)
    lost = Counter(f"{each.fault}: {reason}" for each in everything for reason in each.lost)
    back_ms = max(each.back_ms for each in everything)
    takt_ms = TAKT_NS / SECOND * 1000
    return [
        Line(
            promise=f"fail-safe verdict: p99 <= {BEYOND_FLOOR_P99_MS:g} ms after the decision"
            " deadline, beyond the floor's",
            measured=f"{excess.figure / 1000:.2f} ms"
            f" ({excess.low / 1000:.2f} - {excess.high / 1000:.2f})",
            kept=excess.figure <= 1000 * BEYOND_FLOOR_P99_MS,
        ),
        Line(
            promise="no part of a slow, endless or NaN run is judged",
            measured=f"{len(passed)} judged",
            kept=not passed,
        ),
        Line(
            promise="a crash and a NaN get their verdict before the deadline",
            measured=f"{len(late)} after it",
            kept=not late,
        ),
        Line(
            promise=f"each fault costs its own part alone, with a part each {takt_ms:.0f} ms",
            measured=f"at most {most} more, judged again after {back_ms:.0f} ms at most"
            + "".join(f"; {fate}: {count}" for fate, count in lost.items()),
            kept=not lost,
        ),
    ]
