"""Verdict envelopes of the model: built by the real class, known again by their digest."""

from functools import lru_cache
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.standin.handshake_model.facts import STEP_NS, Flaw, Sheet
from taktgate.standin.judge import MODEL, STATION

_SKEW_STEPS: Final = 2
"""How far the clock of a judge out of order is off."""


@lru_cache(maxsize=100_000)
def envelope_of(sheet: Sheet) -> VerdictEnvelope:
    """Return *sheet* as it travels. The digest is a name here, not a hash: it must only differ."""
    decided_ns = decided(sheet) * STEP_NS
    trigger_ns = sheet.triggered * STEP_NS
    is_proven = sheet.flaw != Flaw.PROOFLESS
    verdict = Verdict.PASS if sheet.is_pass else Verdict.FAIL
    is_late = sheet.flaw == Flaw.OVERREACH
    return VerdictEnvelope(
        contract="9.0" if sheet.flaw == Flaw.CONTRACT else CONTRACT_VERSION,
        station=STATION,
        kernel_boot_id=str(sheet.boot),
        judge_start_id=str(sheet.start),
        plc_epoch=sheet.epoch,
        sequence=sheet.number,
        trigger_id=sheet.trigger_id,
        verdict=Verdict.LATE if is_late else verdict,
        reason=Reason.EXPIRED if is_late else Reason.NONE,
        score=0.5,
        model=MODEL,
        trigger_ns=trigger_ns,
        exposure_ns=trigger_ns if is_proven else None,
        received_ns=decided_ns,
        inference_start_ns=decided_ns,
        inference_end_ns=decided_ns,
        decided_ns=decided_ns,
        deadline_ns=sheet.deadline * STEP_NS,
        digest=f"{sheet.boot}.{sheet.start}.{sheet.number}",
    )


def decided(sheet: Sheet) -> int:
    """Return the time that the envelope says it was decided at, in steps."""
    if sheet.flaw == Flaw.FUTURE:
        return sheet.decided + _SKEW_STEPS
    if sheet.flaw == Flaw.EARLY:
        return sheet.triggered - _SKEW_STEPS
    return sheet.decided
