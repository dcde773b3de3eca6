"""What a judge says to the writer, for all that stand in for one: a beat, a PASS for a part."""

from dataclasses import replace
from typing import Any, Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND

STATION: Final = "VIS01"
JUDGE_START: Final = "judge"
MODEL: Final = ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + "ff" * 32)


def beat(
    *, kernel_boot_id: str, sequence: int, sent_ns: int, judge_start_id: str = JUDGE_START
) -> Beat:
    """Return a sign of life of a judge that is ready."""
    return Beat(
        contract=CONTRACT_VERSION,
        station=STATION,
        kernel_boot_id=kernel_boot_id,
        judge_start_id=judge_start_id,
        sequence=sequence,
        ready=True,
        reason="",
        model=MODEL,
        sent_ns=sent_ns,
    )


def passed(line: LineState, *, sequence: int, decided_ns: int, **changes: Any) -> VerdictEnvelope:
    """Return a sealed PASS for the part whose edge *line* tells of, with *changes* to it."""
    envelope = VerdictEnvelope(
        contract=CONTRACT_VERSION,
        station=line.station,
        kernel_boot_id=line.kernel_boot_id,
        judge_start_id=JUDGE_START,
        plc_epoch=line.plc_epoch,
        sequence=sequence,
        trigger_id=line.trigger_id,
        verdict=Verdict.PASS,
        reason=Reason.NONE,
        score=0.25,
        model=MODEL,
        trigger_ns=line.observed_after_ns,
        exposure_ns=line.observed_after_ns,
        received_ns=line.observed_ns,
        inference_start_ns=line.observed_ns,
        inference_end_ns=decided_ns,
        decided_ns=decided_ns,
        deadline_ns=line.observed_after_ns + line.deadline_ms * MILLISECOND,
    )
    return seal(replace(envelope, **changes))
