"""The writer's states: every pair of state and event is in the table, or refused."""

from itertools import product

import pytest

from taktgate.plc.contract.tags import WriterState
from taktgate.plc.errors import IllegalTransitionError
from taktgate.plc.opening.states import TRANSITIONS, Event, Progress, advance

INIT, CONNECTING = WriterState.INIT, WriterState.CONNECTING
RUN, DEGRADED, FAULT = WriterState.RUN, WriterState.DEGRADED, WriterState.FAULT

PERMITTED = {
    (INIT, Event.SOUGHT): CONNECTING,
    (INIT, Event.LOST): INIT,
    (CONNECTING, Event.VERIFIED): CONNECTING,
    (CONNECTING, Event.MISMATCHED): FAULT,
    (CONNECTING, Event.OWNED): DEGRADED,
    (CONNECTING, Event.LOST): CONNECTING,
    (DEGRADED, Event.READY): RUN,
    (DEGRADED, Event.NOT_READY): DEGRADED,
    (DEGRADED, Event.LOST): CONNECTING,
    (RUN, Event.READY): RUN,
    (RUN, Event.NOT_READY): DEGRADED,
    (RUN, Event.LOST): CONNECTING,
    (FAULT, Event.VERIFIED): CONNECTING,
    (FAULT, Event.MISMATCHED): FAULT,
    **{(state, Event.BROKEN): FAULT for state in WriterState},
    **{(state, Event.STOPPED): INIT for state in WriterState},
}


@pytest.mark.parametrize(("state", "event"), list(product(WriterState, Event)))
def test_a_pair_leads_where_it_should_or_is_refused(state: WriterState, event: Event) -> None:
    if (state, event) in PERMITTED:
        assert advance(state, event) is PERMITTED[state, event]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{event} while {state.name}"):
            advance(state, event)


def test_run_is_reached_from_a_session_alone_and_by_ready_alone() -> None:
    ways = {pair for pair, target in TRANSITIONS.items() if target is RUN}
    assert ways == {(DEGRADED, Event.READY), (RUN, Event.READY)}


def test_a_refused_event_leaves_the_state_as_it_was() -> None:
    progress = Progress(RUN)
    with pytest.raises(IllegalTransitionError):
        progress.note(Event.OWNED)
    assert progress.state is RUN
