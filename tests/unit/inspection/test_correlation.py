"""Frames and triggers against a small model of the line, whose truth nobody but the test sees."""

import math
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation import Correlator, Edge, Finding, Kind

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


@pytest.fixture
def correlator() -> Correlator:
    return Correlator(window_ns=WINDOW_MS * MILLISECOND)


def test_a_lone_frame_and_a_lone_trigger_establish_the_base(correlator: Correlator) -> None:
    correlator.edge(edge(7, 1000))

    assert kinds(correlator.frame(frame(3, 1002))) == [(Kind.MATCHED, 7)]
    assert correlator.base == 4


def test_a_frame_may_come_before_its_trigger_is_seen(correlator: Correlator) -> None:
    assert correlator.frame(frame(3, 1002, travel_ms=1)) == []
    assert kinds(correlator.edge(edge(7, 1000))) == [(Kind.MATCHED, 7)]


def test_two_frames_for_one_trigger_make_its_part_doubtful(correlator: Correlator) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))

    findings = correlator.frame(frame(4, 1040))

    assert kinds(findings) == [(Kind.DOUBTFUL, 7), (Kind.DISCARDED, None)]
    assert correlator.base is None


def test_a_frame_left_over_after_a_reset_teaches_no_base(correlator: Correlator) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))
    correlator.reset("camera reconnected")

    assert Kind.MATCHED not in [kind for kind, _ in kinds(correlator.frame(frame(1, 1040)))]
    assert correlator.base is None


def test_a_doubtful_trigger_teaches_no_base(correlator: Correlator) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))
    correlator.frame(frame(4, 1010))

    assert kinds(correlator.frame(frame(5, 1020))) == [(Kind.DISCARDED, None)]
    assert correlator.base is None


def test_a_trigger_whose_window_overlapped_teaches_no_base(correlator: Correlator) -> None:
    correlator.edge(edge(7, 1000))
    correlator.edge(edge(8, 1050))
    correlator.frame(frame(3, 1052))

    assert kinds(correlator.frame(frame(4, 1130))) == [(Kind.DISCARDED, None)]
    assert correlator.base is None


def test_a_number_that_contradicts_time_makes_the_part_doubtful_and_resynchronises(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))
    correlator.edge(edge(8, 1500))

    findings = correlator.frame(frame(3, 1502))

    assert (Kind.DOUBTFUL, 8) in kinds(findings)
    correlator.edge(edge(9, 2000))
    assert kinds(correlator.frame(frame(4, 2002)))[0] == (Kind.MATCHED, 9)


def test_a_gap_in_the_frame_ids_costs_exactly_the_parts_of_the_missing_frames(
    correlator: Correlator,
) -> None:
    for trigger_id in (7, 8, 9):
        correlator.edge(edge(trigger_id, 500 * trigger_id))
    correlator.frame(frame(1, 3502))

    assert kinds(correlator.frame(frame(3, 4502))) == [(Kind.MATCHED, 9), (Kind.MISSING, 8)]


def test_a_frame_that_comes_after_its_window_judges_nothing_and_resets_nothing(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))
    correlator.edge(edge(8, 1500))
    assert correlator.frame(frame(4, 1502, travel_ms=300)) == []

    assert kinds(correlator.expire(2000 * MILLISECOND)) == [(Kind.DISCARDED, None)]
    assert correlator.base == 4


def test_an_exposure_without_a_trigger_is_discarded_and_costs_the_base(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))
    correlator.frame(frame(4, 1300))

    assert kinds(correlator.expire(1500 * MILLISECOND)) == [(Kind.DISCARDED, None)]
    assert correlator.base is None
    correlator.edge(edge(8, 1500))
    assert kinds(correlator.frame(frame(5, 1502))) == [(Kind.MATCHED, 8)]


def test_after_a_jump_no_frame_is_trusted_until_the_numbering_is_learnt_anew(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1002))

    assert kinds(correlator.edge(edge(9, 1500, first_id=8))) == [(Kind.DOUBTFUL, 9)]
    assert kinds(correlator.frame(frame(5, 1502))) == [(Kind.DISCARDED, None)]
    assert correlator.base is None
    correlator.edge(edge(10, 2000))
    assert kinds(correlator.frame(frame(6, 2002)))[0] == (Kind.MATCHED, 10)


def test_a_stray_exposure_before_a_stall_lends_no_part_the_frame_of_the_one_before() -> None:
    stall = Happening(extra_after_ms=10, stall_after_ms=11, stall_ms=270)
    line = Line()

    line.run([stall, Happening(), Happening(frame_is_lost=True)])

    assert {part: shown for part, shown in line.judged.items() if part != shown} == {}


def test_where_windows_overlap_frames_are_doubtful(correlator: Correlator) -> None:
    correlator.edge(edge(7, 1000))
    correlator.edge(edge(8, 1050))

    findings = correlator.frame(frame(3, 1052))

    assert kinds(findings)[:2] == [(Kind.DOUBTFUL, 7), (Kind.DOUBTFUL, 8)]


def test_a_trigger_seen_late_takes_back_the_match_of_an_older_part(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(7, 1000))
    correlator.frame(frame(3, 1060))

    assert kinds(correlator.edge(edge(8, 1060))) == [(Kind.DOUBTFUL, 7), (Kind.DOUBTFUL, 8)]


def test_a_stall_longer_than_the_window_gives_no_part_the_frame_of_the_one_before(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(10, 995))
    assert correlator.frame(frame(1, 1002, travel_ms=113)) == []

    findings = kinds(correlator.edge(read_edge(11, 11, after_ms=1000, seen_ms=1140)))

    assert set(findings[:2]) == {(Kind.DOUBTFUL, 10), (Kind.DOUBTFUL, 11)}
    assert correlator.base is None
    correlator.edge(edge(12, 2000))
    assert kinds(correlator.frame(frame(3, 2002)))[0] == (Kind.MATCHED, 12)


def test_a_reset_lets_go_of_frames_that_wait(correlator: Correlator) -> None:
    correlator.frame(frame(3, 1002, slot=5))

    findings = correlator.reset("camera reconnected")

    assert [each.frame.slot for each in findings if each.frame is not None] == [5]


# The line: parts come with a takt longer than the frame window. Whatever happens to frames and
# messages, a frame judges the part that it shows, or none. One thing no correlator can see: a stray
# exposure within the reading interval of the next trigger, before the trigger itself.


@dataclass(slots=True, kw_only=True)
class Happening:
    """What happens to one part."""

    gap_ms: int = 0
    is_message_lost: bool = False
    message_delay_ms: int = 0
    trigger_is_missed: bool = False
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

    correlator: Correlator = field(
        default_factory=lambda: Correlator(window_ns=WINDOW_MS * MILLISECOND)
    )
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
                frame_id = 0
                events.append((self.host.runs_again(at_ms - TICK_MS), "reset"))
            if not part.trigger_is_missed:
                frame_id += 1
                if not part.frame_is_lost:
                    exposed_ms = at_ms + part.exposed_after_ms
                    self._expose(events, frame_id, exposed_ms, index + 1, part.travel_ms)
            extra_ms = at_ms + (part.extra_after_ms or 0)
            if part.extra_after_ms is not None and extra_ms < next_read_from[index]:
                frame_id += 1
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
        events.append((received_ms, taken))

    def _do(self, action: object) -> list[Finding]:
        if isinstance(action, Edge):
            return self.correlator.edge(action)
        if isinstance(action, Frame):
            findings = self.correlator.expire(action.received_ns)
            return findings + self.correlator.frame(action)
        return self.correlator.reset("camera")

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
    frame_is_lost=st.integers(0, 9).map(lambda n: n == 0),
    exposed_after_ms=st.integers(1, TICK_MS - 1),
    travel_ms=st.sampled_from([5, 20, 20, 20, 20, 80, 140, 300, 700]),
    extra_after_ms=st.none() | st.none() | st.integers(TICK_MS, WINDOW_MS + TICK_MS),
    extra_travel_ms=st.sampled_from([20, 20, 140, 300]),
    is_camera_reset=st.integers(0, 19).map(lambda n: n == 0),
    stall_after_ms=st.integers(-TICK_MS, TICK_MS) | st.integers(0, WINDOW_MS),
    stall_ms=st.just(0) | st.integers(1, 400),
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(happenings, min_size=1, max_size=25))
def test_no_part_is_ever_judged_by_the_frame_of_another(parts: list[Happening]) -> None:
    line = Line()

    line.run(parts)

    assert {part: shown for part, shown in line.judged.items() if part != shown} == {}


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(happenings, max_size=15))
def test_after_any_trouble_a_quiet_line_is_judged_again(parts: list[Happening]) -> None:
    line = Line()
    quiet = [Happening(gap_ms=1000) for _ in range(4)]

    line.run([*parts, *quiet])

    assert len(parts) + len(quiet) in line.judged
    assert len(parts) + len(quiet) - 1 in line.judged


def test_an_undisturbed_line_loses_no_part() -> None:
    line = Line()

    line.run([Happening(travel_ms=10 + 7 * (n % 12)) for n in range(60)])

    assert len(line.judged) == 60
