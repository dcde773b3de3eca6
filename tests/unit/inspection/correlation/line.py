"""A small model of the line, whose truth nobody but the tests sees.

Parts come with a takt longer than the frame window. Whatever happens to frames and messages, a
frame judges the part that it shows, or none. One thing no correlation can see: a stray exposure
within the reading interval of the next trigger, before the trigger itself.
"""

import math
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Self

from hypothesis import strategies as st

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation.numbered import FRAME_COUNTER, NumberedCorrelation
from taktgate.inspection.judge.correlation.port import Correlation, Edge, Finding, Kind

WINDOW_MS = 120
TICK_MS = 10


def edge(trigger_id: int, at_ms: float, *, first_id: int | None = None) -> Edge:
    first_id = trigger_id if first_id is None else first_id
    return read_edge(trigger_id, first_id, at_ms - TICK_MS / 2, at_ms + TICK_MS / 2)


def read_edge(trigger_id: int, first_id: int, after_ms: float, seen_ms: float) -> Edge:
    return Edge(
        trigger_id=trigger_id,
        first_id=first_id,
        observed_after_ns=int(after_ms * MILLISECOND),
        observed_ns=int(seen_ms * MILLISECOND),
    )


def frame(frame_id: int, at_ms: float, *, travel_ms: float = 20, slot: int = 0) -> Frame:
    return Frame(
        frame_id=frame_id,
        exposure_ns=int(at_ms * MILLISECOND),
        received_ns=int((at_ms + travel_ms) * MILLISECOND),
        width=4,
        height=4,
        channels=1,
        slot=slot,
    )


def kinds(findings: list[Finding]) -> list[tuple[Kind, int | None]]:
    return [(finding.kind, finding.trigger_id) for finding in findings]


@dataclass(slots=True, kw_only=True)
class Happening:
    """What happens to one part."""

    gap_ms: int = 0
    is_message_lost: bool = False
    message_delay_ms: int = 0
    trigger_is_missed: bool = False
    """The pulse does not reach the camera."""
    is_overrun: bool = False
    """The camera counts the pulse, but does not expose."""
    frame_is_lost: bool = False
    exposed_after_ms: int = 1
    travel_ms: int = 20
    extra_after_ms: int | None = None
    extra_travel_ms: int = 20
    is_camera_reset: bool = False
    stall_after_ms: int = 0
    """From then on after the trigger the host stands still: nothing is read, nothing received."""
    stall_ms: int = 0


def takt(part: Happening) -> int:
    return WINDOW_MS + 2 * TICK_MS + part.gap_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host and the times in which it stands still."""

    stalls: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, parts: list[Happening], triggers: list[float]) -> Self:
        merged: list[tuple[float, float]] = []
        starts = [at_ms + each.stall_after_ms for each, at_ms in zip(parts, triggers, strict=True)]
        for start_ms, part in sorted(zip(starts, parts, strict=True), key=lambda pair: pair[0]):
            end_ms = start_ms + part.stall_ms
            if merged and start_ms <= merged[-1][1]:
                start_ms, end_ms = merged[-1][0], max(merged.pop()[1], end_ms)
            merged.append((start_ms, end_ms))
        return cls(stalls=tuple(merged))

    def runs_again(self, at_ms: float) -> float:
        return max((end for start, end in self.stalls if start <= at_ms < end), default=at_ms)

    def reading(self, trigger_ms: float) -> tuple[float, float]:
        """Return when TriggerId was last read before the trigger, and when first after it."""
        seen_ms = self.runs_again(trigger_ms)
        if seen_ms == trigger_ms:
            seen_ms = self.runs_again(trigger_ms + TICK_MS / 2)
        tick_ms = trigger_ms - TICK_MS / 2
        last_ms = self.runs_again(tick_ms)
        if last_ms > trigger_ms:
            last_ms = max(start for start, _ in self.stalls if start <= tick_ms)
        return last_ms, seen_ms


@dataclass(slots=True, kw_only=True)
class Line:
    """Runs a series of parts through a correlator."""

    correlation: Correlation = field(
        default_factory=lambda: NumberedCorrelation(
            FRAME_COUNTER, window_ns=WINDOW_MS * MILLISECOND
        )
    )
    pulses: int = 0
    """What the camera's trigger counter stands at."""
    shows: dict[int, int] = field(default_factory=dict)
    """What the frame in a slot really shows."""
    closed: set[int] = field(default_factory=set)
    judged: dict[int, int] = field(default_factory=dict)
    host: Host = field(default_factory=lambda: Host(stalls=()))

    def run(self, parts: list[Happening]) -> None:
        for _, action in sorted(self._timetable(parts), key=lambda entry: entry[0]):
            self._take(self._do(action))

    def _timetable(self, parts: list[Happening]) -> list[tuple[float, object]]:
        events: list[tuple[float, object]] = []
        triggers = list(accumulate(map(takt, parts), initial=1000.0))[1:]
        self.host = Host.of(parts, triggers)
        reads = [self.host.reading(at_ms) for at_ms in triggers]
        next_read_from = [after_ms for after_ms, _ in reads[1:]] + [math.inf]
        frame_id, last_seen = 0, 0
        for index, (part, at_ms) in enumerate(zip(parts, triggers, strict=True)):
            if part.is_camera_reset:
                frame_id, self.pulses = 0, 0
                events.append((self.host.runs_again(at_ms - TICK_MS), "reset"))
            if not part.trigger_is_missed:
                self.pulses += 1
                frame_id += not part.is_overrun
                if not (part.frame_is_lost or part.is_overrun):
                    exposed_ms = at_ms + part.exposed_after_ms
                    self._expose(events, frame_id, exposed_ms, index + 1, part.travel_ms)
            extra_ms = at_ms + (part.extra_after_ms or 0)
            if part.extra_after_ms is not None and extra_ms < next_read_from[index]:
                frame_id, self.pulses = frame_id + 1, self.pulses + 1
                self._expose(events, frame_id, extra_ms, index + 1, part.extra_travel_ms)
            seen_ms = reads[index][1]
            after_ms = min(after for after, seen in reads if seen == seen_ms)
            is_overtaken = any(seen == seen_ms for _, seen in reads[index + 1 :])
            if not part.is_message_lost and not is_overtaken:
                seen = read_edge(index + 1, last_seen + 1, after_ms, seen_ms)
                events.append((seen_ms + part.message_delay_ms, seen))
                last_seen = index + 1
        return events

    def _expose(
        self,
        events: list[tuple[float, object]],
        frame_id: int,
        at_ms: float,
        trigger_id: int,
        travel_ms: float,
    ) -> None:
        slot = len(self.shows)
        self.shows[slot] = trigger_id
        received_ms = self.host.runs_again(at_ms + travel_ms)
        taken = frame(frame_id, at_ms, travel_ms=received_ms - at_ms, slot=slot)
        events.append((received_ms, replace(taken, trigger_id=self.pulses % (1 << 16))))

    def _do(self, action: object) -> list[Finding]:
        if isinstance(action, Edge):
            return self.correlation.edge(action)
        if isinstance(action, Frame):
            findings = self.correlation.expire(action.received_ns)
            return findings + self.correlation.frame(action)
        return self.correlation.reset("camera")

    @property
    def wrongly_judged(self) -> dict[int, int]:
        """Return the parts that another part's frame has judged, and what it shows."""
        return {part: shown for part, shown in self.judged.items() if part != shown}

    def _take(self, findings: list[Finding]) -> None:
        for finding in findings:
            if finding.trigger_id is None:
                continue
            if finding.kind is Kind.MATCHED and finding.trigger_id not in self.closed:
                assert finding.frame is not None
                self.closed.add(finding.trigger_id)
                self.judged[finding.trigger_id] = self.shows[finding.frame.slot]
            elif finding.kind is not Kind.MATCHED:
                self.closed.add(finding.trigger_id)


happenings = st.builds(
    Happening,
    gap_ms=st.integers(0, 400),
    is_message_lost=st.integers(0, 9).map(lambda n: n == 0),
    message_delay_ms=st.sampled_from([0, 0, 0, 5, 30]),
    trigger_is_missed=st.integers(0, 9).map(lambda n: n == 0),
    is_overrun=st.integers(0, 9).map(lambda n: n == 0),
    frame_is_lost=st.integers(0, 9).map(lambda n: n == 0),
    exposed_after_ms=st.integers(1, TICK_MS - 1),
    travel_ms=st.sampled_from([5, 20, 20, 20, 20, 80, 140, 300, 700]),
    extra_after_ms=st.none() | st.none() | st.integers(TICK_MS, WINDOW_MS + TICK_MS),
    extra_travel_ms=st.sampled_from([20, 20, 140, 300]),
    is_camera_reset=st.integers(0, 19).map(lambda n: n == 0),
    stall_after_ms=st.integers(-TICK_MS, TICK_MS) | st.integers(0, WINDOW_MS),
    stall_ms=st.just(0) | st.integers(1, 400),
)
