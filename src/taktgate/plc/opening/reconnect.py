"""When to try the controller again."""

import random
from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND

FIRST_DELAY_NS: Final = 100 * MILLISECOND
LONGEST_UNREACHED_NS: Final = 300 * MILLISECOND
"""While nobody answers: with its spread it leaves time to write again 500 ms after one does."""
LONGEST_DELAY_NS: Final = 2 * SECOND
"""While sessions die at once: each of them may hold a connection at the controller."""
MISMATCH_DELAY_NS: Final = 10 * SECOND
"""Wrong tags need a person: looking more often only loads the controller."""
_PROVEN_NS: Final = 2 * SECOND
"""A session that lived this long starts the delays over; one that died at once does not."""


class Backoff:
    """Delays that double, each spread by a quarter so that stations do not march."""

    def __init__(self, spread: Callable[[], float] | None = None) -> None:
        self._spread = spread or random.SystemRandom().random
        self._delay_ns = FIRST_DELAY_NS
        self._opened_ns: int | None = None

    def opened(self, now_ns: int) -> None:
        """Take note that a session was opened."""
        self._opened_ns = now_ns

    def failed(self, now_ns: int) -> int:
        """Take note of a failure; return when to try again."""
        opened_ns, self._opened_ns = self._opened_ns, None
        if opened_ns is not None and now_ns - opened_ns >= _PROVEN_NS:
            self._delay_ns = FIRST_DELAY_NS
        longest_ns = LONGEST_UNREACHED_NS if opened_ns is None else LONGEST_DELAY_NS
        delay_ns = min(self._delay_ns, longest_ns)
        self._delay_ns = min(2 * delay_ns, longest_ns)
        return now_ns + int(delay_ns * (0.75 + 0.5 * self._spread()))
