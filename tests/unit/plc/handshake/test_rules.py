"""What becomes of one part: each rule of the writer by its name."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    LATE,
    PASS,
    At,
    MakeEnvelope,
    acknowledge,
    no_decision,
    settle,
    write,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import SECOND
from taktgate.plc.contract.records import Command, ResultRecord
from taktgate.plc.contract.tags import ERROR_CODES, slot_of
from taktgate.plc.handshake.admission import Cause, Stranger
from taktgate.plc.handshake.rules import OVERFLOW, Handshake
from taktgate.plc.handshake.watch import PlcLife


def test_a_fresh_matched_pass_is_written_and_reported(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    assert rules.verdict(make_envelope(), Lane.LOCAL, at(60)) is None
    (record,) = rules.due(at(60))
    assert record == ResultRecord(
        sequence=2,
        trigger_id=101,
        decision=PASS,
        error_code=0,
        score=0.25,
        age_ms=55,
        model_rev=2**31 - 1,
    )
    rules.confirmed([record], at(61))
    acknowledge(rules, part_101, 2, at(70))
    (outcome,) = rules.take_outcomes()
    assert outcome.written
    assert (outcome.trigger_to_ack_ms, outcome.acknowledged_ms) == (61, 70)
    assert (outcome.age_ms, outcome.retries, outcome.queue_depth) == (55, 0, 0)
    assert (outcome.verdict, outcome.lane, outcome.score) == (Verdict.PASS, Lane.LOCAL, 0.25)
    assert rules.counts[Verdict.PASS] == 1


def test_a_pass_decided_after_the_deadline_is_late(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.read(replace(command, trigger_id=101), observed_after_ns=at(0), now_ns=at(10))
    envelope = make_envelope(decided_ns=at(201))
    rules.verdict(envelope, Lane.LOCAL, at(201))
    assert write(rules, at(201)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_a_verdict_within_the_write_reserve_is_late(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At, verdict: Verdict
) -> None:
    rules.verdict(make_envelope(verdict=verdict), Lane.LOCAL, at(181))
    assert write(rules, at(181)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}


def test_a_pass_that_had_to_wait_for_its_write_goes_out_as_late(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    assert write(rules, at(181)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}


def test_a_pass_confirmed_after_the_deadline_is_overruled_by_late(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.confirmed(rules.due(at(60)), at(201))
    assert rules.take_outcomes() == []
    assert write(rules, at(202)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}
    settle(rules, part_101, at(202))
    assert [outcome.verdict for outcome in rules.take_outcomes()] == [Verdict.LATE]


def test_a_silent_judge_is_answered_for_before_the_deadline(
    rules: Handshake, part_101: Command, at: At
) -> None:
    rules.tick(at(179))
    assert not rules.has_due
    rules.tick(at(180))
    assert write(rules, at(180)) == {101: no_decision(Reason.NO_VERDICT)}


def test_a_verdict_after_the_writers_own_answer_is_only_counted(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.tick(at(180))
    assert rules.verdict(make_envelope(), Lane.LOCAL, at(180)) is Cause.CLOSED
    assert write(rules, at(180)) == {101: no_decision(Reason.NO_VERDICT)}
    assert not rules.has_fault


def test_skipped_parts_are_answered_for_the_eight_newest_slots(
    rules: Handshake, command: Command, at: At
) -> None:
    rules.read(replace(command, trigger_id=120), observed_after_ns=at(0), now_ns=at(10))
    assert write(rules, at(10)) == {part: no_decision(Reason.SKIPPED) for part in range(113, 120)}
    assert rules.open_count == 1


def test_the_part_of_the_first_read_counts_as_open_before_the_start(
    rules: Handshake, command: Command, at: At
) -> None:
    rules.session_opened()
    backwards = replace(command, trigger_id=50, plc_heartbeat=1)
    assert not rules.read(backwards, observed_after_ns=at(0), now_ns=at(1))
    assert write(rules, at(1)) == {50: no_decision(Reason.RESTARTED)}


def test_part_number_zero_is_no_part(rules: Handshake, command: Command, at: At) -> None:
    rules.session_opened()
    rules.read(
        replace(command, trigger_id=0, plc_heartbeat=1), observed_after_ns=at(0), now_ns=at(1)
    )
    assert not rules.has_due


@pytest.mark.parametrize("change", [{"enable": False}, {"deadline_ms": 0}, {"deadline_ms": 10_001}])
def test_no_part_is_opened_while_the_line_is_not_enabled(
    rules: Handshake, command: Command, at: At, change: dict[str, object]
) -> None:
    edge = replace(command, trigger_id=101, **change)  # type: ignore[arg-type]
    rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    assert write(rules, at(10)) == {101: no_decision(Reason.NOT_READY)}


def test_a_judge_of_another_contract_is_answered_with_no_decision(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(contract="2.0"), Lane.LOCAL, at(60))
    assert write(rules, at(60)) == {101: no_decision(Reason.CONTRACT)}


@pytest.mark.parametrize("change", [{"plc_epoch": None}, {"station": "VIS02"}, {"trigger_id": 7}])
def test_a_stranger_that_cannot_be_placed_closes_nothing(
    rules: Handshake, part_101: Command, at: At, change: dict[str, object]
) -> None:
    known = Stranger(
        contract="2.0",
        station="VIS01",
        kernel_boot_id="boot",
        plc_epoch=rules.epoch,
        trigger_id=101,
    )
    stranger = replace(known, **change)  # type: ignore[arg-type]
    rules.stranger(stranger, Lane.LOCAL, at(60))
    assert not rules.has_due


def test_a_verdict_of_the_epoch_before_a_renumbering_is_refused(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    envelope = make_envelope()
    rules.read(replace(part_101, trigger_id=99), observed_after_ns=at(20), now_ns=at(30))
    rules.read(replace(part_101, trigger_id=101), observed_after_ns=at(30), now_ns=at(40))
    assert rules.verdict(envelope, Lane.LOCAL, at(60)) is Cause.EPOCH


def test_a_restarted_plc_program_begins_an_epoch(
    rules: Handshake, part_101: Command, at: At
) -> None:
    epoch = rules.epoch
    rules.read(replace(part_101, plc_heartbeat=1), observed_after_ns=at(20), now_ns=at(30))
    assert rules.epoch != epoch


def test_a_stalled_plc_closes_its_parts_and_begins_an_epoch_when_it_goes_on(
    rules: Handshake, part_101: Command, at: At
) -> None:
    epoch = rules.epoch
    long = replace(part_101, trigger_id=102, deadline_ms=5000)
    rules.read(long, observed_after_ns=at(20), now_ns=at(30))
    rules.read(long, observed_after_ns=at(30), now_ns=at(501))
    assert rules.plc.life is PlcLife.STALLED
    assert write(rules, at(501))[102] == no_decision(Reason.NOT_READY)
    assert rules.epoch == epoch
    rules.read(replace(long, plc_heartbeat=11), observed_after_ns=at(501), now_ns=at(600))
    assert rules.epoch != epoch


def test_the_ninth_open_part_is_refused_and_the_fault_raised(
    rules: Handshake, command: Command, at: At
) -> None:
    for trigger_id in range(101, 110):
        edge = replace(command, trigger_id=trigger_id, deadline_ms=5000)
        rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    assert rules.counts[OVERFLOW] == 1
    assert rules.open_count == 8
    assert rules.has_fault
    (outcome,) = rules.take_outcomes()
    assert (outcome.trigger_id, outcome.written) == (109, False)


def test_a_full_ring_gives_up_what_is_past_its_deadline_first(
    rules: Handshake, command: Command, at: At
) -> None:
    for trigger_id in range(101, 109):
        edge = replace(command, trigger_id=trigger_id)
        rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    late = at(0) + SECOND
    newest = replace(command, trigger_id=109, plc_heartbeat=11)
    rules.read(newest, observed_after_ns=late, now_ns=late)
    assert rules.counts[OVERFLOW] == 0
    assert slot_of(109) == slot_of(101)
    assert write(rules, late) == {part: no_decision(Reason.NO_VERDICT) for part in range(102, 109)}
    reported = {outcome.trigger_id: outcome.written for outcome in rules.take_outcomes()}
    assert reported[101] is False
