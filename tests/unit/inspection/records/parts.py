"""Parts to be recorded."""

import hashlib

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.inspection.control import FrameNote, PartNote
from taktgate.inspection.records.join import KnownPart
from taktgate.inspection.records.record import LaneTimes, PartRecord

MODEL = ModelRef(name="weld", version="1.0.0", digest="sha256:" + "a" * 64)
WIDTH, HEIGHT = 8, 4
START_ID = "judge-1"


def envelope(sequence: int = 1, verdict: Verdict = Verdict.PASS) -> VerdictEnvelope:
    is_judged = verdict in (Verdict.PASS, Verdict.FAIL)
    return seal(
        VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="boot",
            judge_start_id=START_ID,
            plc_epoch=7,
            sequence=sequence,
            trigger_id=1000 + sequence,
            verdict=verdict,
            reason=Reason.NONE if is_judged else Reason.UNCERTAIN,
            score=0.5 if is_judged else None,
            model=MODEL,
            trigger_ns=10,
            received_ns=20,
            decided_ns=30,
            deadline_ns=200,
        )
    )


def frame(slot: int | None = 0) -> FrameNote:
    return FrameNote(frame_id=5, width=WIDTH, height=HEIGHT, channels=1, slot=slot)


def note(sequence: int = 1, slot: int | None = 0, start_id: str = START_ID) -> PartNote:
    return PartNote(
        judge_start_id=start_id, sequence=sequence, sent_ns=40 + sequence, frame=frame(slot)
    )


def known(sequence: int = 1, verdict: Verdict = Verdict.PASS) -> KnownPart:
    return KnownPart(
        envelope=envelope(sequence, verdict), edgehub_ns=50, note=note(sequence, slot=None)
    )


def record(sequence: int = 1) -> PartRecord:
    return PartRecord(
        record="1",
        at="2026-11-26T00:00:00.000+00:00",
        envelope=envelope(sequence),
        lanes=LaneTimes(local_ns=1, edgehub_ns=None),
        frame=None,
        image=None,
    )


def pixels_of(sequence: int) -> bytes:
    return hashlib.sha256(str(sequence).encode()).digest()[:1] * (WIDTH * HEIGHT)
