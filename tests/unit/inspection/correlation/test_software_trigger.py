"""Frames exposed on the judge's command: `software_trigger`."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.inspection.correlation.line import TICK_MS, WINDOW_MS, edge, frame, kinds

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation.port import Edge, Finding, Kind
from taktgate.inspection.judge.correlation.software_trigger import SoftwareTriggerCorrelation

TAKT_MS = WINDOW_MS + 2 * TICK_MS


def named(trigger_id: int | None, at_ms: float, *, travel_ms: float = 20) -> Frame:
    return replace(frame(1, at_ms, travel_ms=travel_ms), trigger_id=trigger_id)


def correlation() -> SoftwareTriggerCorrelation:
    return SoftwareTriggerCorrelation(window_ns=WINDOW_MS * MILLISECOND)


def test_a_frame_judges_the_part_that_it_was_exposed_for() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))

    assert kinds(tried.frame(named(7, 1010))) == [(Kind.MATCHED, 7)]


def test_a_frame_that_nobody_asked_for_judges_nothing() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))

    assert kinds(tried.frame(named(None, 1010))) == [(Kind.DISCARDED, None)]
    assert kinds(tried.frame(named(6, 1010))) == [(Kind.DISCARDED, None)]


def test_a_frame_named_for_another_part_than_was_there_costs_both() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))
    tried.edge(edge(8, 1500))

    assert kinds(tried.frame(named(7, 1510))) == [
        (Kind.DOUBTFUL, 7),
        (Kind.DOUBTFUL, 8),
        (Kind.DISCARDED, None),
    ]
    assert kinds(tried.frame(named(8, 1512))) == [(Kind.DISCARDED, None)]


def test_a_frame_exposed_before_its_trigger_makes_the_part_doubtful() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))

    assert kinds(tried.frame(named(7, 990)))[0] == (Kind.DOUBTFUL, 7)


def test_a_late_frame_is_discarded() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))

    assert kinds(tried.frame(named(7, 1010, travel_ms=WINDOW_MS))) == [(Kind.DISCARDED, None)]


def test_a_copy_of_a_frame_changes_nothing_and_a_second_exposure_makes_doubt() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))
    tried.frame(named(7, 1010))

    assert kinds(tried.frame(named(7, 1010))) == [(Kind.DISCARDED, None)]
    assert kinds(tried.frame(named(7, 1020))) == [(Kind.DOUBTFUL, 7), (Kind.DISCARDED, None)]


def test_a_trigger_seen_late_takes_back_the_match_of_an_older_part() -> None:
    tried = correlation()
    tried.edge(edge(7, 1000))
    tried.frame(named(7, 1060))

    assert kinds(tried.edge(edge(8, 1060))) == [(Kind.DOUBTFUL, 7), (Kind.DOUBTFUL, 8)]


def test_a_jump_does_not_cost_the_part_that_is_exposed_after_it() -> None:
    tried = correlation()

    assert tried.edge(edge(9, 1000, first_id=7)) == []
    assert kinds(tried.frame(named(9, 1010))) == [(Kind.MATCHED, 9)]


@dataclass(slots=True, kw_only=True)
class Commanded:
    """What happens to one part and to the exposure that the judge asks for."""

    gap_ms: int = 0
    message_delay_ms: int = 0
    message_is_lost: bool = False
    exposed_after_ms: int = 2
    travel_ms: int = 20
    is_lost: bool = False
    is_doubled: bool = False
    has_stray: bool = False
    """The camera exposes once more, unasked, and gives that frame the next name in its queue."""


@dataclass(slots=True, kw_only=True)
class CommandedLine:
    """A camera that answers commands in turn: it names its frames by a queue, right or wrong."""

    parts: list[Commanded]
    tried: SoftwareTriggerCorrelation = field(default_factory=correlation)
    judged: dict[int, int] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    events: list[tuple[float, int, object]] = field(default_factory=list)
    triggers: list[float] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    """What the camera will call its next frames."""
    order: Iterator[int] = field(default_factory=count)

    def run(self) -> None:
        last_seen, at_ms = 0, 1000.0
        for number, part in enumerate(self.parts, start=1):
            at_ms += TAKT_MS + part.gap_ms
            self.triggers.append(at_ms)
            if not part.message_is_lost:
                seen = edge(number, at_ms, first_id=last_seen + 1)
                self._later(at_ms + TICK_MS / 2 + part.message_delay_ms, seen)
                last_seen = number
        while self.events:
            now_ms, _, event = heapq.heappop(self.events)
            if isinstance(event, Frame):
                self._take(self.tried.frame(event))
            elif isinstance(event, Edge):
                self._take(self.tried.edge(event))
                self._expose(event.trigger_id, now_ms)

    def _later(self, at_ms: float, event: object) -> None:
        heapq.heappush(self.events, (at_ms, next(self.order), event))

    def _expose(self, trigger_id: int, now_ms: float) -> None:
        part = self.parts[trigger_id - 1]
        self.names.append(trigger_id)
        for shot in range(1 + part.has_stray):
            if part.is_lost and shot == 0:
                continue  # and its name is left for the next frame
            exposed_ms = now_ms + part.exposed_after_ms * (1 + 3 * shot)
            name = self.names.pop(0) if self.names else None
            shows = sum(trigger_ms <= exposed_ms for trigger_ms in self.triggers)
            taken = replace(named(name, exposed_ms, travel_ms=part.travel_ms), slot=shows)
            for _ in range(1 + part.is_doubled):
                self._later(exposed_ms + part.travel_ms, taken)

    def _take(self, findings: list[Finding]) -> None:
        for finding in findings:
            part, taken = finding.trigger_id, finding.frame
            if finding.kind is Kind.MATCHED and part is not None and part not in self.closed:
                assert taken is not None
                self.judged[part] = taken.slot
            if part is not None:
                self.closed.add(part)


rarely = st.integers(0, 9).map(lambda n: n == 0)
commanded = st.builds(
    Commanded,
    gap_ms=st.integers(0, 200),
    message_delay_ms=st.sampled_from([0, 0, 0, 5, 30, 90, 150, 300]),
    message_is_lost=rarely,
    exposed_after_ms=st.sampled_from([1, 2, 5, 40, 130, 200]),
    travel_ms=st.sampled_from([5, 20, 20, 80, 140, 300]),
    is_lost=rarely,
    is_doubled=rarely,
    has_stray=rarely,
)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(commanded, min_size=1, max_size=20))
def test_no_part_is_ever_judged_by_the_frame_of_another(parts: list[Commanded]) -> None:
    line = CommandedLine(parts=parts)

    line.run()

    assert {part: shown for part, shown in line.judged.items() if part != shown} == {}


@settings(max_examples=60, deadline=None)
@given(lost=st.sets(st.integers(0, 28)), doubled=st.sets(st.integers(0, 28)))
def test_lost_and_doubled_frames_cost_exactly_the_parts_that_were_lost(
    lost: set[int], doubled: set[int]
) -> None:
    """By a source that names each frame rightly, as one whose camera echoes the number does."""
    tried = correlation()
    judged = set()
    for number in range(30):
        tried.edge(edge(number, 1000 + TAKT_MS * number))
        if number in lost:
            continue
        for _ in range(2 if number in doubled else 1):
            found = tried.frame(named(number, 1010 + TAKT_MS * number))
            judged |= {each.trigger_id for each in found if each.kind is Kind.MATCHED}

    assert judged == set(range(30)) - lost
    assert tried.resyncs == 0
