"""Python's garbage collector, moved from wherever it strikes to where nothing waits."""

import gc
from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND

PERIOD_NS: Final = SECOND
"""pycomm3 leaves some 1,000 objects in cycles a second; collecting them takes 0.2 to 0.3 ms."""
ROOM_NS: Final = 3 * MILLISECOND
"""Left until the next tick: ten times what a collection takes."""
OVERDUE_NS: Final = 10 * SECOND
"""A writer without any idle time collects all the same: memory has to stay bounded."""


class IdleCollector:
    """Collects between two ticks, once a second, and never within an exchange.

    What is there at the start is frozen: looking at it again takes 17 ms, a tick and a half.
    """

    def __init__(
        self, clock: Callable[[], int], collect: Callable[[], object] = gc.collect
    ) -> None:
        self._clock = clock
        self._collect = collect
        self._collected_ns = clock()

    def take_over(self) -> None:
        """Freeze what is there and switch the automatic collector off."""
        self._collect()
        gc.freeze()
        gc.disable()
        self._collected_ns = self._clock()

    def rest(self, left_ns: int) -> None:
        """Collect if it is time and the next tick is far enough away."""
        since_ns = self._clock() - self._collected_ns
        if (since_ns >= PERIOD_NS and left_ns >= ROOM_NS) or since_ns >= OVERDUE_NS:
            self._collect()
            self._collected_ns = self._clock()
