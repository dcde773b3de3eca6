"""What the writer does, and puts on record, when it cannot know what the PLC took."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    At,
    MakeEnvelope,
    no_decision,
    reconnect,
    write,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.link.port import Command


def test_a_pass_that_waited_into_a_new_epoch_goes_out_as_restarted(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    edge = replace(command, trigger_id=101, deadline_ms=5000)
    rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.read(edge, observed_after_ns=at(600), now_ns=at(610))
    rules.read(replace(edge, plc_heartbeat=11), observed_after_ns=at(610), now_ns=at(620))
    assert write(rules, at(620)) == {101: no_decision(Reason.RESTARTED)}


def acknowledge(rules: Handshake, command: Command, sequence: int, now_ns: int) -> None:
    rules.read(
        replace(command, ack_seq=sequence), observed_after_ns=now_ns - MILLISECOND, now_ns=now_ns
    )


def test_a_pass_whose_reply_came_too_late_is_on_record_as_the_plc_took_it(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    records = rules.due(at(175))
    rules.confirmed(records, at(255))
    assert not rules.has_due
    acknowledge(rules, part_101, records[0].sequence, at(260))
    acknowledge(rules, part_101, records[0].sequence, at(270))
    told = [(o.verdict, o.written, o.trigger_to_ack_ms) for o in rules.take_outcomes()]
    assert told == [(Verdict.PASS, False, None), (Verdict.PASS, True, None)]
    assert rules.counts[Verdict.PASS] == 1


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


def test_a_lost_write_is_reported_as_unknown_and_never_sent_again_as_pass(
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
