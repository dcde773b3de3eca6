"""Exact chances of counts: what a share brings about, and how sure a comparison is. Pure."""

import math
from typing import Final

_EXACT: Final = 1e-15


def share_of(hits: int, parts: int, rate: float) -> float:
    """Return the chance of exactly *hits* among *parts* at *rate* (0 < rate < 1)."""
    ways = math.lgamma(parts + 1) - math.lgamma(hits + 1) - math.lgamma(parts - hits + 1)
    return math.exp(ways + hits * math.log(rate) + (parts - hits) * math.log1p(-rate))


def at_least(hits: int, parts: int, rate: float) -> float:
    """Return the chance of *hits* or more among *parts* at *rate*."""
    if hits <= parts * rate:
        return max(0.0, 1.0 - sum(share_of(k, parts, rate) for k in range(max(hits, 0))))
    return _falling_sum(hits, parts, rate)


def _falling_sum(hits: int, parts: int, rate: float) -> float:
    """Return the upper tail, summed from its largest term down: exact where it is tiny."""
    total = 0.0
    for k in range(hits, parts + 1):
        term = share_of(k, parts, rate)
        total += term
        if term < total * _EXACT:
            break
    return min(total, 1.0)


def hits_beyond(parts: int, rate: float, probability: float) -> int:
    """Return the fewest hits that *rate* brings about with at most *probability*.

    More than *parts* when even all of them are not that rare.
    """
    hits = int(parts * rate)
    while hits <= parts and at_least(hits, parts, rate) > probability:
        hits += 1
    return hits


def fisher_at_most(hits: int, parts: int, other_hits: int, other_parts: int) -> float:
    """Return the chance of *hits* or fewer among *parts* if both samples have the same share.

    Fisher's exact test, one-sided: it counts how little the other sample is known as well.
    """
    drawn, marked = parts, hits + other_hits
    ways = _log_choose(parts + other_parts, drawn)
    fewest = max(0, marked - other_parts)
    logs = (
        _log_choose(marked, k) + _log_choose(parts + other_parts - marked, drawn - k) - ways
        for k in range(fewest, hits + 1)
    )
    return min(1.0, sum(math.exp(each) for each in logs))


def mcnemar(one_way: int, other_way: int) -> float:
    """Return the two-sided p-value of paired disagreements: would a fair coin split them so?"""
    pairs = one_way + other_way
    if pairs == 0:
        return 1.0
    return min(1.0, 2.0 * at_least(max(one_way, other_way), pairs, 0.5))


def _log_choose(total: int, chosen: int) -> float:
    return math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)
