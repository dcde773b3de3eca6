"""Verdicts of a model, built for the guardrails' tests."""

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Baseline
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.image_facts import ImageFacts

MODEL = ModelRef(name="weld", version="1.1.0", digest="sha256:" + "b" * 64)
DEADLINE_MS = 200
JUDGED = frozenset({Verdict.PASS, Verdict.FAIL})


def verdict(
    word: Verdict = Verdict.PASS,
    reason: Reason = Reason.NONE,
    *,
    took_ms: float = 20.0,
    score: float = 0.1,
    has_frame: bool = True,
) -> VerdictEnvelope:
    """Return a verdict that came *took_ms* after its frame, the frame 10 ms after its trigger."""
    return VerdictEnvelope(
        contract=CONTRACT_VERSION,
        station="s",
        kernel_boot_id="k",
        judge_start_id="j",
        plc_epoch=1,
        sequence=1,
        trigger_id=1,
        verdict=word,
        reason=reason,
        score=score if word in JUDGED or reason is Reason.UNCERTAIN else None,
        model=MODEL,
        trigger_ns=0,
        received_ns=10 * MILLISECOND if has_frame else None,
        decided_ns=round((10 + took_ms) * MILLISECOND),
        deadline_ns=DEADLINE_MS * MILLISECOND,
    )


PASS = verdict()
FAIL = verdict(Verdict.FAIL, score=0.9)
SLOW = verdict(took_ms=120.0)
SILENT = verdict(Verdict.NO_DECISION, Reason.TIMEOUT, took_ms=140.0)
NO_FRAME = verdict(Verdict.NO_DECISION, Reason.NO_FRAME, has_frame=False)


def station(rate: float, *, parts: int = 2000, slow: int = 0, failures: int = 0) -> Baseline:
    """Return the baseline of a station whose last model rejected *rate* of its parts."""
    return Baseline(parts=parts, rejects=round(parts * rate), over_budget=slow, failures=failures)


def image(
    *, mean: float = 120.0, contrast: float = 40.0, sharpness: float = 300.0, fingerprint: int = 1
) -> ImageFacts:
    """Return the facts of an image."""
    return ImageFacts(
        mean=mean,
        contrast=contrast,
        sharpness=sharpness,
        dark_share=0.0,
        saturated_share=0.0,
        fingerprint=fingerprint,
    )
