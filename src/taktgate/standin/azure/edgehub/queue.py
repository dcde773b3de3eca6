"""edgeHub's store: one queue for each endpoint, by priority, each message with a time to live."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedMessage:
    """A message as edgeHub stores it; *system* has the wire names (`$.mid`)."""

    source: str
    payload: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    facts: MessageFacts = field(default_factory=MessageFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage:
    """A message in the queue of one endpoint."""

    message: RoutedMessage
    input: str
    priority: int
    order: int
    expires_at_s: float | None


class MessageQueue:
    """Holds messages best priority first, in order within a priority.

    A full queue drops what has expired, then refuses the new message. The time to live is stamped
    when a message is stored and checked only when it is read, as edgeHub does.
    """

    def __init__(self, capacity: int, now: Callable[[], float]) -> None:
        self._capacity = capacity
        self._now = now
        self._heap: list[tuple[int, int, StoredMessage]] = []
        self._order = 0
        self.expired = 0
        self.refused = 0

    def __len__(self) -> int:
        return len(self._heap)

    def put(
        self, message: RoutedMessage, *, input_name: str, priority: int, ttl_s: float | None
    ) -> bool:
        """Store *message*; return False when the queue is full (counted as refused)."""
        if len(self._heap) >= self._capacity:
            self._drop_expired()
        if len(self._heap) >= self._capacity:
            self.refused += 1
            return False
        self._order += 1
        expires_at_s = None if ttl_s is None else self._now() + ttl_s
        self.put_back(
            StoredMessage(
                message=message,
                input=input_name,
                priority=priority,
                order=self._order,
                expires_at_s=expires_at_s,
            )
        )
        return True

    def put_back(self, stored: StoredMessage) -> None:
        """Return a message that was read but not acknowledged to its old place."""
        heapq.heappush(self._heap, (stored.priority, stored.order, stored))

    def take(self) -> StoredMessage | None:
        """Return the next message that has not expired, or None."""
        while self._heap:
            stored = heapq.heappop(self._heap)[2]
            if not self._is_expired(stored):
                return stored
            self.expired += 1
        return None

    def _drop_expired(self) -> None:
        kept = [item for item in self._heap if not self._is_expired(item[2])]
        self.expired += len(self._heap) - len(kept)
        heapq.heapify(kept)
        self._heap = kept

    def _is_expired(self, stored: StoredMessage) -> bool:
        return stored.expires_at_s is not None and stored.expires_at_s <= self._now()
