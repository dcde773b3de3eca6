"""What a verdict has to show before it decides a part."""

from dataclasses import replace

import pytest
from tests.unit.plc.handshake.bench import (
    FAIL,
    LATE,
    PASS,
    At,
    MakeEnvelope,
    no_decision,
    write,
)

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.records import Command
from taktgate.plc.contract.tags import ERROR_CODES
from taktgate.plc.handshake.admission import JUDGES_REASONS, Cause
from taktgate.plc.handshake.rules import Handshake


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"contract": "2.0"}, Cause.CONTRACT),
        ({"station": "VIS02"}, Cause.STATION),
        ({"kernel_boot_id": "another"}, Cause.KERNEL_BOOT),
        ({"plc_epoch": 1}, Cause.EPOCH),
        ({"trigger_id": 100}, Cause.CLOSED),
        ({"trigger_id": 102}, Cause.UNKNOWN_PART),
        ({"trigger_id": 93}, Cause.UNKNOWN_PART),
    ],
)
def test_an_unbound_pass_is_refused_by_name(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    change: dict[str, object],
    cause: Cause,
) -> None:
    assert rules.verdict(make_envelope(**change), Lane.LOCAL, at(60)) is cause
    assert PASS not in [decision for decision, _ in write(rules, at(60)).values()]


@pytest.mark.parametrize(
    ("decided_ms", "cause"),
    [(61, Cause.FUTURE), (-1, Cause.BEFORE_TRIGGER), (-10_000, Cause.STALE)],
)
def test_a_pass_decided_at_an_impossible_time_is_refused_by_name(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    decided_ms: int,
    cause: Cause,
) -> None:
    assert rules.verdict(make_envelope(decided_ns=at(decided_ms)), Lane.LOCAL, at(60)) is cause
    assert write(rules, at(60)) == {}


@pytest.mark.parametrize(
    "flaw",
    [
        {"trigger_ns": -1},
        {"trigger_ns": 11},
        {"exposure_ns": None},
        {"exposure_ns": -1},
        {"exposure_ns": 31},
        {"received_ns": None},
        {"inference_start_ns": 29},
        {"inference_end_ns": 30},
        {"inference_end_ns": None},
        {"decided_ns": 48},
    ],
    ids=str,
)
def test_a_pass_whose_times_do_not_prove_it_is_no_decision(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    flaw: dict[str, int | None],
) -> None:
    change = {field: None if ms is None else at(ms) for field, ms in flaw.items()}
    assert rules.verdict(make_envelope(**change), Lane.LOCAL, at(60)) is Cause.UNPROVEN
    assert write(rules, at(60)) == {101: no_decision(Reason.FRAME_MISMATCH)}


def test_a_fail_needs_no_proof(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    envelope = make_envelope(verdict=Verdict.FAIL, exposure_ns=None, trigger_ns=0, deadline_ns=0)
    assert rules.verdict(envelope, Lane.LOCAL, at(60)) is None
    assert write(rules, at(60)) == {101: (FAIL, 0)}


def test_a_pass_is_proven_at_the_ends_of_its_interval(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    envelope = make_envelope(trigger_ns=at(10), exposure_ns=at(0), deadline_ns=at(50))
    assert rules.verdict(envelope, Lane.LOCAL, at(60)) is None
    assert write(rules, at(60)) == {101: (PASS, 0)}


def test_a_pass_that_is_late_by_its_own_deadline_is_late(
    rules: Handshake, part_101: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    rules.verdict(make_envelope(deadline_ns=at(49)), Lane.LOCAL, at(60))
    assert write(rules, at(60)) == {101: (LATE, ERROR_CODES[Reason.EXPIRED])}


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.LATE, Reason.EXPIRED),
        (Verdict.LATE, Reason.TIMEOUT),
        *(
            (Verdict.NO_DECISION, reason)
            for reason in (
                Reason.RESTARTED,
                Reason.NO_VERDICT,
                Reason.CONFLICT,
                Reason.CONTRACT,
                Reason.EXPIRED,
                Reason.SILENT,
            )
        ),
    ],
)
def test_what_only_the_writer_may_say_is_not_taken_from_a_judge(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    verdict: Verdict,
    reason: Reason,
) -> None:
    envelope = make_envelope(verdict=verdict, reason=reason)
    assert rules.verdict(envelope, Lane.LOCAL, at(60)) is Cause.NOT_THE_JUDGES
    assert write(rules, at(60)) == {101: no_decision(Reason.CONTRACT)}


def test_every_other_reason_of_a_judge_is_written_as_it_came(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    reasons = sorted(JUDGES_REASONS - {Reason.NONE})
    for number, reason in enumerate(reasons, start=101):
        edge = replace(command, trigger_id=number)
        rules.read(edge, observed_after_ns=at(0), now_ns=at(10))
        envelope = make_envelope(trigger_id=number, verdict=Verdict.NO_DECISION, reason=reason)
        rules.verdict(envelope, Lane.LOCAL, at(60))
        assert write(rules, at(60)) == {number: no_decision(reason)}
