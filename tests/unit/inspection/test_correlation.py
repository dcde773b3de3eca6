"""Frames and triggers against a small model of the line, whose truth nobody but the test sees."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation import Correlator, Edge, Finding, Kind

WINDOW_MS = 120
TICK_MS = 10


def edge(trigger_id: int, at_ms: float, *, first_id: int | None = None) -> Edge:
    return Edge(
        trigger_id=trigger_id,
        first_id=trigger_id if first_id is None else first_id,
        observed_after_ns=int((at_ms - TICK_MS / 2) * MILLISECOND),
        observed_ns=int((at_ms + TICK_MS / 2) * MILLISECOND),
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


def test_after_a_jump_only_a_known_numbering_can_tell_the_frames_apart(
    correlator: Correlator,
) -> None:
    correlator.edge(edge(8, 1000, first_id=7))
    assert (Kind.DOUBTFUL, 8) in kinds(correlator.frame(frame(3, 1002)))

    correlator.edge(edge(9, 1500))
    correlator.frame(frame(4, 1502))
    correlator.edge(edge(11, 2000, first_id=10))
    assert kinds(correlator.frame(frame(5, 1998))) == [(Kind.DISCARDED, None)]
    assert kinds(correlator.frame(frame(6, 2002)))[0] == (Kind.MATCHED, 11)


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
    travel_ms: int = 20
    extra_after_ms: int | None = None
    is_camera_reset: bool = False


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

    def run(self, parts: list[Happening]) -> None:
        for _, action in sorted(self._timetable(parts), key=lambda entry: entry[0]):
            self._take(self._do(action))

    def _timetable(self, parts: list[Happening]) -> list[tuple[float, object]]:
        events: list[tuple[float, object]] = []
        at_ms, frame_id, last_seen = 1000.0, 0, 0
        for trigger_id, part in enumerate(parts, start=1):
            at_ms += WINDOW_MS + 2 * TICK_MS + part.gap_ms
            if part.is_camera_reset:
                frame_id = 0
                events.append((at_ms - TICK_MS, "reset"))
            if not part.trigger_is_missed:
                frame_id += 1
                self._expose(events, frame_id, at_ms + 1, trigger_id, part)
            if part.extra_after_ms is not None:
                frame_id += 1
                extra = Happening(travel_ms=20)
                self._expose(events, frame_id, at_ms + part.extra_after_ms, trigger_id, extra)
            if not part.is_message_lost:
                seen = edge(trigger_id, at_ms, first_id=last_seen + 1)
                last_seen = trigger_id
                events.append((at_ms + TICK_MS / 2 + part.message_delay_ms, seen))
        return events

    def _expose(
        self,
        events: list[tuple[float, object]],
        frame_id: int,
        at_ms: float,
        trigger_id: int,
        part: Happening,
    ) -> None:
        slot = len(self.shows)
        self.shows[slot] = trigger_id
        if not part.frame_is_lost:
            taken = frame(frame_id, at_ms, travel_ms=part.travel_ms, slot=slot)
            events.append((at_ms + part.travel_ms, taken))

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
                self.judged[finding.trigger_id] = self.shows[finding.frame.slot]
            elif finding.kind is not Kind.MATCHED:
                self.closed.add(finding.trigger_id)
                self.judged.pop(finding.trigger_id, None)


happenings = st.builds(
    Happening,
    gap_ms=st.integers(0, 400),
    is_message_lost=st.integers(0, 9).map(lambda n: n == 0),
    message_delay_ms=st.sampled_from([0, 0, 0, 5, 30]),
    trigger_is_missed=st.integers(0, 9).map(lambda n: n == 0),
    frame_is_lost=st.integers(0, 9).map(lambda n: n == 0),
    travel_ms=st.sampled_from([5, 20, 20, 20, 20, 80, 140, 300, 700]),
    extra_after_ms=st.none() | st.none() | st.integers(2, WINDOW_MS + TICK_MS),
    is_camera_reset=st.integers(0, 19).map(lambda n: n == 0),
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
