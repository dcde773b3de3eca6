"""Events of the hub client, which come from its thread, for an agent that waits in `select`."""

import os
import threading
from collections import deque
from typing import Final

from taktgate.edge.hub import HubEvent

CAPACITY: Final = 1000


class HubMailbox:
    """Bounded: when full, the oldest event is dropped and counted. Old messages are worth least."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._events: deque[HubEvent] = deque()
        self._lock = threading.Lock()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.dropped = 0

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._bell

    def put(self, event: HubEvent) -> None:
        """Add *event*; called from the hub client's thread."""
        with self._lock:
            if len(self._events) >= self._capacity:
                self._events.popleft()
                self.dropped += 1
            self._events.append(event)
        os.eventfd_write(self._bell, 1)

    def take_all(self) -> list[HubEvent]:
        """Return the events since the last call."""
        try:
            os.eventfd_read(self._bell)
        except BlockingIOError:
            return []
        with self._lock:
            events = list(self._events)
            self._events.clear()
        return events

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._bell)
