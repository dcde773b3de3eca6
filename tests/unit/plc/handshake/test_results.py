"""The numbers in a result record."""

import math
from collections.abc import Callable

import pytest

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import ClassScore, Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.encoding import decode_slot, encode_result, unpack
from taktgate.plc.contract.records import EMPTY_SLOT, ResultRecord, echo_of
from taktgate.plc.contract.tags import DECISIONS, RESULT
from taktgate.plc.handshake.parts import Decision, Part, no_decision
from taktgate.plc.handshake.results import (
    MAX_DINT,
    defect_bits,
    model_revision,
    next_sequence,
    to_record,
)

MakeEnvelope = Callable[..., VerdictEnvelope]


def decision_of(envelope: VerdictEnvelope) -> Decision:
    return Decision(
        verdict=envelope.verdict, reason=envelope.reason, lane=Lane.LOCAL, envelope=envelope
    )


@pytest.mark.parametrize(
    ("last", "following"), [(0, 1), (1, 2), (MAX_DINT, 1), (-5, 1), (MAX_DINT - 1, MAX_DINT)]
)
def test_result_numbers_are_never_zero_and_stay_within_a_dint(last: int, following: int) -> None:
    assert next_sequence(last) == following


def test_a_part_without_a_score_gets_the_worst(start_ns: int) -> None:
    part = Part(
        epoch=1, trigger_id=1, trigger_ns=start_ns, observed_ns=start_ns, deadline_ns=start_ns
    )
    now_ns = start_ns + 30 * MILLISECOND
    record = to_record(part, no_decision(Reason.TIMEOUT), sequence=1, now_ns=now_ns)
    assert record.score == 1.0
    assert record.age_ms == 30
    assert record.model_rev == 0


def test_a_fail_carries_the_bit_of_the_class_that_decided(make_envelope: MakeEnvelope) -> None:
    assert defect_bits(decision_of(make_envelope(verdict=Verdict.FAIL))) == 0b10


def test_a_pass_carries_no_defect(make_envelope: MakeEnvelope) -> None:
    assert defect_bits(decision_of(make_envelope())) == 0


@pytest.mark.parametrize("place", [31, 32])
def test_defect_bits_fit_a_dint_whatever_the_class(make_envelope: MakeEnvelope, place: int) -> None:
    scores = tuple(ClassScore(name=f"c{number}", score=0.9) for number in range(40))
    envelope = make_envelope(verdict=Verdict.FAIL, scores=scores, decided_by=f"c{place}")
    assert defect_bits(decision_of(envelope)) == (-(2**31) if place == 31 else 0)


@pytest.mark.parametrize(
    ("score", "written"), [(-0.5, 0.0), (1.5, 1.0), (math.pi / 4, math.pi / 4)]
)
def test_scores_stay_within_their_range(
    make_envelope: MakeEnvelope, start_ns: int, score: float, written: float
) -> None:
    part = Part(
        epoch=1, trigger_id=101, trigger_ns=start_ns, observed_ns=start_ns, deadline_ns=start_ns
    )
    envelope = make_envelope(score=score)
    record = to_record(part, decision_of(envelope), sequence=1, now_ns=start_ns)
    assert record.score == written


def test_no_model_has_revision_zero() -> None:
    assert model_revision(None) == 0


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_echo_to_expect_is_what_the_bytes_of_the_record_say(verdict: Verdict) -> None:
    record = ResultRecord(
        sequence=7,
        trigger_id=101,
        decision=DECISIONS[verdict],
        error_code=0,
        score=0.5,
        age_ms=1,
    )
    assert echo_of(record) == decode_slot(unpack(RESULT, encode_result(record)))


def test_an_empty_slot_is_44_zero_bytes() -> None:
    assert decode_slot(unpack(RESULT, bytes(RESULT.size))) == EMPTY_SLOT
