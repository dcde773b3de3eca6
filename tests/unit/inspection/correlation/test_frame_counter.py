"""Frames and triggers against a small model of the line, whose truth nobody but the test sees."""

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
    read_edge,
)

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.judge.correlation.numbered import FRAME_COUNTER, NumberedCorrelation
from taktgate.inspection.judge.correlation.port import Kind


@pytest.fixture
def correlation() -> NumberedCorrelation:
    return NumberedCorrelation(FRAME_COUNTER, window_ns=WINDOW_MS * MILLISECOND)


def test_a_lone_frame_and_a_lone_trigger_establish_the_base(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))

    assert kinds(correlation.frame(frame(3, 1002))) == [(Kind.MATCHED, 7)]
    assert correlation.base == 4


def test_a_frame_may_come_before_its_trigger_is_seen(correlation: NumberedCorrelation) -> None:
    assert correlation.frame(frame(3, 1002, travel_ms=1)) == []
    assert kinds(correlation.edge(edge(7, 1000))) == [(Kind.MATCHED, 7)]


def test_two_frames_for_one_trigger_make_its_part_doubtful(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))

    findings = correlation.frame(frame(4, 1040))

    assert kinds(findings) == [(Kind.DOUBTFUL, 7), (Kind.DISCARDED, None)]
    assert correlation.base is None


def test_a_frame_left_over_after_a_reset_teaches_no_base(correlation: NumberedCorrelation) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))
    correlation.reset("camera reconnected")

    assert Kind.MATCHED not in [kind for kind, _ in kinds(correlation.frame(frame(1, 1040)))]
    assert correlation.base is None


def test_a_doubtful_trigger_teaches_no_base(correlation: NumberedCorrelation) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))
    correlation.frame(frame(4, 1010))

    assert kinds(correlation.frame(frame(5, 1020))) == [(Kind.DISCARDED, None)]
    assert correlation.base is None


def test_a_trigger_whose_window_overlapped_teaches_no_base(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.edge(edge(8, 1050))
    correlation.frame(frame(3, 1052))

    assert kinds(correlation.frame(frame(4, 1130))) == [(Kind.DISCARDED, None)]
    assert correlation.base is None


def test_a_number_that_contradicts_time_makes_the_part_doubtful_and_resynchronises(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))
    correlation.edge(edge(8, 1500))

    findings = correlation.frame(frame(3, 1502))

    assert (Kind.DOUBTFUL, 8) in kinds(findings)
    correlation.edge(edge(9, 2000))
    assert kinds(correlation.frame(frame(4, 2002)))[0] == (Kind.MATCHED, 9)


def test_a_gap_in_the_frame_ids_costs_exactly_the_parts_of_the_missing_frames(
    correlation: NumberedCorrelation,
) -> None:
    for trigger_id in (7, 8, 9):
        correlation.edge(edge(trigger_id, 500 * trigger_id))
    correlation.frame(frame(1, 3502))

    assert kinds(correlation.frame(frame(3, 4502))) == [(Kind.MATCHED, 9), (Kind.MISSING, 8)]


def test_a_frame_that_comes_after_its_window_judges_nothing_and_resets_nothing(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))
    correlation.edge(edge(8, 1500))
    assert correlation.frame(frame(4, 1502, travel_ms=300)) == []

    assert kinds(correlation.expire(2000 * MILLISECOND)) == [(Kind.DISCARDED, None)]
    assert correlation.base == 4


def test_an_exposure_without_a_trigger_is_discarded_and_costs_the_base(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))
    correlation.frame(frame(4, 1300))

    assert kinds(correlation.expire(1500 * MILLISECOND)) == [(Kind.DISCARDED, None)]
    assert correlation.base is None
    correlation.edge(edge(8, 1500))
    assert kinds(correlation.frame(frame(5, 1502))) == [(Kind.MATCHED, 8)]


def test_after_a_jump_no_frame_is_trusted_until_the_numbering_is_learnt_anew(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1002))

    assert kinds(correlation.edge(edge(9, 1500, first_id=8))) == [(Kind.DOUBTFUL, 9)]
    assert kinds(correlation.frame(frame(5, 1502))) == [(Kind.DISCARDED, None)]
    assert correlation.base is None
    correlation.edge(edge(10, 2000))
    assert kinds(correlation.frame(frame(6, 2002)))[0] == (Kind.MATCHED, 10)


def test_a_stray_exposure_before_a_stall_lends_no_part_the_frame_of_the_one_before() -> None:
    stall = Happening(extra_after_ms=10, stall_after_ms=11, stall_ms=270)
    line = Line()

    line.run([stall, Happening(), Happening(frame_is_lost=True)])

    assert not line.wrongly_judged


def test_where_windows_overlap_frames_are_doubtful(correlation: NumberedCorrelation) -> None:
    correlation.edge(edge(7, 1000))
    correlation.edge(edge(8, 1050))

    findings = correlation.frame(frame(3, 1052))

    assert kinds(findings)[:2] == [(Kind.DOUBTFUL, 7), (Kind.DOUBTFUL, 8)]


def test_a_trigger_seen_late_takes_back_the_match_of_an_older_part(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(7, 1000))
    correlation.frame(frame(3, 1060))

    assert kinds(correlation.edge(edge(8, 1060))) == [(Kind.DOUBTFUL, 7), (Kind.DOUBTFUL, 8)]


def test_a_stall_longer_than_the_window_gives_no_part_the_frame_of_the_one_before(
    correlation: NumberedCorrelation,
) -> None:
    correlation.edge(edge(10, 995))
    assert correlation.frame(frame(1, 1002, travel_ms=113)) == []

    findings = kinds(correlation.edge(read_edge(11, 11, after_ms=1000, seen_ms=1140)))

    assert set(findings[:2]) == {(Kind.DOUBTFUL, 10), (Kind.DOUBTFUL, 11)}
    assert correlation.base is None
    correlation.edge(edge(12, 2000))
    assert kinds(correlation.frame(frame(3, 2002)))[0] == (Kind.MATCHED, 12)


def test_a_reset_lets_go_of_frames_that_wait(correlation: NumberedCorrelation) -> None:
    correlation.frame(frame(3, 1002, slot=5))

    findings = correlation.reset("camera reconnected")

    assert [each.frame.slot for each in findings if each.frame is not None] == [5]


@settings(max_examples=200, deadline=None)
@given(parts=st.lists(happenings, min_size=1, max_size=25))
def test_no_part_is_ever_judged_by_the_frame_of_another(parts: list[Happening]) -> None:
    line = Line()

    line.run(parts)

    assert not line.wrongly_judged


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
