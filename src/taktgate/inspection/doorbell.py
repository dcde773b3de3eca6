"""What judge and runner say to each other over their SEQPACKET socket: small fixed messages.

The first byte is the kind. Jobs and answers are structs, because they are on a part's path; the
rest is a contract's JSON.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from taktgate.inspection.image_facts import ImageFacts

MAX_MESSAGE_BYTES: Final = 64 * 1024
JOB: Final = b"J"
ANSWER: Final = b"A"
ASSIGNMENT: Final = b"P"
READY: Final = b"R"
REFUSED: Final = b"X"
AT_IDLE_PRIORITY: Final = "idle"
"""Argument of a runner that is to step back before it imports, loads and probes."""
PROBE: Final = b"G"
"""Judge to runner: there is a gap, make one run of the probe."""
PROBED: Final = b"D"
"""Runner to judge: loaded and warm, and this many runs of the probe are still to be made."""

_JOB: Final = struct.Struct("<c?HIQIIq")
_ANSWER: Final = struct.Struct("<cBHI?7xQqqqqd")
_FACTS: Final = struct.Struct("<5dQ")
_PROBED: Final = struct.Struct("<cxH")
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
    is_shadow: bool = False
    """No part waits for it: the runner works on it at idle priority."""


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
        JOB,
        job.is_shadow,
        job.channels,
        job.slot,
        job.job_id,
        job.width,
        job.height,
        job.decide_by_ns,
    )


def unpack_job(data: bytes) -> Job:
    """Return the job in *data*.

    Raises:
        DoorbellError: *data* is no job.
    """
    if len(data) != _JOB.size or data[:1] != JOB:
        raise DoorbellError(f"no job: {len(data)} bytes of kind {data[:1]!r}")
    _, is_shadow, channels, slot, job_id, width, height, decide_by_ns = _JOB.unpack(data)
    return Job(
        job_id=job_id,
        slot=slot,
        width=width,
        height=height,
        channels=channels,
        decide_by_ns=decide_by_ns,
        is_shadow=is_shadow,
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


def pack_probed(runs_left: int) -> bytes:
    """Return the bytes that ask for the next of *runs_left* runs of the probe."""
    return _PROBED.pack(PROBED, runs_left)


def unpack_probed(data: bytes) -> int:
    """Return how many runs of the probe are still to be made, at least 1.

    Raises:
        DoorbellError: *data* says no such thing.
    """
    if len(data) != _PROBED.size or data[:1] != PROBED:
        raise DoorbellError(f"no probe: {len(data)} bytes of kind {data[:1]!r}")
    runs_left: int = _PROBED.unpack(data)[1]
    if runs_left == 0:
        raise DoorbellError("a probe without a run left is over: READY or REFUSED says so")
    return runs_left


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
    job_id: int,
    fault: RunFault,
    *,
    start_ns: int,
    end_ns: int,
    arrived_ns: int | None = None,
    gated_ns: int | None = None,
    facts: ImageFacts | None = None,
) -> Answer:
    """Return the answer to a job that gave no scores; its run, if any, lasted from start to end.

    What is not known of the steps before the run is said to be its start.
    """
    return Answer(
        job_id=job_id,
        fault=fault,
        score=math.nan,
        class_scores=(),
        arrived_ns=start_ns if arrived_ns is None else arrived_ns,
        gated_ns=start_ns if gated_ns is None else gated_ns,
        start_ns=start_ns,
        end_ns=end_ns,
        facts=facts,
    )
