"""A result of unknown fate is written again as it was, where the PLC's program surely went on."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    FAIL,
    LATE,
    PASS,
    At,
    MakeEnvelope,
    no_decision,
    reconnect,
    settle,
    write,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command, ResultRecord
from taktgate.plc.contract.tags import ERROR_CODES
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.delivery import REWRITTEN
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.handshake.watch import PlcLife


@pytest.fixture
def running(rules: Handshake, command: Command, at: At) -> Command:
    """Part 101 has come 10 ms after the start, and PlcHeartbeat (11) has been seen moving."""
    edge = replace(command, trigger_id=101, plc_heartbeat=11)
    assert rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    assert rules.plc.life is PlcLife.RUNNING
    return edge


@pytest.fixture
def lost(rules: Handshake, running: Command, make_envelope: MakeEnvelope, at: At) -> ResultRecord:
    """The PASS of part 101 was sent 60 ms after the start, and its reply never came."""
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    (record,) = rules.due(at(60))
    return record


def test_a_lost_pass_is_written_once_more_as_the_same_result(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, running, at(100))
    assert rules.due(at(101)) == (lost,)
    assert lost.decision == PASS
    assert rules.counts[REWRITTEN] == 1


def test_a_pass_written_again_is_on_record_with_its_retry_when_the_plc_acknowledges_it(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, running, at(100))
    rules.take_outcomes()
    write(rules, at(101))
    acked = replace(running, ack_seq=lost.sequence)
    rules.read(acked, observed_after_ns=at(105), now_ns=at(110))
    (outcome,) = rules.take_outcomes()
    assert (outcome.verdict, outcome.written, outcome.retries) == (Verdict.PASS, True, 1)
    assert (outcome.result_sequence, outcome.acknowledged_ms) == (lost.sequence, 110)


def test_a_pass_written_again_without_an_acknowledge_stays_unknown(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, running, at(100))
    write(rules, at(101))
    settle(rules, running, at(101))
    assert [(o.verdict, o.written) for o in rules.take_outcomes()] == [(Verdict.PASS, False)] * 2


@pytest.mark.parametrize(
    "doubt",
    [
        {"hb_fault": True},
        {"plc_heartbeat": 10},
        {"plc_heartbeat": 15},
        {"trigger_id": 100},
    ],
    ids=str,
)
def test_a_pass_is_not_written_again_when_the_plc_may_have_begun_anew(
    rules: Handshake, running: Command, lost: ResultRecord, at: At, doubt: dict[str, int]
) -> None:
    reconnect(rules, replace(running, **doubt), at(100))  # type: ignore[arg-type]
    assert PASS not in [record.decision for record in rules.due(at(101))]


@pytest.mark.parametrize(("beats", "is_written_again"), [(0, False), (2, False), (3, True)])
def test_a_pass_is_not_written_again_when_the_plc_stood_still_for_more_than_500_ms(
    rules: Handshake,
    command: Command,
    make_envelope: MakeEnvelope,
    at: At,
    beats: int,
    is_written_again: bool,
) -> None:
    edge = replace(command, trigger_id=101, plc_heartbeat=11, deadline_ms=5000)
    rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    rules.verdict(make_envelope(deadline_ns=at(5000)), Lane.LOCAL, at(60))
    rules.due(at(60))
    reconnect(rules, replace(edge, plc_heartbeat=11 + beats), at(750))
    passes = [record for record in rules.due(at(751)) if record.decision == PASS]
    assert bool(passes) is is_written_again


def test_a_pass_is_not_written_again_while_the_plc_was_never_seen_running(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.due(at(60))
    reconnect(rules, part_101, at(100))
    assert write(rules, at(101)) == {101: no_decision(Reason.RESTARTED)}


def test_a_pass_that_can_be_confirmed_no_more_is_not_written_again(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, replace(running, plc_heartbeat=12), at(170))
    assert write(rules, at(181)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}


def test_a_pass_that_was_lost_twice_becomes_a_reject(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, running, at(80))
    rules.due(at(81))
    reconnect(rules, running, at(100))
    assert write(rules, at(101)) == {101: no_decision(Reason.RESTARTED)}


def test_a_loss_before_the_second_write_does_not_use_it_up(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, running, at(80))
    reconnect(rules, running, at(100))
    assert rules.due(at(101)) == (lost,)


def test_a_verdict_that_the_loss_kept_from_its_write_is_written_after_it(
    rules: Handshake, running: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    reconnect(rules, running, at(100))
    assert write(rules, at(101)) == {101: (PASS, 0)}
    assert rules.counts[REWRITTEN] == 0


def test_a_part_without_a_verdict_is_not_opened_again(
    rules: Handshake, running: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    envelope = make_envelope()
    reconnect(rules, running, at(40))
    assert rules.verdict(envelope, Lane.LOCAL, at(60)) is Cause.EPOCH
    assert write(rules, at(60)) == {101: no_decision(Reason.RESTARTED)}


def test_a_lost_fail_is_written_again_as_what_it_was(
    rules: Handshake, running: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.LOCAL, at(60))
    first = rules.due(at(60))
    reconnect(rules, running, at(100))
    assert rules.due(at(101)) == first
    assert first[0].decision == FAIL


def test_a_lost_pass_that_the_plc_has_acknowledged_is_not_written_again(
    rules: Handshake, running: Command, lost: ResultRecord, at: At
) -> None:
    reconnect(rules, replace(running, ack_seq=lost.sequence), at(100))
    assert not rules.has_due
    outcome = rules.take_outcomes()[-1]
    assert (outcome.written, outcome.acknowledged_ms) == (True, 100)


@pytest.mark.parametrize("is_back", [False, True])
def test_a_rival_takes_the_place_of_a_pass_of_unknown_fate(
    rules: Handshake,
    running: Command,
    make_envelope: MakeEnvelope,
    lost: ResultRecord,
    at: At,
    is_back: bool,
) -> None:
    rival = make_envelope(verdict=Verdict.FAIL, sequence=2)
    if not is_back:
        rules.link_lost(at(61))
        rules.verdict(rival, Lane.EDGEHUB, at(62))
    reconnect(rules, running, at(100))
    if is_back:
        rules.verdict(rival, Lane.EDGEHUB, at(101))
    assert write(rules, at(102)) == {101: no_decision(Reason.CONFLICT)}


def test_a_short_loss_of_the_link_does_not_cost_ready(
    rules: Handshake, running: Command, at: At
) -> None:
    reconnect(rules, running, at(100))
    assert rules.plc.life is PlcLife.RUNNING


def test_a_long_loss_of_the_link_costs_ready_until_the_plc_is_seen_running(
    rules: Handshake, running: Command, at: At
) -> None:
    later = replace(running, plc_heartbeat=16, hb_fault=True)
    reconnect(rules, later, at(510))
    lives = [rules.plc.life]
    beat = replace(later, plc_heartbeat=17)
    rules.read(beat, observed_after_ns=at(590), now_ns=at(590) + MILLISECOND)
    assert [*lives, rules.plc.life] == [PlcLife.UNPROVEN, PlcLife.RUNNING]
