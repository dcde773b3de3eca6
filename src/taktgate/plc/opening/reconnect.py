"""When to open a session again: at once if it had lived, soon if it died, later if refused."""

import random
from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND

FIRST_DELAY_NS: Final = 100 * MILLISECOND
LONGEST_DELAY_NS: Final = 2 * SECOND
"""A controller that says no has no room: what was left there may need time to expire."""
LONGEST_AFTER_DEATH_NS: Final = 200 * MILLISECOND
"""After a session that died young, however many do: a controller that is itself again must be
written to within 500 ms, and nobody can tell that from outside. With the last doomed attempt
(100 ms), a quarter of spread, and a probe (20 ms) that makes 370 ms.

It leaves nothing behind that a growing delay would have to spare: such a session is reset, which
tells the controller to drop its connection, and one that would not listen drops it 8 s later, so
that at most some 50 of ours could be there. Clients that *vanish* exhaust it (pylogix #188).
"""
MISMATCH_DELAY_NS: Final = 10 * SECOND
"""Wrong tags need a person: looking more often only loads the controller."""
_PROVEN_NS: Final = 2 * SECOND
"""A session that lived this long starts the delays over; one that died young does not."""


class Backoff:
    """Delays, each spread by a quarter so that stations do not march; those of refusals double.

    A probe that nobody answers does not come here: it costs the controller nothing.
    """

    def __init__(self, spread: Callable[[], float] | None = None) -> None:
        self._spread = spread or random.SystemRandom().random
        self._opened_ns = 0
        self._delay_ns = self._after_death_ns = FIRST_DELAY_NS

    def opened(self, now_ns: int) -> None:
        """Take note that a session was opened."""
        self._opened_ns = now_ns

    def refused(self, now_ns: int) -> int:
        """Take note that the controller, or its check, said no; return when to try again."""
        delay_ns, self._delay_ns = self._delay_ns, min(2 * self._delay_ns, LONGEST_DELAY_NS)
        return now_ns + self._spread_out(delay_ns)

    def died(self, now_ns: int) -> int:
        """Take note that a session died while it was opened; return when to try again."""
        delay_ns, self._after_death_ns = self._after_death_ns, LONGEST_AFTER_DEATH_NS
        return now_ns + self._spread_out(delay_ns)

    def lost(self, now_ns: int) -> int:
        """Take note that the session is gone; return when to try again: now, if it had lived."""
        if now_ns - self._opened_ns < _PROVEN_NS:
            return self.died(now_ns)
        self._delay_ns = self._after_death_ns = FIRST_DELAY_NS
        return now_ns

    def _spread_out(self, delay_ns: int) -> int:
        return int(delay_ns * (0.75 + 0.5 * self._spread()))
