"""How long the judge's turns take: a deadline that falls due in one waits until its end. Pure."""

from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND

LONG_NS: Final = 5 * MILLISECOND
"""A tenth of the reserve that a verdict has by default (`judge.decision_reserve_ms`)."""
SPAN_NS: Final = 1 * SECOND
_US: Final = 1000


class TurnWatch:
    """Counts long turns, and keeps the longest of the last one to two seconds.

    So whoever looks once a second misses none, and whoever looks seldom sees that there were some.
    """

    def __init__(self) -> None:
        self._began_ns = 0
        self._longest_ns = 0
        self._longest_before_ns = 0
        self._long_turns = 0

    def took(self, start_ns: int, end_ns: int) -> None:
        """Take note of a turn, from the end of its wait to its own end."""
        if end_ns - self._began_ns >= SPAN_NS:
            is_next = end_ns - self._began_ns < 2 * SPAN_NS
            self._longest_before_ns = self._longest_ns if is_next else 0
            self._began_ns, self._longest_ns = end_ns, 0
        self._longest_ns = max(self._longest_ns, end_ns - start_ns)
        self._long_turns += end_ns - start_ns > LONG_NS

    def counters(self) -> dict[str, int]:
        """Return the longest turn of late in microseconds, and how many were long ever."""
        longest_ns = max(self._longest_ns, self._longest_before_ns)
        return {"longest_turn_us": longest_ns // _US, "long_turns": self._long_turns}
