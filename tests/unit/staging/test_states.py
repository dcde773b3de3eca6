import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.twins import ModelOrder, StagingPhase, TypedError
from taktgate.staging.errors import IllegalTransitionError
from taktgate.staging.states import (
    AT_WORK,
    MAX_UNFINISHED,
    RESUME,
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
    )
)
def test_a_record_survives_the_disk(record: Record) -> None:
    assert decode(Record, encode(record)) == record
