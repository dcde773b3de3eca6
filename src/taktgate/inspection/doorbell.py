"""What judge and runner say to each other over their SEQPACKET socket: small fixed messages.

The first byte is the kind. Jobs and answers are structs, because they are on a part's path; the
rest is a contract's JSON.
"""

import math
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

MAX_MESSAGE_BYTES: Final = 64 * 1024
JOB: Final = b"J"
ANSWER: Final = b"A"
ASSIGNMENT: Final = b"P"
READY: Final = b"R"
REFUSED: Final = b"X"

_JOB: Final = struct.Struct("<cxHIQII")
_ANSWER: Final = struct.Struct("<cBHIQqqd")
_DOUBLE_BYTES: Final = 8


class RunFault(IntEnum):
    """Why a run gave no scores."""

    NONE = 0
    RUN_FAILED = 1
    BAD_FRAME = 2
    NON_FINITE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Judge the frame in this slot."""

    job_id: int
    slot: int
    width: int
    height: int
    channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a job. The times are those of `session.run` alone."""

    job_id: int
    fault: RunFault
    score: float
    class_scores: tuple[float, ...]
    start_ns: int
    end_ns: int


class DoorbellError(ValueError):
    """A message is none of ours; the peer is not to be trusted any longer."""


def pack_job(job: Job) -> bytes:
    """Return the bytes of *job*."""
    return _JOB.pack(JOB, job.channels, job.slot, job.job_id, job.width, job.height)


def unpack_job(data: bytes) -> Job:
    """Return the job in *data*.

    Raises:
        DoorbellError: *data* is no job.
    """
    if len(data) != _JOB.size or data[:1] != JOB:
        raise DoorbellError(f"no job: {len(data)} bytes of kind {data[:1]!r}")
    _, channels, slot, job_id, width, height = _JOB.unpack(data)
    return Job(job_id=job_id, slot=slot, width=width, height=height, channels=channels)


def pack_answer(answer: Answer) -> bytes:
    """Return the bytes of *answer*."""
    count = len(answer.class_scores)
    head = _ANSWER.pack(
        ANSWER,
        answer.fault,
        count,
        0,
        answer.job_id,
        answer.start_ns,
        answer.end_ns,
        answer.score,
    )
    return head + struct.pack(f"<{count}d", *answer.class_scores)


def unpack_answer(data: bytes) -> Answer:
    """Return the answer in *data*.

    Raises:
        DoorbellError: *data* is no answer.
    """
    if len(data) < _ANSWER.size or data[:1] != ANSWER:
        raise DoorbellError(f"no answer: {len(data)} bytes of kind {data[:1]!r}")
    _, fault, count, _, job_id, start_ns, end_ns, score = _ANSWER.unpack_from(data)
    if len(data) != _ANSWER.size + count * _DOUBLE_BYTES or fault not in iter(RunFault):
        raise DoorbellError(f"an answer of {len(data)} bytes cannot hold {count} class scores")
    return Answer(
        job_id=job_id,
        fault=RunFault(fault),
        score=score,
        class_scores=struct.unpack_from(f"<{count}d", data, _ANSWER.size),
        start_ns=start_ns,
        end_ns=end_ns,
    )


def failed(job_id: int, fault: RunFault, *, start_ns: int, end_ns: int) -> Answer:
    """Return the answer to a job that gave no scores."""
    return Answer(
        job_id=job_id,
        fault=fault,
        score=math.nan,
        class_scores=(),
        start_ns=start_ns,
        end_ns=end_ns,
    )
