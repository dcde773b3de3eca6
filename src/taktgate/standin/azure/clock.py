"""The local Azure's clock: what the cloud counts in minutes may pass in seconds.

Time to live, back-off, twin synchronisation, re-evaluation and stored dates run on the world's
clock. What guards a socket (keep-alive, handshake, receipt of a packet) stays on the wall's, since
the other end does.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Do not make the call; without effect after it was made."""


class Clock(Protocol):
    """Tells the world's time and wakes at it."""

    def now(self) -> float:
        """Return the world's seconds; they only grow, and their zero means nothing."""

    def utc(self) -> datetime:
        """Return the world's date, aware and in UTC."""

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make *call* after *delay_s* seconds of the world, on the event loop."""

    async def sleep(self, delay_s: float) -> None:
        """Wait *delay_s* seconds of the world."""


class WorldClock:
    """The wall's clock, *speed* times as fast."""

    def __init__(self, speed: float = 1.0) -> None:
        """Start the world's time at the wall's.

        Args:
            speed: World seconds for each second of the wall, above 0.

        Raises:
            ValueError: *speed* is not above 0.
        """
        if not speed > 0:
            raise ValueError(f"speed must be above 0, got {speed}")
        self.speed = speed
        self._started_s = time.monotonic()
        self._started_at = datetime.now(UTC)

    def now(self) -> float:
        """Return the world's seconds since the wall's own zero."""
        return self._started_s + (time.monotonic() - self._started_s) * self.speed

    def utc(self) -> datetime:
        """Return the world's date."""
        return self._started_at + timedelta(seconds=self.now() - self._started_s)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make *call* after *delay_s* world seconds."""
        return asyncio.get_running_loop().call_later(max(delay_s, 0.0) / self.speed, call)

    async def sleep(self, delay_s: float) -> None:
        """Wait *delay_s* world seconds."""
        await asyncio.sleep(max(delay_s, 0.0) / self.speed)


class ManualClock:
    """A clock that moves when it is told to: a day passes as fast as its calls can be made."""

    def __init__(self, started_at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._started_at = started_at
        self._now_s = 0.0
        self._numbers = itertools.count()
        self._timers: list[tuple[float, int, _ManualTimer]] = []

    def now(self) -> float:
        """Return the seconds that `advance` was told."""
        return self._now_s

    def utc(self) -> datetime:
        """Return the date that belongs to `now`."""
        return self._started_at + timedelta(seconds=self._now_s)

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make *call* once `advance` has come that far."""
        timer = _ManualTimer(call)
        due_s = self._now_s + max(delay_s, 0.0)
        heapq.heappush(self._timers, (due_s, next(self._numbers), timer))
        return timer

    async def sleep(self, delay_s: float) -> None:
        """Wait until `advance` has come that far."""
        over = asyncio.Event()
        timer = self.call_later(delay_s, over.set)
        try:
            await over.wait()
        finally:
            timer.cancel()

    def advance(self, seconds: float) -> None:
        """Move on by *seconds*, making each call at its time and in order."""
        end_s = self._now_s + seconds
        while self._timers and self._timers[0][0] <= end_s:
            due_s, _, timer = heapq.heappop(self._timers)
            self._now_s = max(self._now_s, due_s)
            timer.make_call()
        self._now_s = end_s


class _ManualTimer:
    def __init__(self, call: Callable[[], object]) -> None:
        self._call: Callable[[], object] | None = call

    def cancel(self) -> None:
        self._call = None

    def make_call(self) -> None:
        if self._call is not None:
            self._call()
