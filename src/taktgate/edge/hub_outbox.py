"""The outbox of a hub client: bounded, with a time to live for each message."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """A message on its way to edgeHub."""

    output: str
    payload: bytes
    properties: Mapping[str, str]
    expires_at_s: float


class Outbox:
    """First in, first out. A full outbox drops what has expired, then refuses the newest."""

    def __init__(self, capacity: int, now: Callable[[], float]) -> None:
        self._capacity = capacity
        self._now = now
        self._messages: deque[OutgoingMessage] = deque()
        self._lock = threading.Lock()
        self.dropped_expired = 0
        self.refused_full = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(
        self, output: str, payload: bytes, properties: Mapping[str, str], *, ttl_s: float
    ) -> bool:
        """Queue a message; return False when the outbox is full (counted)."""
        message = OutgoingMessage(
            output=output,
            payload=payload,
            properties=properties,
            expires_at_s=self._now() + ttl_s,
        )
        with self._lock:
            if len(self._messages) >= self._capacity:
                self._drop_expired()
            if len(self._messages) >= self._capacity:
                self.refused_full += 1
                return False
            self._messages.append(message)
            return True

    def put_back(self, message: OutgoingMessage) -> None:
        """Return a message that was taken but not confirmed to the head of the queue."""
        with self._lock:
            self._messages.appendleft(message)

    def take(self) -> OutgoingMessage | None:
        """Return the oldest message that has not expired, or None."""
        with self._lock:
            while self._messages:
                message = self._messages.popleft()
                if message.expires_at_s > self._now():
                    return message
                self.dropped_expired += 1
        return None

    def _drop_expired(self) -> None:
        now_s = self._now()
        kept = deque(each for each in self._messages if each.expires_at_s > now_s)
        self.dropped_expired += len(self._messages) - len(kept)
        self._messages = kept
