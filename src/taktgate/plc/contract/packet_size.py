"""How many verdicts one packet to the controller holds: a verdict is never split over two.

Sizes after 1756-PM020, "Multiple Service Packet" and "Write Tag Service", for symbolic paths.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from taktgate.plc.contract.records import BLANK_STATUS, ResultRecord
from taktgate.plc.contract.tags import RESULT_SLOTS, RESULT_TAG, CipType
from taktgate.plc.contract.wire import Profile, TagWrite
from taktgate.plc.errors import ConnectionTooSmallError

T = TypeVar("T")

_HEAD_BYTES: Final = 2 + 6 + 2
"""Sequence count, service and path of the packet, number of services."""
_OFFSET_BYTES: Final = 2
_SERVICE_BYTES: Final = 2
"""Service code and path length."""
_COUNT_BYTES: Final = 2
_ATOMIC_BYTES: Final = 2
_STRUCTURE_BYTES: Final = 4
"""Type field: a structure names its handle too."""
_SEGMENTS: Final = re.compile(r"[A-Za-z_]\w*|\[\d+\]")
_ELEMENT_BYTES: Final = 2
"""An index up to 255."""

_NEEDED: Final[dict[str, tuple[int, ...]]] = {}
"""By the name of the profile."""
_RECORD: Final = ResultRecord(
    sequence=1, trigger_id=0, decision=3, error_code=0, score=1.0, age_ms=0
)


def path_bytes(path: str) -> int:
    """Return the size of *path* as symbolic segments: names padded to an even length."""
    return sum(
        _ELEMENT_BYTES if segment.startswith("[") else 2 + len(segment) + len(segment) % 2
        for segment in _SEGMENTS.findall(path)
    )


def request_bytes(writes: tuple[TagWrite, ...]) -> int:
    """Return the size of one packet that carries *writes*, as a connection counts it."""
    return _HEAD_BYTES + sum(_OFFSET_BYTES + _write_bytes(write) for write in writes)


def _write_bytes(write: TagWrite) -> int:
    kind = _ATOMIC_BYTES if isinstance(write.type, CipType) else _STRUCTURE_BYTES
    return _SERVICE_BYTES + path_bytes(write.path) + kind + _COUNT_BYTES + len(write.data)


def verdict_bytes(profile: Profile, count: int = 1) -> int:
    """Return the size of the packet that carries *count* verdicts and the status."""
    return request_bytes(profile.writes([_RECORD] * count, BLANK_STATUS))


def verdicts_per_packet(profile: Profile, connection_bytes: int) -> int:
    """Return how many results, 1..8, fit beside the status into one packet of *profile*.

    Raises:
        ConnectionTooSmallError: not even one does.
    """
    needed = _needed_bytes(profile)
    fitting = sum(size <= connection_bytes for size in needed)
    if not fitting:
        raise ConnectionTooSmallError(
            RESULT_TAG.name,
            profile=profile.name,
            needed_bytes=needed[0],
            granted_bytes=connection_bytes,
        )
    return fitting


def _needed_bytes(profile: Profile) -> tuple[int, ...]:
    """Return what packets of 1, 2, ... 8 verdicts take: asked at each opening, always the same."""
    needed = _NEEDED.get(profile.name)
    if needed is None:
        counts = range(1, RESULT_SLOTS + 1)
        needed = _NEEDED[profile.name] = tuple(verdict_bytes(profile, count) for count in counts)
    return needed


def packets_of(results: Sequence[T], most: int) -> list[Sequence[T]]:
    """Return *results* in packets of at most *most*, in order; one empty packet for none."""
    if len(results) <= most:
        return [results]
    starts = range(0, len(results), most)
    return [results[start : start + most] for start in starts]
