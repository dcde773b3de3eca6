"""Modules of two minor versions side by side: what a reader makes of fields it does not know."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Refusal, Rollback, SlotRef, Trial
from taktgate.contracts.codec import ContractError, decode, encode, parse
from taktgate.contracts.hold import Hold
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.pulse import JudgePulse
from taktgate.contracts.runtime import RuntimeFacts
from taktgate.contracts.schemas import DOCUMENTS
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import (
    InspectionPhase,
    InspectionReported,
    Progress,
    RegistryTrust,
    SlotsDisk,
    StagerReported,
    StagingPhase,
    TypedError,
    WriterReported,
)
from taktgate.contracts.verdict import (
    ClassScore,
    Reason,
    Verdict,
    VerdictEnvelope,
    open_envelope,
)

NEWER: Final = "1.99"
DIGEST: Final = "sha256:" + "0" * 64
MODEL: Final = ModelRef(name="weld", version="1.0.0", digest=DIGEST)
SLOT: Final = SlotRef(model=MODEL, order="o1", slot="slot-0")
ERROR: Final = TypedError(reason="DISK", message="full", order="o1")
ROLLBACK: Final = Rollback(
    digest=DIGEST, order="o1", reason="ESCAPE", figures={"parts": 1.0}, message="m", at=""
)
_PLACE: Final[dict[str, Any]] = {"contract": NEWER, "station": "VIS01"}
_REPORT: Final[dict[str, Any]] = {"contract": NEWER, "code": "1"}
VERDICT: Final = VerdictEnvelope(
    **_PLACE,
    kernel_boot_id="k",
    judge_start_id="j",
    plc_epoch=1,
    sequence=1,
    trigger_id=1,
    verdict=Verdict.PASS,
    reason=Reason.NONE,
    score=0.1,
    scores=(ClassScore(name="pore", score=0.1),),
    model=MODEL,
    trigger_ns=1,
    decided_ns=2,
    deadline_ns=3,
)
SAMPLES: Final = (
    Activation(
        contract=NEWER,
        generation=1,
        last_known_good=SLOT,
        trial=Trial(candidate=SLOT, attempts=1),
        blocked=(ROLLBACK,),
        refused=Refusal(digest=DIGEST, order="o1", reason="DIGEST", message="m"),
    ),
    Beat(
        **_PLACE,
        kernel_boot_id="k",
        judge_start_id="j",
        sequence=1,
        ready=True,
        reason="",
        model=MODEL,
        sent_ns=1,
    ),
    Hold(contract=NEWER, by="operator", reason="not now", at=""),
    InspectionReported(
        **_REPORT,
        phase=InspectionPhase.LIVE,
        live=MODEL,
        lastRollback=ROLLBACK,
        lastError=ERROR,
        guardrail={"parts": 1.0},
    ),
    JudgePulse(
        contract=NEWER,
        boot_id="k",
        at_ns=1,
        window_s=5.0,
        parts=1,
        late=0,
        slowest_ms=1.0,
        budget_ms=2.0,
    ),
    LineState(
        **_PLACE,
        kernel_boot_id="k",
        writer_start_id="w",
        plc_epoch=1,
        sequence=1,
        trigger_id=1,
        is_edge=True,
        deadline_ms=100,
        enable=True,
        observed_after_ns=1,
        observed_ns=2,
    ),
    Outcome(
        **_PLACE,
        plc_epoch=1,
        trigger_id=1,
        verdict=Verdict.PASS,
        reason=Reason.NONE,
        lane=Lane.LOCAL,
        result_sequence=1,
        written=True,
        trigger_to_ack_ms=1.0,
        score=0.1,
        model=MODEL,
        closed_ns=1,
    ),
    RuntimeFacts(contract=NEWER, ort="1.30.0", provider="CPU", fingerprint="f"),
    StagedModel(
        contract=NEWER,
        model=MODEL,
        order="o1",
        slot="slot-0",
        activation=ActivationPolicy.IMMEDIATE,
        renewed=1,
    ),
    StagerReported(
        **_REPORT,
        phase=StagingPhase.FETCHING,
        staged=MODEL,
        progress=Progress(fetchedBytes=1, totalBytes=2),
        registry=RegistryTrust(root=1, timestamp=1, expires=""),
        disk=SlotsDisk(slots=1, usedMb=1, quotaMb=2, freeMb=3),
        lastError=ERROR,
    ),
    VERDICT,
    WriterReported(
        **_REPORT,
        state="ready",
        error="",
        controller="c",
        realtime=True,
        rights={"memory": True},
        lanes=("local",),
    ),
)
OPEN: Final = (Activation, Hold, JudgePulse, RuntimeFacts)
"""Files of inference's: what it remembers is not lost over a field of whatever version."""
MAPS: Final = ("figures", "guardrail", "rights")
"""Objects that have no fields: whatever name is in them is theirs."""


def with_more(content: Any, name: str = "") -> Any:
    """Return the JSON *content* with one more field in it and in each object within."""
    if isinstance(content, list):
        return [with_more(each) for each in content]
    if not isinstance(content, dict) or name in MAPS:
        return content
    return {key: with_more(value, key) for key, value in content.items()} | {"more": [7]}


def wire(document: object, **changes: object) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(encode(document))
    return content | changes


def name_of(document: object) -> str:
    return type(document).__name__


def test_each_document_that_names_a_version_is_tried_here() -> None:
    versioned = {each for each in DOCUMENTS if "contract" in {field.name for field in fields(each)}}
    assert {type(each) for each in SAMPLES} == versioned


@pytest.mark.parametrize("document", SAMPLES, ids=name_of)
def test_fields_of_a_newer_minor_version_are_passed_over(document: object) -> None:
    content = with_more(wire(document))
    assert parse(type(document), content) == document
    assert decode(type(document), json.dumps(content)) == document


@pytest.mark.parametrize(
    "contract", [CONTRACT_VERSION, "1.0", "2.99", "1.99x", "1", "1." + "9" * 9]
)
@pytest.mark.parametrize("document", SAMPLES, ids=name_of)
def test_an_unknown_field_of_any_other_version_is_named(document: object, contract: str) -> None:
    content = wire(document, contract=contract, more=7)
    if isinstance(document, OPEN):
        assert parse(type(document), content) == replace(document, contract=contract)
        return
    with pytest.raises(ContractError) as caught:
        decode(type(document), json.dumps(content))
    assert caught.value.field == "more"


@pytest.mark.parametrize("document", SAMPLES, ids=name_of)
def test_a_newer_minor_version_excuses_no_broken_field(document: object) -> None:
    content = with_more(wire(document))
    first = next(key for key in content if key != "contract")
    broken: Mapping[str, object] = {**content, first: {"is": "broken"}}
    with pytest.raises(ContractError) as caught:
        parse(type(document), broken)
    assert caught.value.field.partition(".")[0] == first


def test_the_seal_of_a_newer_verdict_is_one_of_all_its_fields() -> None:
    content = wire(VERDICT, digest="", certainty=0.5)
    whole = json.dumps(content, separators=(",", ":")).encode()
    content["digest"] = hashlib.sha256(whole).hexdigest()
    with pytest.raises(ContractError, match="digest"):
        open_envelope(json.dumps(content).encode())


def test_a_newer_minor_version_excuses_no_verdict_without_its_score() -> None:
    content = wire(VERDICT, more=7) | {"score": None}
    with pytest.raises(ContractError, match="needs the model and the score"):
        parse(VerdictEnvelope, content)
