"""The verdict envelope: what may be built, what survives the way, what is refused."""

import json
from dataclasses import replace

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError, encode, is_compatible
from taktgate.contracts.model import ModelRef
from taktgate.contracts.schemas import schema_path
from taktgate.contracts.verdict import (
    ClassScore,
    Reason,
    Verdict,
    VerdictEnvelope,
    content_digest,
    open_envelope,
    seal,
)

MODEL = ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + "0" * 64)
ENVELOPE = VerdictEnvelope(
    contract=CONTRACT_VERSION,
    station="VIS01",
    kernel_boot_id="boot",
    judge_start_id="judge",
    plc_epoch=7,
    sequence=1,
    trigger_id=4711,
    verdict=Verdict.PASS,
    reason=Reason.NONE,
    score=0.125,
    scores=(ClassScore(name="pore", score=0.125),),
    decided_by="pore",
    model=MODEL,
    trigger_ns=1,
    decided_ns=2,
    deadline_ns=3,
)


def test_a_sealed_envelope_comes_back_equal() -> None:
    sealed = seal(ENVELOPE)
    assert open_envelope(encode(sealed)) == sealed


@given(
    score=st.floats(0.0, 1.0),
    trigger_id=st.integers(-(2**31), 2**31 - 1),
    decided_ns=st.integers(0, 2**62),
)
def test_every_score_and_time_survives_the_way(
    score: float, trigger_id: int, decided_ns: int
) -> None:
    sealed = seal(replace(ENVELOPE, score=score, trigger_id=trigger_id, decided_ns=decided_ns))
    assert open_envelope(encode(sealed)) == sealed


def test_a_changed_byte_of_content_is_refused() -> None:
    payload = encode(seal(ENVELOPE)).replace(b'"trigger_id":4711', b'"trigger_id":4712')
    with pytest.raises(ContractError, match="digest"):
        open_envelope(payload)


def test_an_unsealed_envelope_is_refused() -> None:
    with pytest.raises(ContractError, match="digest"):
        open_envelope(encode(ENVELOPE))


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_score_that_is_not_finite_is_refused(token: bytes) -> None:
    payload = encode(seal(ENVELOPE)).replace(b'"score":0.125', b'"score":' + token, 1)
    with pytest.raises(ContractError, match="score"):
        open_envelope(payload)


def test_an_unknown_field_is_refused_by_name() -> None:
    payload = encode(seal(ENVELOPE)).replace(b'"station"', b'"stations":"x","station"')
    with pytest.raises(ContractError, match="stations"):
        open_envelope(payload)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.FAIL])
def test_a_judged_part_names_its_model_and_score(verdict: Verdict) -> None:
    with pytest.raises(ValueError, match="needs the model"):
        replace(ENVELOPE, verdict=verdict, model=None)
    with pytest.raises(ValueError, match="needs the model"):
        replace(ENVELOPE, verdict=verdict, score=None)


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("reason", list(Reason))
def test_only_judged_parts_go_without_a_reason(verdict: Verdict, reason: Reason) -> None:
    judged = verdict in (Verdict.PASS, Verdict.FAIL)
    if judged == (reason is Reason.NONE):
        replace(ENVELOPE, verdict=verdict, reason=reason)
    else:
        with pytest.raises(ValueError, match="reason must be NONE"):
            replace(ENVELOPE, verdict=verdict, reason=reason)


def test_copies_share_a_digest_and_rivals_do_not() -> None:
    assert content_digest(ENVELOPE) == content_digest(seal(ENVELOPE))
    rival = replace(ENVELOPE, verdict=Verdict.FAIL)
    assert content_digest(rival) != content_digest(ENVELOPE)


def test_the_envelope_keeps_its_published_schema() -> None:
    published = json.loads(schema_path(VerdictEnvelope).read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(encode(seal(ENVELOPE))), published)


@pytest.mark.parametrize(
    ("contract", "expected"), [("1.0", True), ("1.7", True), ("2.0", False), ("", False)]
)
def test_only_the_same_major_version_is_trusted(contract: str, expected: bool) -> None:
    assert is_compatible(contract) is expected
