"""The campaign that breaks the module at random: what it would find, and a short one of it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND, SECOND

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from chaos_campaign.campaign import run
from chaos_campaign.history import Blow, SentPart, findings

MODEL = ModelRef(name="tiny", version="1.0.0", digest="sha256:" + "a" * 64)
OTHER = replace(MODEL, digest="sha256:" + "b" * 64)
SCORES = {MODEL.digest: {20: 0.1, 200: 0.9}, OTHER.digest: {20: 0.2, 200: 0.8}}
T0 = 100 * SECOND


def envelope(
    verdict: Verdict = Verdict.PASS,
    *,
    score: float | None = 0.1,
    model: ModelRef = MODEL,
    after_ms: int = 20,
    judge: str = "judge-1",
) -> VerdictEnvelope:
    return VerdictEnvelope(
        contract=CONTRACT_VERSION,
        station="VIS01",
        kernel_boot_id="boot",
        judge_start_id=judge,
        plc_epoch=7,
        sequence=1,
        trigger_id=101,
        verdict=verdict,
        reason=Reason.NONE if score is not None else Reason.NOT_READY,
        score=score,
        model=model,
        trigger_ns=T0,
        decided_ns=T0 + after_ms * MILLISECOND,
        deadline_ns=T0 + 400 * MILLISECOND,
    )


def part(*envelopes: VerdictEnvelope, grey: int | None = 20) -> SentPart:
    return SentPart(
        trigger_id=101,
        sent_ns=T0,
        deadline_ns=T0 + 400 * MILLISECOND,
        grey=grey,
        is_defective=grey is not None and grey > 127,
        was_ready=True,
        envelopes=list(envelopes),
        heard_ns=[each.decided_ns for each in envelopes],
    )


NO_DECISION = envelope(Verdict.NO_DECISION, score=None)


@pytest.mark.parametrize(
    "good", [part(envelope()), part(NO_DECISION), part(NO_DECISION, grey=None)]
)
def test_a_verdict_of_its_own_frame_and_an_explicit_no_decision_are_no_findings(
    good: SentPart,
) -> None:
    assert findings([good], [], SCORES) == []


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (part(envelope(score=0.9), grey=200), "a defective part passed"),
        (part(envelope(after_ms=400)), "it passed after its deadline"),
        (part(envelope(), grey=None), "it passed without a frame"),
        (part(envelope(), envelope()), "two verdicts of one judge"),
        (
            part(envelope(), envelope(Verdict.NO_DECISION, score=None, judge="judge-2")),
            "two judges contradict each other",
        ),
        (part(envelope(model=OTHER)), "its score 0.1 is not of this frame and this model"),
        (part(envelope(score=0.15)), "its score 0.15 is not of this frame and this model"),
        (part(), "no verdict, and no fault that explains it"),
        (
            part(envelope(Verdict.NO_DECISION, score=None, after_ms=1000)),
            "600 ms after the deadline",
        ),
    ],
)
def test_what_must_never_become_of_a_part_is_found(bad: SentPart, what: str) -> None:
    assert any(what in each for each in findings([bad], [], SCORES))


@pytest.mark.parametrize(("silences", "found"), [(True, 0), (False, 1)])
def test_silence_is_explained_by_a_fault_of_the_judge_and_by_no_other(
    silences: bool, found: int
) -> None:
    at_ns = T0 - SECOND // 2
    blow = Blow(name="kill", at_ns=at_ns, until_ns=at_ns, silences=silences)

    assert len(findings([part()], [blow], SCORES)) == found


def test_silence_is_explained_until_the_judge_was_heard_of_again() -> None:
    blow = Blow(name="kill judge", at_ns=T0, until_ns=T0, silences=True)
    heard = replace(part(envelope()), sent_ns=T0 + SECOND)
    soon, late = (replace(part(), sent_ns=T0 + after_s * SECOND) for after_s in (2, 4))

    assert findings([heard, soon], [blow], SCORES) == []
    assert len(findings([heard, late], [blow], SCORES)) == 1


@pytest.mark.timeout(240)
def test_every_part_is_accounted_for_while_the_module_is_broken_at_random(tmp_path: Path) -> None:
    report = run(tmp_path / "station", seed=5, seconds=5, calm_s=90)

    assert report.findings == []
    assert sum(report.blows.values()) > 1
    assert report.fates.get("PASS", 0) > 0
