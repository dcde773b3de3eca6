import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.twins import ModelOrder, StagingPhase, TypedError
from taktgate.staging.errors import IllegalTransitionError
from taktgate.staging.states import (
    ANNOUNCED,
    AT_WORK,
    MAX_TRANSITIONS,
    MAX_UNFINISHED,
    RESUME,
    STANDINGS,
    TRANSITIONS,
    Event,
    Record,
    Request,
    after,
    next_phase,
    ordered,
    resumed,
)

REQUEST = Request(
    model=ModelOrder(name="weld-seam", version="1.0.0", order="o1"), repository="https://x"
)
OF_THE_TWIN = (Event.ORDERED, Event.WITHDRAWN)


@pytest.mark.parametrize(("phase", "event"), list(itertools.product(StagingPhase, Event)))
def test_every_pair_is_in_the_table_or_refused(phase: StagingPhase, event: Event) -> None:
    if (phase, event) in TRANSITIONS:
        assert next_phase(phase, event) is TRANSITIONS[phase, event]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{event} while {phase}"):
            next_phase(phase, event)


@pytest.mark.parametrize("phase", StagingPhase)
def test_every_phase_takes_a_new_order_and_a_withdrawal(phase: StagingPhase) -> None:
    record = Record(phase=phase, request=REQUEST, unfinished=3)
    assert ordered(record, REQUEST) == Record(phase=StagingPhase.FETCHING, request=REQUEST)
    assert ordered(record, None) == Record()


def test_every_phase_has_a_meaning_after_a_restart() -> None:
    assert RESUME.keys() == set(StagingPhase)
    assert {phase for phase, after_it in RESUME.items() if phase is not after_it} <= AT_WORK


def test_every_standing_of_inference_is_one_step_from_every_announced_phase() -> None:
    for before, (phase, event) in itertools.product(ANNOUNCED, STANDINGS.items()):
        if before is not phase:
            assert TRANSITIONS[before, event] is phase


def test_whatever_happens_an_order_comes_to_rest_at_last() -> None:
    """Anything but a new order and a hold, chosen so that the order never rests if it can."""
    record = ordered(Record(), REQUEST)
    work = [event for event in Event if event not in {*OF_THE_TWIN, Event.HELD, Event.RELEASED}]
    steps = 0
    while True:
        moves = [event for event in work if (record.phase, event) in TRANSITIONS]
        restless = [
            after(record, event)
            for event in moves
            if TRANSITIONS[record.phase, event] not in (record.phase, StagingPhase.FAILED)
        ]
        if not restless:
            break
        record = max(restless, key=lambda its: its.phase in AT_WORK)
        steps += 1
        assert steps <= 2 * MAX_TRANSITIONS
    assert record.phase is StagingPhase.FAILED
    assert record.error is not None
    assert (record.error.reason, record.error.order) == ("TRANSITION_LOOP", "o1")


def test_a_given_up_order_says_what_hindered_it_last() -> None:
    record = Record(phase=StagingPhase.TESTING, request=REQUEST, transitions=MAX_TRANSITIONS)
    cause = TypedError(reason="SANDBOX", message="no memory", order="o1")
    failed = after(record, Event.POSTPONED, error=cause)
    assert failed.phase is StagingPhase.FAILED
    assert failed.error is not None
    assert "SANDBOX: no memory" in failed.error.message
    assert ordered(failed, REQUEST) == Record(phase=StagingPhase.FETCHING, request=REQUEST)


@pytest.mark.parametrize("event", [Event.POSTPONED, Event.HELD])
def test_waiting_for_weeks_is_no_loop(event: Event) -> None:
    record = ordered(Record(), REQUEST)
    for _ in range(10 * MAX_TRANSITIONS):
        record = after(record, event)
        if record.phase is StagingPhase.HELD:
            record = after(record, Event.RELEASED)
    assert (record.phase, record.transitions) == (StagingPhase.FETCHING, 0)


@pytest.mark.parametrize("work", [[], [Event.FETCHED], [Event.FETCHED, Event.VERIFIED]])
def test_work_that_holds_cut_short_again_and_again_is_no_loop(work: list[Event]) -> None:
    record = ordered(Record(), REQUEST)
    for _ in range(MAX_TRANSITIONS):
        for event in (*work, Event.HELD, Event.RELEASED):
            record = after(record, event)
    for event in (Event.FETCHED, Event.VERIFIED, Event.POSTPONED):
        record = after(record, event)
    assert record.phase is StagingPhase.FETCHING


def test_a_record_at_work_without_an_order_is_worth_nothing() -> None:
    for phase in AT_WORK:
        assert resumed(Record(phase=phase)) == Record()


def test_a_loop_of_crashes_ends() -> None:
    record = ordered(Record(), REQUEST)
    for _ in range(MAX_UNFINISHED):
        record = resumed(record)
        assert record.phase is StagingPhase.FETCHING
        record = after(record, Event.FETCHED)
    record = resumed(record)
    assert record.phase is StagingPhase.FAILED
    assert record.error is not None
    assert (record.error.reason, record.error.order) == ("RESTART_LOOP", "o1")


@pytest.mark.parametrize(
    ("chunks", "phase"),
    [
        (range(1, 40), StagingPhase.FETCHING),  # a power cut every chunk or so
        ([1] * MAX_UNFINISHED, StagingPhase.FETCHING),
        ([1] * (MAX_UNFINISHED + 1), StagingPhase.FAILED),
        ([4, 4, 4, 4, 5, 5, 5, 5, 6, 6, 6, 6], StagingPhase.FETCHING),
        ([7, *range(1, MAX_UNFINISHED + 1)], StagingPhase.FAILED),  # begun anew, and no further
        ([7, 1, 2, 3, 8, 1, 2, 3], StagingPhase.FETCHING),
    ],
)
def test_a_restart_that_finds_more_of_the_download_is_none_of_a_loop(
    chunks: Iterable[int], phase: StagingPhase
) -> None:
    record = ordered(Record(), REQUEST)
    for found in chunks:
        record = resumed(record, fetched_chunks=found)
    assert record.phase is phase
    assert ordered(record, REQUEST).fetched_chunks == 0


def test_restarts_between_typed_failures_are_no_loop_of_crashes() -> None:
    record = ordered(Record(), REQUEST)
    for _ in range(10 * MAX_UNFINISHED):
        record = after(resumed(record), Event.POSTPONED)
    assert record.phase is StagingPhase.FETCHING


@given(
    st.builds(
        Record,
        phase=st.sampled_from(StagingPhase),
        request=st.sampled_from([None, REQUEST]),
        error=st.sampled_from([None, TypedError(reason="X", message="m", order="o")]),
        unfinished=st.integers(0, 10),
        fetched_chunks=st.integers(0, 128),
        transitions=st.integers(0, 100),
        barred=st.sampled_from([None, "sha256:" + "0" * 64]),
    )
)
def test_a_record_survives_the_disk(record: Record) -> None:
    assert decode(Record, encode(record)) == record
