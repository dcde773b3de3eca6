"""What two models made of one frame; the judge tells the agent, in a datagram `pair`. Pure."""

from dataclasses import dataclass

from taktgate.contracts.codec import STRICT_DOCUMENT, Digest, Finite, Name, Nanoseconds
from taktgate.contracts.verdict import ClassScore, Reason, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What one model made of a frame."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    verdict: Verdict
    reason: Reason
    score: Finite | None
    scores: tuple[ClassScore, ...]
    decided_by: Name | None
    run_ns: Nanoseconds
    """`session.run` alone; 0 when there was no run that ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowPair:
    """One frame, two opinions: the verdict that counted, and the one that never left the judge."""

    __pydantic_config__ = STRICT_DOCUMENT

    judge_start_id: str
    trigger_id: int
    live: Opinion
    shadow: Opinion
