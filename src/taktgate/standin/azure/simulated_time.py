"""An event loop on which a day passes as fast as its work is done, and the same way each time.

Where the loop would wait for its next timer it moves its time on instead. That holds for all that
runs on it: `asyncio.sleep`, timeouts, and the world's time by `LoopClock`. It is for programs that
do not talk to others: bytes from a socket do not come any faster.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from taktgate.standin.azure.clock import Timer

T = TypeVar("T")

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedTimeLoop(asyncio.SelectorEventLoop):
    """Begins at 0 seconds."""

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__(_NoWaitSelector(self._move_on))

    def time(self) -> float:
        """Return the simulated seconds."""
        return self._now_s

    def _move_on(self, seconds: float) -> None:
        self._now_s += seconds


class LoopClock:
    """The world's clock that tells the running loop's time."""

    def now(self) -> float:
        """Return the loop's seconds."""
        return asyncio.get_running_loop().time()

    def utc(self) -> datetime:
        """Return the date that belongs to `now`."""
        return BEGINNING + timedelta(seconds=self.now())

    def call_later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Make *call* after *delay_s* seconds."""
        return asyncio.get_running_loop().call_later(max(delay_s, 0.0), call)

    async def sleep(self, delay_s: float) -> None:
        """Wait *delay_s* seconds."""
        await asyncio.sleep(max(delay_s, 0.0))


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run *main* to its end in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedTimeLoop) as runner:
        return runner.run(main)


class _NoWaitSelector(selectors.SelectSelector):
    """Moves time on where it was to wait. Without any timer it waits for a file, as usual."""

    def __init__(self, move_on: Callable[[float], None]) -> None:
        super().__init__()
        self._move_on = move_on

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now; else *timeout* seconds have passed."""
        ready = super().select(timeout if timeout is None else 0)
        if not ready and timeout is not None and timeout > 0:
            self._move_on(timeout)
        return ready
