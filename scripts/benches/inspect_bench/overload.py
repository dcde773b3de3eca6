"""Twice as many parts as the model can judge: those that are served keep their time."""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from benches.hub_bench.verdict import percentile
from benches.inspect_bench.parts import SeenPart
from benches.inspect_bench.raw import RawSession
from benches.inspect_bench.report import Bench, milliseconds, sound_frames
from benches.inspect_bench.station import Terms
from benches.inspect_bench.wayward import ordered
from benches.plc_bench.figures import NS_PER_US, Line

from taktgate.contracts.verdict import Reason
from taktgate.edge.clock import MILLISECOND, monotonic_ns

RUN_MS: Final = 1000 / 30 - 1.5
"""A capacity of 30 parts/s, with what else a part needs."""
CALM_PER_S, OFFERED_PER_S = 25.0, 60.0
DEADLINE_MS, RESERVE_MS, WINDOW_MS = 150, 50, 12
MOST_WAIT: Final = 2.0
"""Of the latency below the capacity: a served part waits for the one under way, and no longer."""
LEAST_SERVED: Final = 0.8
"""Of the capacity: a judge that serves nobody has no latency to speak of."""
_CAPACITY_PER_S: Final = 30.0
_CALIBRATION_STEPS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What became of the parts of one rate."""

    per_s: float
    parts: list[SeenPart]

    @property
    def judged_us(self) -> list[float]:
        """Return trigger sent to verdict sent of those that were judged, in their order."""
        return [_latency_us(part) for part in self.parts if part.is_judged]

    @property
    def dropped(self) -> Counter[str]:
        """Return how many were not, by reason."""
        return Counter(
            str(part.envelope.reason)
            for part in self.parts
            if part.envelope is not None and not part.is_judged
        )

    @property
    def late(self) -> int:
        """Return how many verdicts of judged parts came after the decision deadline."""
        return sum(part.is_judged and part.verdict_ns > part.decide_by_ns for part in self.parts)


def measure(bench: Bench) -> None:
    """Offer less than the capacity, then twice of it."""
    steps = _steps_of(RawSession(bench.wayward()))
    frames = [ordered(frame, steps=steps) for frame in sound_frames()]
    terms = Terms(
        deadline_ms=DEADLINE_MS,
        reserve_ms=RESERVE_MS,
        window_ms=WINDOW_MS,
        standby=False,
        priorities=bench.best_mode()[1],
    )
    served: list[Served] = []
    with bench.station(bench.wayward(), terms) as station:
        station.feed(frames, count=30, per_s=CALM_PER_S)
        for per_s in (CALM_PER_S, OFFERED_PER_S):
            bench.say(f"overload: {per_s:g} parts/s for {bench.effort.overload_s:g} s")
            count = round(per_s * bench.effort.overload_s)
            served.append(Served(per_s=per_s, parts=station.feed(frames, count=count, per_s=per_s)))
            station.pass_time(1.0)
        bench.left_out += station.left_out
    for each in served:
        bench.keep(f"overload, {each.per_s:g}/s", 0, each.judged_us)
    bench.add_table(
        "trigger to verdict of served parts",
        {f"{each.per_s:g} parts/s offered": each.judged_us for each in served}
        | {"dropped ones, at twice the capacity": _drop_us(served[-1])},
    )
    bench.report.facts["overload"] = {f"{each.per_s:g}": _facts(each) for each in served}
    bench.report.newest.lines += _lines(*served)


def _steps_of(raw: RawSession) -> int:
    """Return how many steps make a run of RUN_MS here."""
    marked = ordered(sound_frames()[0], steps=_CALIBRATION_STEPS)
    raw.run(marked)
    took = []
    for _ in range(3):
        began_ns = monotonic_ns()
        raw.run(marked)
        took.append((monotonic_ns() - began_ns) / MILLISECOND)
    return round(RUN_MS / (min(took) / _CALIBRATION_STEPS))


def _latency_us(part: SeenPart) -> float:
    return (part.verdict_ns - part.sent_ns) / NS_PER_US


def _drop_us(served: Served) -> list[float]:
    return [_latency_us(part) for part in served.parts if not part.is_judged]


def _facts(served: Served) -> dict[str, Any]:
    return {
        "offered": len(served.parts),
        "served_ms": milliseconds(served.judged_us),
        "dropped": dict(served.dropped),
        "late": served.late,
    }


def _p99_ms(served: Served) -> float:
    """Return the 99th percentile of those that were served; without any it is infinite."""
    return percentile(served.judged_us, 99) / 1000 if served.judged_us else float("inf")


def _lines(calm: Served, crowded: Served) -> list[Line]:
    seconds = len(crowded.parts) / crowded.per_s
    per_s = len(crowded.judged_us) / seconds
    others = {r: n for r, n in crowded.dropped.items() if r != Reason.OVERLOAD}
    calm_ms, crowded_ms = _p99_ms(calm), _p99_ms(crowded)
    return [
        Line(
            promise=f"overload: served parts' p99 <= {MOST_WAIT:g} x that at {CALM_PER_S:g}/s, none"
            " after the decision deadline",
            measured=f"{crowded_ms:.1f} ms, {calm_ms:.1f} ms at {CALM_PER_S:g}/s,"
            f" {crowded.late} late",
            kept=crowded_ms <= MOST_WAIT * calm_ms and not crowded.late,
        ),
        Line(
            promise=f"overload: >= {LEAST_SERVED:.0%} of the capacity is served",
            measured=f"{per_s:.1f} parts/s",
            kept=per_s >= LEAST_SERVED * _CAPACITY_PER_S,
        ),
        Line(
            promise="overload: every dropped part says OVERLOAD",
            measured=f"{crowded.dropped[Reason.OVERLOAD]} do; others: {others or 'none'}",
            kept=not others,
        ),
    ]
