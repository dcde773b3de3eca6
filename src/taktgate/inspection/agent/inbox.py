"""The agent's one inbox: everything that any thread of its process has to tell the agent's own."""

import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.edge.hub import HubEvent
from taktgate.edge.lane import Datagram
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.faults import Source

INBOX_CAPACITY: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """Something to be done to the models, put into the inbox by another thread of the agent."""

    run: Callable[[Activator], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A fault of a part of this process that has no other way to tell."""

    source: Source
    reason: str
    message: str | None
    """None: it is well again."""


Event = HubEvent | Datagram | Complaint | Errand


class Inbox:
    """The one queue. When it is full, news are dropped and counted: nobody waits for the agent."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Event] = queue.Queue(maxsize=INBOX_CAPACITY)
        self.dropped = 0

    def put(self, event: Event) -> None:
        """Take *event* from any thread."""
        self.offer(event)

    def offer(self, event: Event) -> bool:
        """Take *event* from any thread; False when it was dropped."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1
            return False
        return True

    def complain(self, source: Source, reason: str, message: str) -> None:
        """Report a fault of a part of this process, from any thread."""
        self.put(Complaint(source=source, reason=reason, message=message))

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event, None when none comes in time."""
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None
