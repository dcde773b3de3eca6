"""The breaker: what opens it, what closes it, and that each try costs one part at most."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.contracts.verdict import Reason
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.decision.rule import NO_USABLE_ANSWER
from taktgate.inspection.judge.breaker import (
    FIRST_PAUSE_NS,
    LONGEST_PAUSE_NS,
    TRANSITIONS,
    USABLE,
    Breaker,
    Event,
    State,
)

LIMIT = 5


def opened(now_ns: int = 0) -> Breaker:
    breaker = Breaker(LIMIT)
    for part in range(LIMIT):
        assert breaker.admits(part, now_ns)
        breaker.saw(part, Reason.TIMEOUT, now_ns)
    return breaker


@pytest.mark.parametrize("reason", sorted(NO_USABLE_ANSWER))
def test_so_many_parts_in_a_row_without_a_usable_answer_open_it(reason: Reason) -> None:
    breaker = Breaker(LIMIT)
    moved = [breaker.saw(part, reason, 0) for part in range(LIMIT)]

    assert moved == [False] * (LIMIT - 1) + [True]
    assert not breaker.admits(99, FIRST_PAUSE_NS - 1)
    assert reason in breaker.why


@pytest.mark.parametrize("reason", sorted(USABLE))
def test_one_usable_answer_begins_the_count_anew(reason: Reason) -> None:
    breaker = Breaker(LIMIT)
    for part in range(LIMIT - 1):
        breaker.saw(part, Reason.NON_FINITE, 0)
    breaker.saw(10, reason, 0)
    for part in range(LIMIT - 1):
        breaker.saw(part, Reason.NON_FINITE, 0)

    assert breaker.state is State.CLOSED


@pytest.mark.parametrize("reason", sorted(set(Reason) - USABLE - NO_USABLE_ANSWER))
def test_what_is_no_doing_of_the_model_neither_opens_it_nor_begins_anew(reason: Reason) -> None:
    breaker = Breaker(LIMIT)
    assert not any(breaker.saw(part, reason, 0) for part in range(10 * LIMIT))
    moved = [
        breaker.saw(part, Reason.TIMEOUT, 0) or breaker.saw(part, reason, 0)
        for part in range(LIMIT)
    ]

    assert moved == [False] * (LIMIT - 1) + [True]


def test_after_a_pause_exactly_one_part_is_let_through() -> None:
    breaker = opened()

    assert [breaker.admits(part, FIRST_PAUSE_NS) for part in (7, 8, 9)] == [True, False, False]


def test_a_usable_answer_of_the_part_let_through_closes_it() -> None:
    breaker = opened()
    breaker.admits(7, FIRST_PAUSE_NS)

    assert breaker.saw(7, Reason.NONE, FIRST_PAUSE_NS)
    assert breaker.admits(8, FIRST_PAUSE_NS)
    assert breaker.why == ""


def test_a_failed_try_opens_it_for_twice_as_long_up_to_a_limit() -> None:
    breaker, now_ns, pauses = opened(), 0, []
    for part in range(6):
        tried_ns = now_ns
        while not breaker.admits(part, now_ns):
            now_ns += 100 * MILLISECOND
        pauses.append((now_ns - tried_ns) // SECOND)
        assert not breaker.saw(part, Reason.TIMEOUT, now_ns), "it was open before"

    assert pauses == [1, 2, 4, 8, 8, 8]
    assert LONGEST_PAUSE_NS == 8 * SECOND


def test_a_try_that_says_nothing_of_the_model_is_made_again_with_the_next_part() -> None:
    breaker = opened()
    breaker.admits(7, FIRST_PAUSE_NS)
    breaker.saw(7, Reason.NO_FRAME, FIRST_PAUSE_NS)

    assert breaker.admits(8, FIRST_PAUSE_NS)


def test_a_part_from_before_does_not_end_the_try_by_failing() -> None:
    breaker = opened()
    breaker.admits(7, FIRST_PAUSE_NS)
    breaker.saw(3, Reason.TIMEOUT, FIRST_PAUSE_NS)

    assert breaker.state is State.TRYING


def test_a_usable_answer_for_a_part_from_before_closes_it() -> None:
    breaker = opened()

    assert breaker.saw(3, Reason.NONE, 1)
    assert breaker.state is State.CLOSED


def test_another_model_starts_with_a_clean_record() -> None:
    breaker = opened()

    assert breaker.model_changed(1)
    assert not breaker.model_changed(1), "nothing to tell: it was closed"
    for part in range(LIMIT - 1):
        breaker.saw(part, Reason.TIMEOUT, 1)
    assert breaker.state is State.CLOSED


def test_every_state_knows_every_event_that_can_reach_it() -> None:
    impossible = {
        (State.CLOSED, Event.LEARNT_NOTHING),
        (State.CLOSED, Event.PAUSE_OVER),
        (State.CLOSED, Event.ADMITTED),
        (State.OPEN, Event.LEARNT_NOTHING),
        (State.OPEN, Event.ADMITTED),
        (State.HALF_OPEN, Event.LEARNT_NOTHING),
        (State.HALF_OPEN, Event.PAUSE_OVER),
        (State.TRYING, Event.PAUSE_OVER),
        (State.TRYING, Event.ADMITTED),
    }

    assert set(TRANSITIONS) == set(itertools.product(State, Event)) - impossible


events = st.lists(
    st.tuples(
        st.sampled_from(["trigger", "end", "swap"]),
        st.integers(0, 3),
        st.sampled_from(sorted(Reason)),
        st.integers(0, 3000),
    ),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(events=events)
def test_in_any_order_of_events_a_model_that_works_again_is_let_work(
    events: list[tuple[str, int, Reason, int]],
) -> None:
    breaker, now_ns, admitted = Breaker(LIMIT), 0, [0]
    for number, (kind, which, reason, pause_ms) in enumerate(events, start=1):
        now_ns += pause_ms * MILLISECOND
        if kind == "trigger" and breaker.admits(number, now_ns):
            admitted.append(number)
        elif kind == "end" and len(admitted) > 1:
            breaker.saw(admitted.pop(1 + which % (len(admitted) - 1)), reason, now_ns)
        elif kind == "swap":
            breaker.model_changed(now_ns)
    for part in admitted[1:]:  # each part has its one verdict in the end
        breaker.saw(part, Reason.NO_FRAME, now_ns)

    now_ns += LONGEST_PAUSE_NS
    assert breaker.admits(1000, now_ns)
    breaker.saw(1000, Reason.NONE, now_ns)
    assert breaker.state is State.CLOSED
