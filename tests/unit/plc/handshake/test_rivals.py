"""A contradiction takes a PASS back for as long as the PLC may wait, and a person hears of it."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    FAIL,
    NO_DECISION,
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


def test_the_copy_from_the_other_lane_changes_nothing(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    assert rules.verdict(make_envelope(), Lane.EDGEHUB, at(70)) is Cause.DUPLICATE
    assert not rules.has_due
    assert not rules.has_fault


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": Verdict.FAIL},
        {"verdict": Verdict.NO_DECISION, "reason": Reason.TIMEOUT},
        {"score": 0.26},
        {"judge_start_id": "another"},
        {"sequence": 2},
    ],
)
def test_any_differing_verdict_takes_a_written_pass_back(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    change: dict[str, object],
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    assert rules.verdict(make_envelope(**change), Lane.EDGEHUB, at(70)) is Cause.CONFLICT
    assert write(rules, at(70)) == {101: no_decision(Reason.CONFLICT)}
    assert rules.has_fault
    settle(rules, part_101, at(70))
    assert [outcome.reason for outcome in rules.take_outcomes()] == [Reason.CONFLICT]


def test_a_rival_that_comes_before_the_write_keeps_the_pass_in(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.LOCAL, at(60))
    assert write(rules, at(60)) == {101: no_decision(Reason.CONFLICT)}


def test_a_pass_never_takes_a_reject_back(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.LOCAL, at(60))
    assert write(rules, at(60)) == {101: (FAIL, 0)}
    assert rules.verdict(make_envelope(), Lane.LOCAL, at(61)) is Cause.CONFLICT
    assert not rules.has_due


def test_a_rival_after_the_deadline_raises_the_fault_and_writes_nothing(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    assert rules.verdict(make_envelope(sequence=2), Lane.LOCAL, at(211)) is Cause.CONFLICT
    assert rules.has_fault
    assert not rules.has_due


def test_a_rival_takes_a_pass_back_until_the_latest_deadline_that_the_plc_may_have(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    rules.verdict(make_envelope(sequence=2), Lane.LOCAL, at(210))
    assert write(rules, at(210)) == {101: no_decision(Reason.CONFLICT)}


def test_a_rival_takes_a_pass_back_although_the_session_is_a_new_one(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    passed, rival = make_envelope(), make_envelope(verdict=Verdict.FAIL, sequence=2)
    rules.verdict(passed, Lane.LOCAL, at(60))
    write(rules, at(60))
    reconnect(rules, part_101, at(100))
    assert rules.epoch != rival.plc_epoch
    assert rules.verdict(rival, Lane.LOCAL, at(110)) is Cause.CONFLICT
    assert write(rules, at(110)) == {101: no_decision(Reason.CONFLICT)}
    assert rules.has_fault


def test_a_rival_takes_a_pass_back_although_the_plc_stalled_meanwhile(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    edge = replace(command, trigger_id=101, deadline_ms=5000)
    rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
    rival = make_envelope(verdict=Verdict.FAIL, sequence=2)
    rules.verdict(make_envelope(deadline_ns=at(5000)), Lane.LOCAL, at(60))
    write(rules, at(60))
    rules.read(edge, observed_after_ns=at(600), now_ns=at(610))
    rules.read(replace(edge, plc_heartbeat=11), observed_after_ns=at(610), now_ns=at(620))
    assert rules.epoch != rival.plc_epoch
    rules.verdict(rival, Lane.LOCAL, at(700))
    assert write(rules, at(700)) == {101: no_decision(Reason.CONFLICT)}


@pytest.mark.parametrize(
    ("back_ms", "written"), [(150, {101: (NO_DECISION, ERROR_CODES[Reason.CONFLICT])}), (250, {})]
)
def test_a_rival_of_a_lost_pass_is_written_if_the_link_is_back_in_time(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    back_ms: int,
    written: dict[int, tuple[int, int]],
) -> None:
    rival = make_envelope(verdict=Verdict.FAIL, sequence=2)
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    rules.due(at(60))
    rules.link_lost(at(61))
    assert rules.verdict(rival, Lane.LOCAL, at(70)) is Cause.CONFLICT
    rules.session_opened()
    rules.read(part_101, observed_after_ns=at(back_ms), now_ns=at(back_ms))
    assert write(rules, at(back_ms)) == written
    acknowledge(rules, part_101, rules.last_sequence, at(back_ms))
    outcome = rules.take_outcomes()[-1]
    assert (outcome.reason, outcome.written) == (Reason.CONFLICT, bool(written))


@pytest.mark.parametrize("contract", ["1.0", "2.0"])
def test_a_judge_of_another_contract_takes_a_pass_back(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At, contract: str
) -> None:
    rules.verdict(make_envelope(), Lane.LOCAL, at(60))
    write(rules, at(60))
    rival = make_envelope(contract=contract, verdict=Verdict.FAIL)
    assert rules.verdict(rival, Lane.EDGEHUB, at(70)) is Cause.CONTRACT
    assert write(rules, at(70)) == {101: no_decision(Reason.CONFLICT)}
    assert rules.has_fault


def test_the_copy_of_a_message_in_another_contract_raises_no_fault(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    for lane in (Lane.LOCAL, Lane.EDGEHUB):
        rules.verdict(make_envelope(contract="2.0"), lane, at(60))
        write(rules, at(60))
    assert not rules.has_fault


def test_reset_clears_the_fault(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.LOCAL, at(60))
    rules.verdict(make_envelope(), Lane.LOCAL, at(61))
    rules.read(replace(part_101, reset=True), observed_after_ns=at(62), now_ns=at(63))
    assert not rules.has_fault


def test_a_reset_that_is_held_clears_no_later_fault(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    held = replace(part_101, reset=True)
    rules.read(held, observed_after_ns=at(20), now_ns=at(30))
    rules.verdict(make_envelope(verdict=Verdict.FAIL), Lane.LOCAL, at(60))
    rules.verdict(make_envelope(), Lane.LOCAL, at(61))
    rules.read(held, observed_after_ns=at(70), now_ns=at(80))
    assert rules.has_fault
