"""A closed part never reopens: every pair of state and event is in the table, or refused."""

from itertools import product

import pytest

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.errors import IllegalTransitionError
from taktgate.plc.handshake.parts import (
    TRANSITIONS,
    Decision,
    Part,
    PartEvent,
    PartState,
    advance,
    confirm,
    decide,
    lose,
    no_decision,
    overrule,
)

PART = Part(epoch=1, trigger_id=5, trigger_ns=0, observed_ns=4, deadline_ns=10)
PASSED = Decision(verdict=Verdict.PASS, reason=Reason.NONE)


@pytest.mark.parametrize(("state", "event"), sorted(product(PartState, PartEvent)))
def test_every_pair_is_in_the_table_or_refused(state: PartState, event: PartEvent) -> None:
    if (state, event) in TRANSITIONS:
        assert advance(state, event) is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransitionError):
            advance(state, event)


def test_no_way_leads_back_to_open() -> None:
    assert PartState.OPEN not in TRANSITIONS.values()


def test_a_part_is_decided_once() -> None:
    with pytest.raises(IllegalTransitionError):
        decide(decide(PART, no_decision(Reason.NO_VERDICT)), PASSED)


def test_a_pass_can_be_revoked_until_the_deadline_after_the_later_end_of_its_interval() -> None:
    assert PART.can_be_revoked(14)
    assert not PART.can_be_revoked(15)


@pytest.mark.parametrize("closed", [confirm(decide(PART, PASSED), 9), lose(PART)])
def test_a_pass_overrules_nothing(closed: Part) -> None:
    with pytest.raises(IllegalTransitionError):
        overrule(closed, PASSED)
