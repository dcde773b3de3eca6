"""The queue of one endpoint and priority: its head in memory, the rest on disk."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from taktgate.standin.azure.edgehub.message import StoredMessage

HEAD_MESSAGES = 256
"""The most messages of a queue that are in memory before they are read."""
TTL_EXPIRY = "ttl_expiry"


class Shelf(Protocol):
    """The store behind the queues."""

    def now_s(self) -> float:
        """Return the world's date in seconds, as the stamps in the store count it."""

    def rows_after(self, queue_id: int, priority: int, seq: int) -> list[StoredMessage]:
        """Return the next `HEAD_MESSAGES` of a queue from the disk."""

    def forget(self, stored: StoredMessage) -> None:
        """Delete a message with the next commit."""

    def drop(self, reason: str, stored: StoredMessage) -> None:
        """Delete a message that is not to be delivered, and count it."""


class MessageQueue:
    """The messages of one endpoint and priority, oldest first."""

    def __init__(
        self, shelf: Shelf, *, queue_id: int, endpoint: str, priority: int, length: int
    ) -> None:
        self._shelf = shelf
        self.queue_id = queue_id
        self.endpoint = endpoint
        self.priority = priority
        self._head: deque[StoredMessage] = deque()
        self._behind = length
        self._last_in_memory = 0
        self._in_hand: dict[int, StoredMessage] = {}
        self.on_arrival: Callable[[], None] = lambda: None
        """Called when a message was stored."""

    def __len__(self) -> int:
        """Return how many messages are not delivered yet, those in hand included."""
        return len(self._head) + self._behind + len(self._in_hand)

    @property
    def in_hand(self) -> Mapping[int, StoredMessage]:
        """The messages that were read and neither delivered nor given up yet, by `seq`."""
        return self._in_hand

    def read(self, limit: int) -> list[StoredMessage]:
        """Return up to *limit* of the next messages and have them in hand.

        The one place where a delivery asks for the time to live: what was read in time is delivered
        however long that takes (Azure/iotedge Edge.Hub.Core/storage/MessageStore.cs, GetNext).
        """
        now_s = self._shelf.now_s()
        taken: list[StoredMessage] = []
        while len(taken) < limit and (stored := self._pop()) is not None:
            if stored.is_expired(now_s):
                self._shelf.drop(TTL_EXPIRY, stored)
                continue
            self._in_hand[stored.seq] = stored
            taken.append(stored)
        return taken

    def forget(self, stored: StoredMessage) -> None:
        """Delete a message in hand that was delivered, or never can be."""
        if self._in_hand.pop(stored.seq, None) is not None:
            self._shelf.forget(stored)

    def arrived(self, stored: StoredMessage) -> None:
        """Append a message that the store has committed."""
        if self._behind or len(self._head) >= HEAD_MESSAGES:
            self._behind += 1
        else:
            self._head.append(stored)
            self._last_in_memory = stored.seq
        self.on_arrival()

    def drop_expired_head(self) -> None:
        """Delete what has expired, from the head up to the first that lives."""
        now_s = self._shelf.now_s()
        while (stored := self._peek()) is not None and stored.is_expired(now_s):
            self._pop()
            self._shelf.drop(TTL_EXPIRY, stored)

    def evicted(self, seqs: set[int]) -> None:
        """Take note that the store has deleted messages that were not in hand."""
        kept = deque(each for each in self._head if each.seq not in seqs)
        self._behind -= len(seqs) - (len(self._head) - len(kept))
        self._head = kept

    def put_back(self) -> None:
        """Return what is in hand to the head: nobody delivers from this queue any more."""
        self._head.extendleft(reversed(self._in_hand.values()))
        self._in_hand.clear()

    def emptied(self) -> None:
        """Take note that the store has deleted everything."""
        self._head.clear()
        self._in_hand.clear()
        self._behind = 0

    def _pop(self) -> StoredMessage | None:
        return self._head.popleft() if self._peek() is not None else None

    def _peek(self) -> StoredMessage | None:
        if not self._head and self._behind:
            rows = self._shelf.rows_after(self.queue_id, self.priority, self._last_in_memory)
            self._head = deque(rows)
            self._behind -= len(rows)
            self._last_in_memory = rows[-1].seq
        return self._head[0] if self._head else None
