"""From samples to figures, and from figures to a verdict on the line."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benches.hub_bench.cases import Block

P50_WITHIN_MS = 3.0
AT_LEAST_PER_S = 700.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One case: percentiles over the samples of all its blocks, rates by block."""

    case: str
    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    send_p50_ms: float | None
    block_p50_ms: tuple[float, float]
    """The lowest and the highest median of a block: how much the machine moved."""
    per_s: float | None
    """The median of the blocks' rates."""
    block_per_s: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A promise and whether it is kept."""

    case: str
    promise: str
    measured: float
    kept: bool


def percentile(samples: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: a value that was measured."""
    ranked = sorted(samples)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)]


def figures(case: str, blocks: Sequence[Block]) -> Figures:
    """Return the figures of a case."""
    samples = [sample for block in blocks for sample in block.latencies_ms]
    sends = [sample for block in blocks for sample in block.send_ms]
    medians = [percentile(block.latencies_ms, 50) for block in blocks]
    rates = [block.per_s for block in blocks if block.per_s is not None]
    return Figures(
        case=case,
        samples=len(samples),
        p50_ms=percentile(samples, 50),
        p99_ms=percentile(samples, 99),
        max_ms=max(samples),
        send_p50_ms=percentile(sends, 50) if sends else None,
        block_p50_ms=(min(medians), max(medians)),
        per_s=statistics.median(rates) if rates else None,
        block_per_s=(min(rates), max(rates)) if rates else None,
    )


def lines(measured: Mapping[str, Figures]) -> list[Line]:
    """Hold the small messages of both clients to the line."""
    found = []
    for name, each in measured.items():
        if "256 B" not in name:
            continue
        if each.per_s is None:
            promise, figure, kept = f"p50 <= {P50_WITHIN_MS} ms", each.p50_ms, each.p50_ms
            found.append(
                Line(case=name, promise=promise, measured=figure, kept=kept <= P50_WITHIN_MS)
            )
        else:
            promise = f">= {AT_LEAST_PER_S:.0f} messages/s"
            kept_rate = each.per_s >= AT_LEAST_PER_S
            found.append(Line(case=name, promise=promise, measured=each.per_s, kept=kept_rate))
    return found


def nagle_ratios(measured: Mapping[str, Figures]) -> dict[str, float]:
    """Return how many times longer each chain and method takes without TCP_NODELAY, by p50."""
    plain = {name: each for name, each in measured.items() if name.endswith(", plain")}
    others = {name: measured.get(name.replace("plain", "nodelay")) for name in plain}
    return {
        name.removesuffix(", plain"): each.p50_ms / other.p50_ms
        for name, each in plain.items()
        if (other := others[name]) is not None
    }
