"""What the writer does, and puts on record, when it cannot know what the PLC took."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    LATE,
    At,
    MakeEnvelope,
    acknowledge,
    no_decision,
    reconnect,
    settle,
    write,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.records import Command
from taktgate.plc.contract.tags import ERROR_CODES
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.rules import Handshake


def test_a_pass_that_waited_into_a_new_epoch_goes_out_as_restarted(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    edge = replace(command, trigger_id=101, deadline_ms=5000)
    rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.read(edge, observed_after_ns=at(600), now_ns=at(610))
    rules.read(replace(edge, plc_heartbeat=11), observed_after_ns=at(610), now_ns=at(620))
    assert write(rules, at(620)) == {101: no_decision(Reason.RESTARTED)}


def test_a_pass_whose_reply_came_too_late_is_on_record_as_the_plc_took_it(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    records = rules.due(at(175))
    rules.confirmed(records, at(255))
    assert not rules.has_due
    assert rules.take_outcomes() == []
    acknowledge(rules, part_101, records[0].sequence, at(260))
    acknowledge(rules, part_101, records[0].sequence, at(270))
    told = [(o.verdict, o.written, o.trigger_to_ack_ms) for o in rules.take_outcomes()]
    assert told == [(Verdict.PASS, True, 255)]
    assert rules.counts[Verdict.PASS] == 1


def test_a_pass_whose_reply_came_too_late_is_unknown_when_the_plc_says_nothing(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.confirmed(rules.due(at(175)), at(255))
    settle(rules, part_101, at(255))
    told = [(o.verdict, o.written, o.acknowledged_ms) for o in rules.take_outcomes()]
    assert told == [(Verdict.PASS, False, None)]
    assert rules.counts[Verdict.PASS] == 0


def test_a_reply_at_the_very_deadline_is_too_late(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.confirmed(rules.due(at(60)), at(200))
    assert write(rules, at(201)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}


@pytest.mark.parametrize(("reply_ms", "is_certain"), [(199, True), (200, False)])
def test_a_reject_after_a_pass_is_on_record_as_written_only_if_it_surely_came_in_time(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    reply_ms: int,
    is_certain: bool,
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.EDGEHUB, at(190))
    rules.confirmed(rules.due(at(190)), at(reply_ms))
    settle(rules, part_101, at(reply_ms))
    (outcome,) = rules.take_outcomes()
    assert (outcome.reason, outcome.written) == (Reason.CONFLICT, is_certain)


def test_a_reject_that_came_late_is_on_record_as_written_when_the_plc_says_so(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.EDGEHUB, at(205))
    write(rules, at(205))
    acknowledge(rules, part_101, rules.last_sequence, at(206))
    (outcome,) = rules.take_outcomes()
    assert (outcome.reason, outcome.written) == (Reason.CONFLICT, True)


def test_a_reject_is_not_certain_while_a_lost_pass_may_still_be_executed(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.due(at(60))
    reconnect(rules, part_101, at(100))
    write(rules, at(100))
    settle(rules, part_101, at(100))
    lost, reject = rules.take_outcomes()
    assert (lost.verdict, lost.written) == (Verdict.PASS, False)
    assert (reject.reason, reject.written) == (Reason.RESTARTED, False)


@pytest.mark.parametrize("back_ms", [100, 500])
def test_a_pass_whose_reply_was_lost_stands_when_the_plc_acknowledges_it(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At, back_ms: int
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    (record,) = rules.due(at(60))
    reconnect(rules, replace(part_101, ack_seq=record.sequence), at(back_ms))
    assert not rules.has_due
    outcome = rules.take_outcomes()[-1]
    assert (outcome.verdict, outcome.written) == (Verdict.PASS, True)


def test_a_lost_pass_is_not_overruled_when_the_plc_has_acted_already(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.due(at(60))
    reconnect(rules, part_101, at(211))
    assert not rules.has_due
    told = [(outcome.verdict, outcome.written) for outcome in rules.take_outcomes()]
    assert told == [(Verdict.PASS, False)]


def test_a_lost_write_is_unknown_and_no_pass_again_without_proof_that_the_plc_went_on(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.due(at(60))
    rules.link_lost(at(61))
    (outcome,) = rules.take_outcomes()
    assert (outcome.verdict, outcome.written) == (Verdict.PASS, False)
    rules.session_opened()
    assert rules.verdict(make_envelope(plc_epoch=2), Lane.EDGEHUB, at(62)) is Cause.DUPLICATE
    rules.read(part_101, observed_after_ns=at(70), now_ns=at(71))
    assert write(rules, at(71)) == {101: no_decision(Reason.RESTARTED)}


def test_parts_that_came_while_the_link_was_down_are_answered_after_it_is_back(
    rules: Handshake, part_101: Command, at: At
) -> None:
    rules.link_lost(at(60))
    rules.session_opened()
    rules.read(replace(part_101, trigger_id=103), observed_after_ns=at(70), now_ns=at(71))
    assert write(rules, at(71)) == {part: no_decision(Reason.RESTARTED) for part in (101, 102, 103)}


def test_a_settled_part_is_left_alone_by_a_new_session(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    rules.link_lost(at(61))
    rules.session_opened()
    rules.read(part_101, observed_after_ns=at(70), now_ns=at(71))
    assert not rules.has_due
