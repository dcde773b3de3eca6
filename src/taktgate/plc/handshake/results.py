"""A decided part as a result record."""

from typing import Final

from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import ResultRecord
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES
from taktgate.plc.handshake.parts import Decision, Part

MAX_DINT: Final = 2**31 - 1
_WORST_SCORE: Final = 1.0
"""Written where no score exists: unknown is never good."""


def next_sequence(last: int) -> int:
    """Return the result number after *last*: never 0, and within a positive DINT."""
    return last + 1 if 0 <= last < MAX_DINT else 1


def to_record(part: Part, decision: Decision, *, sequence: int, now_ns: int) -> ResultRecord:
    """Return the result of *part* as it is to be written at *now_ns*."""
    envelope = decision.envelope
    exposure_ns = None if envelope is None else envelope.exposure_ns
    age_ns = now_ns - (part.trigger_ns if exposure_ns is None else exposure_ns)
    defects = defect_bits(decision)
    return ResultRecord(
        sequence=sequence,
        trigger_id=part.trigger_id,
        decision=DECISIONS[decision.verdict],
        error_code=ERROR_CODES[decision.reason],
        score=_score(envelope),
        age_ms=min(max(age_ns // MILLISECOND, 0), MAX_DINT),
        model_rev=0 if envelope is None else model_revision(envelope.model),
        defect_code=defects,
        defect_count=int(defects != 0),
    )


def defect_bits(decision: Decision) -> int:
    """Return the bit of the class that decided a FAIL, as a DINT; 0 for everything else."""
    envelope = decision.envelope
    if decision.verdict is not Verdict.FAIL or envelope is None or envelope.decided_by is None:
        return 0
    names = [score.name for score in envelope.scores]
    if envelope.decided_by not in names[:32]:
        return 0
    bits = 1 << names.index(envelope.decided_by)
    return bits if bits <= MAX_DINT else bits - 2**32


def model_revision(model: ModelRef | None) -> int:
    """Return the first 31 bits of the digest of *model*; 0 for none."""
    if model is None:
        return 0
    return int(model.digest.removeprefix("sha256:")[:8], 16) >> 1


def _score(envelope: VerdictEnvelope | None) -> float:
    if envelope is None or envelope.score is None:
        return _WORST_SCORE
    return min(max(envelope.score, 0.0), _WORST_SCORE)
