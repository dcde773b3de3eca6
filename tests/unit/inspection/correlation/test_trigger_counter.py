"""Frames that bear the camera's hardware trigger counter: `frame_trigger_id`."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.inspection.correlation.line import (
    WINDOW_MS,
    Happening,
    Line,
    edge,
    frame,
    happenings,
    kinds,
)

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation.numbered import TRIGGER_COUNTER, NumberedCorrelation
from taktgate.inspection.judge.correlation.port import Kind


def counted(trigger_id: int, at_ms: float) -> Frame:
    return replace(frame(1, at_ms), trigger_id=trigger_id)


def line(pulses: int = 0) -> Line:
    """Return a line whose camera has counted *pulses* so far."""
    correlation = NumberedCorrelation(TRIGGER_COUNTER, window_ns=WINDOW_MS * MILLISECOND)
    return Line(correlation=correlation, pulses=pulses)


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(happenings, min_size=1, max_size=25), pulses=st.integers(65_500, 65_540))
def test_no_part_is_ever_judged_by_the_frame_of_another(
    parts: list[Happening], pulses: int
) -> None:
    tried = line(pulses)

    tried.run(parts)

    assert not tried.wrongly_judged


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(happenings, max_size=15), pulses=st.integers(65_500, 65_540))
def test_after_any_trouble_a_quiet_line_is_judged_again(
    parts: list[Happening], pulses: int
) -> None:
    tried = line(pulses)

    tried.run([*parts, *(Happening(gap_ms=1000) for _ in range(4))])

    assert len(parts) + 4 in tried.judged
    assert len(parts) + 3 in tried.judged


@settings(max_examples=60, deadline=None)
@given(
    lost=st.sets(st.integers(2, 58)), overrun=st.sets(st.integers(2, 58)), start=st.integers(0, 9)
)
def test_a_missing_frame_costs_exactly_its_part_over_the_wrap_of_the_counter(
    lost: set[int], overrun: set[int], start: int
) -> None:
    tried = line(65_530 + start)

    tried.run(
        [
            Happening(frame_is_lost=number in lost, is_overrun=number in overrun)
            for number in range(60)
        ]
    )

    assert set(tried.judged) == {n + 1 for n in range(60) if n not in lost | overrun}
    assert tried.correlation.resyncs == 0


@pytest.mark.parametrize("last", [0xFFFF, 0xFFFF_FFFF])
def test_a_counter_of_sixteen_bits_or_more_may_begin_again(last: int) -> None:
    correlation = NumberedCorrelation(TRIGGER_COUNTER, window_ns=WINDOW_MS * MILLISECOND)
    for trigger_id, number in ((7, last - 1), (8, last), (9, 0), (10, 1)):
        correlation.edge(edge(trigger_id, 500 * trigger_id))
        found = correlation.frame(counted(number, 500 * trigger_id + 2))
        assert kinds(found) == [(Kind.MATCHED, trigger_id)]

    assert correlation.resyncs == 0


def test_a_pulse_too_many_is_found_out_and_costs_the_parts_that_contradict() -> None:
    correlation = NumberedCorrelation(TRIGGER_COUNTER, window_ns=WINDOW_MS * MILLISECOND)
    correlation.edge(edge(7, 1000))
    correlation.frame(counted(1, 1002))
    correlation.edge(edge(8, 1500))

    assert (Kind.DOUBTFUL, 8) in kinds(correlation.frame(counted(3, 1502)))
    correlation.edge(edge(9, 2000))
    assert kinds(correlation.frame(counted(4, 2002)))[0] == (Kind.MATCHED, 9)


def test_a_frame_without_a_trigger_number_judges_nothing() -> None:
    correlation = NumberedCorrelation(TRIGGER_COUNTER, window_ns=WINDOW_MS * MILLISECOND)
    correlation.edge(edge(7, 1000))

    assert kinds(correlation.frame(frame(1, 1002))) == [(Kind.DISCARDED, None)]
