"""What a set of latencies proves: "p99.9 <= x ms with 99 % confidence, n, late".

A percentile of a sample is a guess; this is a bound that holds. It is an order statistic chosen by
the exact binomial distribution: whatever the distribution of latencies, the true quantile lies
above the bound with a probability of at most 1 - confidence. It rests on one assumption: samples
are independent draws of one condition. A disturbance that lasts for many parts makes them fewer
than they look, so a run must be long against its disturbances. With too few samples nothing is
stated: too little data is no success.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


class TooFewSamplesError(ValueError):
    """There are too few samples for any statement; *needed* says how many it takes."""

    def __init__(self, needed: int, got: int) -> None:
        super().__init__(f"needs at least {needed} samples, got {got}")
        self.needed, self.got = needed, got


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyStatement:
    """A bound on a quantile, and how many parts were late.

    Attributes:
        quantile: The share of parts that the bound is about, for example 0.999.
        confidence: For example 0.99.
        bound_ms: The quantile is at most this; infinite where too many parts had no answer.
        n: All parts, those without an answer included.
        late: Parts over *limit_ms* or without an answer.
        late_share_at_most: Exact upper bound of the share of late parts, at the same confidence.
    """

    quantile: float
    confidence: float
    bound_ms: float
    limit_ms: float
    n: int
    late: int
    late_share_at_most: float

    @property
    def is_kept(self) -> bool:
        """Tell whether the quantile is proven to be within the limit."""
        return self.bound_ms <= self.limit_ms

    def __str__(self) -> str:
        return (
            f"p{100 * self.quantile:g} <= {self.bound_ms:.3f} ms with"
            f" {100 * self.confidence:g} % confidence, n {self.n}, late {self.late}"
            f" (over {self.limit_ms:g} ms; at most {100 * self.late_share_at_most:.2g} % of all)"
        )


def state(
    samples_ms: Sequence[float],
    *,
    limit_ms: float,
    quantile: float = 0.999,
    confidence: float = 0.99,
    unanswered: int = 0,
) -> LatencyStatement:
    """Return what *samples_ms* and *unanswered* parts (longer than any sample) prove.

    Raises:
        TooFewSamplesError: Even the longest sample would be no bound.
        ValueError: A sample is no finite time, or quantile or confidence is not within 0..1.
    """
    _require(samples_ms, quantile, confidence, unanswered)
    n = len(samples_ms) + unanswered
    above = _samples_above(n, 1.0 - quantile, confidence)
    if above is None:
        raise TooFewSamplesError(samples_needed(quantile, confidence), n)
    ranked = sorted(samples_ms)
    rank = n - above
    late = unanswered + sum(sample > limit_ms for sample in samples_ms)
    return LatencyStatement(
        quantile=quantile,
        confidence=confidence,
        bound_ms=ranked[rank - 1] if rank <= len(ranked) else math.inf,
        limit_ms=limit_ms,
        n=n,
        late=late,
        late_share_at_most=share_at_most(late, n, confidence),
    )


def samples_needed(quantile: float, confidence: float) -> int:
    """Return how many samples the smallest statement takes: the longest of them is its bound."""
    return math.ceil(math.log(1.0 - confidence) / math.log(quantile))


def share_at_most(count: int, n: int, confidence: float) -> float:
    """Return the exact one-sided upper bound of a share of which *count* in *n* were seen."""
    if count >= n:
        return 1.0
    low, high = count / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        is_too_likely = _at_most(count, n, middle) > 1.0 - confidence
        low, high = (middle, high) if is_too_likely else (low, middle)
    return high


def _samples_above(n: int, share: float, confidence: float) -> int | None:
    """Return how many of *n* samples may lie above the bound, None if not even none may.

    The largest m with P(Binomial(n, share) <= m) <= 1 - confidence.
    """
    likelihood, above = 0.0, None
    for count in range(n):
        likelihood += math.exp(_log_likelihood(count, n, share))
        if likelihood > 1.0 - confidence:
            return above
        above = count
    return above


def _at_most(count: int, n: int, share: float) -> float:
    return math.fsum(math.exp(_log_likelihood(each, n, share)) for each in range(count + 1))


def _log_likelihood(count: int, n: int, share: float) -> float:
    ways = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
    if share >= 1.0:
        return -math.inf if count < n else 0.0
    return ways + count * math.log(share) + (n - count) * math.log1p(-share)


def _require(
    samples_ms: Sequence[float], quantile: float, confidence: float, unanswered: int
) -> None:
    if not 0.0 < quantile < 1.0 or not 0.0 < confidence < 1.0:
        raise ValueError(
            f"quantile and confidence must be within 0..1, got {quantile} and {confidence}"
        )
    if unanswered < 0:
        raise ValueError(f"unanswered must be at least 0, got {unanswered}")
    if not all(math.isfinite(sample) for sample in samples_ms):
        raise ValueError("a sample must be a finite time; count parts without one as unanswered")
