"""How long to wait before the next try."""

import secrets
from collections.abc import Callable
from typing import Final

SHORTEST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 300.0
LONGEST_WISH_S: Final = 3600.0
"""So long may the other side ask to be left alone: nothing waits without a limit."""
_CHANCE: Final = secrets.SystemRandom()


class BackOff:
    """Pauses that double from 0.5 s to 5 minutes, shortened by chance: a fleet spreads out."""

    def __init__(self, *, chance: Callable[[], float] = _CHANCE.random) -> None:
        self._chance = chance
        self._pause_s = SHORTEST_PAUSE_S

    def reset(self) -> None:
        """Start again with the shortest pause."""
        self._pause_s = SHORTEST_PAUSE_S

    def next_s(self, *, wish_s: float | None = None) -> float:
        """Return the next pause, not shorter than the other side's *wish_s*."""
        pause_s = self._pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        own_s = max(SHORTEST_PAUSE_S, pause_s * (1 - 0.25 * self._chance()))
        return max(own_s, min(wish_s or 0.0, LONGEST_WISH_S))
