"""The answer for one part, as it travels from the judge to the PLC writer on either lane."""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import (
    STRICT_DOCUMENT,
    ContractError,
    Finite,
    Name,
    Nanoseconds,
    decode,
    encode,
)
from taktgate.contracts.model import ModelRef


class Verdict(StrEnum):
    """Only PASS lets a part through; every failure, doubt or silence is one of the others."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    NO_DECISION = "NO_DECISION"
    LATE = "LATE"


class Reason(StrEnum):
    """Why a part has no decision. PASS and FAIL carry NONE."""

    NONE = "NONE"
    TIMEOUT = "TIMEOUT"
    """The judge had no answer at the decision deadline."""
    NO_FRAME = "NO_FRAME"
    """The camera sent nothing for this part."""
    FRAME_MISMATCH = "FRAME_MISMATCH"
    """Frame and TriggerId could not be matched without doubt."""
    UNCERTAIN = "UNCERTAIN"
    """The score lies in the bundle's uncertain band."""
    NON_FINITE = "NON_FINITE"
    """The model answered NaN or infinity."""
    MODEL_ERROR = "MODEL_ERROR"
    """The run failed, or its process died."""
    NOT_READY = "NOT_READY"
    """No verified model is live, or the line is not enabled."""
    SKIPPED = "SKIPPED"
    """TriggerId jumped over this part."""
    RESTARTED = "RESTARTED"
    """The part was open when the writer started."""
    NO_VERDICT = "NO_VERDICT"
    """The judge stayed silent until the writer had to answer."""
    CONFLICT = "CONFLICT"
    """Two different verdicts arrived for one part."""
    CONTRACT = "CONTRACT"
    """The judge speaks another contract version."""
    EXPIRED = "EXPIRED"
    """The verdict could not be acknowledged in time (LATE)."""
    SILENT = "SILENT"
    """The PLC closed the part without a valid result."""
    OVERLOAD = "OVERLOAD"
    """More parts than the model can judge: this one gave way, by the stated rule."""
    IMAGE_DARK = "IMAGE_DARK"
    """Too large a share of the image is black: no light, shutter closed."""
    IMAGE_SATURATED = "IMAGE_SATURATED"
    """Too large a share of the image is white: over-exposed."""
    IMAGE_EXPOSURE = "IMAGE_EXPOSURE"
    """The mean brightness lies outside what was set at commissioning."""
    IMAGE_BLURRED = "IMAGE_BLURRED"
    """The image is less sharp than what was set at commissioning."""
    IMAGE_FROZEN = "IMAGE_FROZEN"
    """The camera repeats an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassScore:
    """The score of one defect class, 0 (sound) to 1 (defective)."""

    __pydantic_config__ = STRICT_DOCUMENT

    name: Name
    score: Finite


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictEnvelope:
    """One verdict, bound to its part, its place and its time.

    All `*_ns` fields are CLOCK_MONOTONIC of the host named by `kernel_boot_id`; on any other host,
    or after a reboot, they mean nothing and the writer discards the envelope.
    """

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    station: Name
    kernel_boot_id: str
    judge_start_id: str
    plc_epoch: int
    sequence: Annotated[int, Field(ge=1)]
    trigger_id: int
    verdict: Verdict
    reason: Reason
    score: Finite | None = None
    scores: tuple[ClassScore, ...] = ()
    decided_by: Name | None = None
    model: ModelRef | None = None
    trigger_ns: Nanoseconds
    exposure_ns: Nanoseconds | None = None
    received_ns: Nanoseconds | None = None
    inference_start_ns: Nanoseconds | None = None
    inference_end_ns: Nanoseconds | None = None
    decided_ns: Nanoseconds
    deadline_ns: Nanoseconds
    correlation_id: Annotated[str, Field(max_length=128)] = ""
    digest: str = ""

    def __post_init__(self) -> None:
        judged = self.verdict in (Verdict.PASS, Verdict.FAIL)
        if judged != (self.reason is Reason.NONE):
            raise ValueError(f"reason must be NONE exactly for PASS and FAIL, got {self.reason}")
        if judged and (self.model is None or self.score is None):
            raise ValueError(f"{self.verdict} needs the model and the score that decided it")


def seal(envelope: VerdictEnvelope) -> VerdictEnvelope:
    """Return *envelope* with the digest of its content, so that copies can be told from rivals."""
    return replace(envelope, digest=content_digest(envelope))


def content_digest(envelope: VerdictEnvelope) -> str:
    """Return the SHA-256 (hex) of everything in *envelope* but its digest."""
    bare = replace(envelope, digest="") if envelope.digest else envelope
    return hashlib.sha256(encode(bare)).hexdigest()


def open_envelope(payload: bytes) -> VerdictEnvelope:
    """Return the sealed envelope in *payload*.

    Raises:
        ContractError: *payload* breaks the contract, or its digest is not that of its content.
    """
    return expect_sealed(decode(VerdictEnvelope, payload))


def expect_sealed(envelope: VerdictEnvelope) -> VerdictEnvelope:
    """Return *envelope*, whose digest is that of its content.

    Raises:
        ContractError: it is not.
    """
    if envelope.digest != content_digest(envelope):
        raise ContractError("VerdictEnvelope", "digest", "does not match the content")
    return envelope
