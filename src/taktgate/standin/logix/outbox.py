"""What waits to leave towards one client, each piece at its time, in order."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

MOST_PIECES: Final = 64
"""A client that has so many replies due later is not read until some have left."""


class Outbox:
    """Sends bytes not before their time; a piece never overtakes the one before.

    Args:
        send: takes bytes that leave now.
        finish: closes the connection once everything before has left.
        drained: is told that nothing waits any more.
    """

    def __init__(
        self,
        *,
        send: Callable[[bytes], None],
        finish: Callable[[], None],
        drained: Callable[[], None],
    ) -> None:
        self._send = send
        self._finish = finish
        self._drained = drained
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[float, bytes, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_due = 0.0
        self._is_finishing = False

    @property
    def is_full(self) -> bool:
        """Tell whether nothing more should be put in."""
        return len(self._waiting) >= MOST_PIECES

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing waits to leave."""
        return not self._waiting

    def put(self, data: bytes, *, delay_s: float = 0.0, drip_s: float = 0.0) -> None:
        """Send *data* after *delay_s*, then byte by byte if *drip_s*; nothing follows an end."""
        if self._is_finishing:
            return
        now = self._loop.time()
        due = max(now + delay_s, self._last_due)
        if due <= now and not drip_s and not self._waiting:
            self._send(data)
            return
        self._waiting.append((due, data, drip_s))
        self._last_due = due + drip_s * len(data)
        self._wake_at(self._waiting[0][0])

    def end(self) -> None:
        """Close the connection after what is still to leave."""
        self._is_finishing = True
        if not self._waiting:
            self._finish()

    def discard(self) -> None:
        """Drop everything: the connection is gone."""
        self._is_finishing = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, due: float) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._leave)

    def _leave(self) -> None:
        self._timer = None
        while self._waiting and self._waiting[0][0] <= self._loop.time():
            _, data, drip_s = self._waiting.popleft()
            if not drip_s:
                self._send(data)
            elif data:
                self._send(data[:1])
                if rest := data[1:]:
                    self._waiting.appendleft((self._loop.time() + drip_s, rest, drip_s))
        if self._waiting:
            self._wake_at(self._waiting[0][0])
        elif self._is_finishing:
            self._finish()
        else:
            self._drained()
