"""What clients wrote: for the audit, and for a test that asks how a client goes about it."""

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

_KEPT_NS: Final = 90_000_000_000
"""Longer than any part is on the line: its judge looks at the writes of all that time."""
_MOST_WRITES: Final = 32_768
"""Per element, whatever the clients do: room for 360 a second."""
_MOST_CLIENTS: Final = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedWrite:
    """What one write of a client did to one element of a tag."""

    at_ns: int
    content: bytes
    """The whole element afterwards."""
    previous: bytes = b""
    """The whole element before."""
    tag: str = ""
    element: int = 0
    offset: int = 0
    """Of the first byte written, within the element."""
    length: int = 0
    """Bytes written."""
    client: str = ""
    """`host:port` of who wrote."""
    request: int = 0
    """Number of the client's request; writes that came in one request share it."""
    order: int = 0
    """Place of the service within its request, from 0."""
    number: int = 0
    """Of the write among all, +1 each."""


class Origin(NamedTuple):
    """Where a write comes from: the client, its request, and the service within that."""

    client: str = ""
    request: int = 0
    order: int = 0


class WriteLog:
    """The writes of 90 s per element, at most 32,768, and how many requests each client sent."""

    def __init__(self) -> None:
        self._writes: dict[tuple[str, int], deque[LoggedWrite]] = {}
        self._requests: dict[str, int] = {}
        self._count = 0
        self.origin = Origin()
        """Of what is being executed."""

    @property
    def requests(self) -> Mapping[str, int]:
        """Return how many CIP requests the last 1,024 clients sent, refused ones included."""
        return MappingProxyType(self._requests)

    def begin_request(self, client: str) -> None:
        """Note that *client* sent a request that will now be executed."""
        requests = self._requests
        if client not in requests and len(requests) >= _MOST_CLIENTS:
            del requests[next(iter(requests))]
        requests[client] = number = requests.get(client, 0) + 1
        self.origin = Origin(client, number)

    def begin_service(self, order: int) -> None:
        """Note that the service at place *order* of the request will now be executed."""
        self.origin = Origin(self.origin.client, self.origin.request, order)

    def add(self, write: LoggedWrite) -> None:
        """Keep *write*, forget what is too old."""
        writes = self._writes.get((write.tag, write.element))
        if writes is None:
            writes = self._writes[write.tag, write.element] = deque(maxlen=_MOST_WRITES)
        writes.append(write)
        while writes[0].at_ns < write.at_ns - _KEPT_NS:
            writes.popleft()

    def next_number(self) -> int:
        """Return the number of the next write."""
        self._count += 1
        return self._count

    def of_element(self, tag: str, element: int, since_ns: int) -> tuple[LoggedWrite, ...]:
        """Return the writes to one element, oldest first.

        The write that stood at *since_ns* is the first.
        """
        recent: list[LoggedWrite] = []
        for write in reversed(self._writes.get((tag, element), ())):
            recent.append(write)
            if write.at_ns < since_ns:
                break
        return tuple(reversed(recent))

    def newest(self, count: int) -> tuple[LoggedWrite, ...]:
        """Return the last *count* writes to any tag, oldest first."""
        tails = (_tail(writes, count) for writes in self._writes.values())
        merged = heapq.merge(*tails, key=lambda write: write.number)
        return tuple(deque(merged, maxlen=count))


def _tail(writes: deque[LoggedWrite], count: int) -> list[LoggedWrite]:
    start = max(0, len(writes) - count)
    return [writes[index] for index in range(start, len(writes))]
