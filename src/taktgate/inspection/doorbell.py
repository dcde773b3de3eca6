"""What judge and runner say to each other over their SEQPACKET socket: small fixed messages.

The first byte is the kind. Jobs and answers are structs, because they are on a part's path; the
rest is a contract's JSON.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.inspection.gate.facts import ImageFacts

MAX_MESSAGE_BYTES: Final = 64 * 1024
JOB: Final = b"J"
ANSWER: Final = b"A"
ASSIGNMENT: Final = b"P"
READY: Final = b"R"
REFUSED: Final = b"X"

_JOB: Final = struct.Struct("<cxHIQIIq")
_ANSWER: Final = struct.Struct("<cBHI?7xQqqqqd")
_FACTS: Final = struct.Struct("<5dQ")
_DOUBLE_BYTES: Final = 8


class RunFault(IntEnum):
    """Why a run gave no scores."""

    NONE = 0
    RUN_FAILED = 1
    BAD_FRAME = 2
    NON_FINITE = 3
    TERMINATED = 4
    """Ended by the runner itself, since its part's time was up."""
    IMAGE_DARK = 5
    """This and the next three: the image gate turned the frame down, nothing was inferred."""
    IMAGE_SATURATED = 6
    IMAGE_EXPOSURE = 7
    IMAGE_BLURRED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Judge the frame in this slot."""

    job_id: int
    slot: int
    width: int
    height: int
    channels: int
    decide_by_ns: int
    """An answer after this is of no use: the runner ends a run that goes on until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a job. `start_ns` to `end_ns` is `session.run` alone."""

    job_id: int
    fault: RunFault
    score: float
    class_scores: tuple[float, ...]
    arrived_ns: int
    """When the runner took the job up."""
    gated_ns: int
    """When the image was measured; from here to `start_ns` it became the model's input."""
    start_ns: int
    end_ns: int
    facts: ImageFacts | None
    """None when the frame could not be read as an image."""


class DoorbellError(ValueError):
    """A message is none of ours; the peer is not to be trusted any longer."""


def pack_job(job: Job) -> bytes:
    """Return the bytes of *job*."""
    return _JOB.pack(
        JOB, job.channels, job.slot, job.job_id, job.width, job.height, job.decide_by_ns
    )


def unpack_job(data: bytes) -> Job:
    """Return the job in *data*.

    Raises:
        DoorbellError: *data* is no job.
    """
    if len(data) != _JOB.size or data[:1] != JOB:
        raise DoorbellError(f"no job: {len(data)} bytes of kind {data[:1]!r}")
    _, channels, slot, job_id, width, height, decide_by_ns = _JOB.unpack(data)
    return Job(
        job_id=job_id,
        slot=slot,
        width=width,
        height=height,
        channels=channels,
        decide_by_ns=decide_by_ns,
    )


def pack_answer(answer: Answer) -> bytes:
    """Return the bytes of *answer*."""
    count, facts = len(answer.class_scores), answer.facts
    head = _ANSWER.pack(
        ANSWER,
        answer.fault,
        count,
        0,
        facts is not None,
        answer.job_id,
        answer.arrived_ns,
        answer.gated_ns,
        answer.start_ns,
        answer.end_ns,
        answer.score,
    )
    return head + _pack_facts(facts) + struct.pack(f"<{count}d", *answer.class_scores)


def unpack_answer(data: bytes) -> Answer:
    """Return the answer in *data*.

    Raises:
        DoorbellError: *data* is no answer.
    """
    if len(data) < _ANSWER.size or data[:1] != ANSWER:
        raise DoorbellError(f"no answer: {len(data)} bytes of kind {data[:1]!r}")
    head = _ANSWER.unpack_from(data)
    _, fault, count, _, has_facts, job_id, arrived_ns, gated_ns, start_ns, end_ns, score = head
    scores_at = _ANSWER.size + (_FACTS.size if has_facts else 0)
    if len(data) != scores_at + count * _DOUBLE_BYTES or fault not in iter(RunFault):
        raise DoorbellError(f"an answer of {len(data)} bytes cannot hold {count} class scores")
    return Answer(
        job_id=job_id,
        fault=RunFault(fault),
        score=score,
        class_scores=struct.unpack_from(f"<{count}d", data, scores_at),
        arrived_ns=arrived_ns,
        gated_ns=gated_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        facts=_unpack_facts(data) if has_facts else None,
    )


def _pack_facts(facts: ImageFacts | None) -> bytes:
    if facts is None:
        return b""
    return _FACTS.pack(
        facts.mean,
        facts.contrast,
        facts.sharpness,
        facts.dark_share,
        facts.saturated_share,
        facts.fingerprint,
    )


def _unpack_facts(data: bytes) -> ImageFacts:
    values = _FACTS.unpack_from(data, _ANSWER.size)
    mean, contrast, sharpness, dark_share, saturated_share, fingerprint = values
    return ImageFacts(
        mean=mean,
        contrast=contrast,
        sharpness=sharpness,
        dark_share=dark_share,
        saturated_share=saturated_share,
        fingerprint=fingerprint,
    )


def failed(
    job_id: int, fault: RunFault, *, start_ns: int, end_ns: int, facts: ImageFacts | None = None
) -> Answer:
    """Return the answer to a job that gave no scores; its run, if any, lasted from start to end."""
    return Answer(
        job_id=job_id,
        fault=fault,
        score=math.nan,
        class_scores=(),
        arrived_ns=start_ns,
        gated_ns=start_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        facts=facts,
    )
