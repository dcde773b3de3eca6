"""What the reply, the slot read back and AckSeq each tell of a result, and when it is a fault."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    FAIL,
    PASS,
    At,
    MakeEnvelope,
    acknowledge,
    no_decision,
    settle,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.records import EMPTY_SLOT, Command, ResultRecord, echo_of
from taktgate.plc.handshake.delivery import UNACKNOWLEDGED
from taktgate.plc.handshake.rules import Handshake


@pytest.fixture
def sent(rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At) -> ResultRecord:
    """The PASS of part 101, 60 ms after the start."""
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    (record,) = rules.due(at(60))
    return record


OVERWRITTEN = [
    {"sequence_begin": 7},
    {"sequence_end": 7},
    {"trigger_id": 93},
    {"decision": FAIL},
    {"is_pass": False},
    {"is_reject": True},
    {"is_late": True},
]


@pytest.mark.parametrize("change", OVERWRITTEN, ids=str)
def test_a_torn_or_foreign_slot_is_written_again_as_it_was(
    rules: Handshake, sent: ResultRecord, at: At, change: dict[str, int]
) -> None:
    found = replace(echo_of(sent), **change)  # type: ignore[arg-type]
    rules.confirmed([sent], at(61), [found])
    assert rules.due(at(62)) == (sent,)
    assert not rules.has_fault


def test_a_slot_that_holds_the_result_confirms_it(
    rules: Handshake, sent: ResultRecord, at: At
) -> None:
    rules.confirmed([sent], at(61), [echo_of(sent)])
    assert not rules.has_due
    assert rules.counts[Verdict.PASS] == 1


def test_a_slot_that_differs_twice_is_a_fault_and_a_reject(
    rules: Handshake, sent: ResultRecord, at: At
) -> None:
    rules.confirmed([sent], at(61), [EMPTY_SLOT])
    rules.confirmed(rules.due(at(62)), at(63), [EMPTY_SLOT])
    assert rules.has_fault
    (reject,) = rules.due(at(64))
    assert (reject.decision, reject.error_code) == no_decision(Reason.CONFLICT)


def test_a_reject_that_does_not_stand_is_given_up_and_never_a_loop(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.LOCAL, at(60))
    rounds = 0
    while rules.has_due:
        rounds += 1
        records = rules.due(at(60 + rounds))
        rules.confirmed(records, at(60 + rounds), [EMPTY_SLOT])
    assert rounds == 2
    (outcome,) = rules.take_outcomes()
    assert (outcome.verdict, outcome.written, outcome.retries) == (Verdict.FAIL, False, 1)
    assert rules.has_fault


def test_a_result_that_the_plc_never_acknowledges_is_counted(
    rules: Handshake, part_101: Command, sent: ResultRecord, at: At
) -> None:
    rules.confirmed([sent], at(61))
    settle(rules, part_101, at(61))
    (outcome,) = rules.take_outcomes()
    assert (outcome.written, outcome.acknowledged_ms) == (True, None)
    assert rules.counts[UNACKNOWLEDGED] == 1
    assert not rules.has_fault


def test_a_result_whose_acknowledge_another_may_have_hidden_is_not_counted(
    rules: Handshake, part_101: Command, sent: ResultRecord, at: At
) -> None:
    rules.confirmed([sent], at(61))
    settle(rules, replace(part_101, ack_seq=sent.sequence + 1), at(61))
    assert rules.counts[UNACKNOWLEDGED] == 0


def test_ackseq_names_one_result_and_not_those_before_it(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    for trigger_id in (101, 102):
        edge = replace(command, trigger_id=trigger_id)
        rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
        rules.verdict(make_envelope(trigger_id=trigger_id), Lane.LOCAL, at(60))
    records = rules.due(at(60))
    rules.confirmed(records, at(61))
    acknowledge(rules, edge, records[-1].sequence, at(70))
    assert [outcome.trigger_id for outcome in rules.take_outcomes()] == [102]


def test_unacknowledged_results_in_a_row_are_counted_until_one_is_acknowledged(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    silent = replace(command, ack_seq=1)
    for number in range(3):
        start_ms = 2000 * number
        beats = silent.plc_heartbeat + 10 * number
        edge = replace(silent, trigger_id=101 + number, plc_heartbeat=beats)
        rules.read(edge, observed_after_ns=at(start_ms), now_ns=at(start_ms))
        rules.tick(at(start_ms + 180))
        rules.confirmed(rules.due(at(start_ms + 180)), at(start_ms + 181))
        settle(rules, edge, at(start_ms + 181))
    assert rules.unacknowledged_in_a_row == 3
    edge = replace(silent, trigger_id=104, plc_heartbeat=50)
    rules.read(edge, observed_after_ns=at(8000), now_ns=at(8000))
    rules.tick(at(8180))
    (record,) = rules.due(at(8180))
    rules.confirmed([record], at(8181))
    acknowledge(rules, edge, record.sequence, at(8190))
    assert rules.unacknowledged_in_a_row == 0


def test_a_part_tells_how_many_were_waiting_when_it_was_decided(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    for trigger_id in (101, 102, 103):
        edge = replace(command, trigger_id=trigger_id)
        rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    rules.verdict(make_envelope(trigger_id=102), Lane.LOCAL, at(60))
    (record,) = rules.due(at(60))
    rules.confirmed([record], at(61))
    acknowledge(rules, edge, record.sequence, at(62))
    (outcome,) = rules.take_outcomes()
    assert (outcome.trigger_id, outcome.queue_depth) == (102, 2)
    assert record.decision == PASS
