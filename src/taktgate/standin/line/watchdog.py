"""Two timers of the program: the PLC's own heartbeat, and the watch on the other side's."""

from typing import Final

HEARTBEAT_PERIOD_NS: Final = 100_000_000


class Pulse:
    """The PLC's heartbeat: +1 per 100 ms of scanning, so it stands still with the program."""

    def __init__(self, *, count: int = 0) -> None:
        self.count = count
        self._next_ns: int | None = None

    def scan(self, now_ns: int) -> int:
        """Return the heartbeat for this scan."""
        if self._next_ns is None:
            self._next_ns = now_ns + HEARTBEAT_PERIOD_NS
        elif now_ns >= self._next_ns:
            self.count += 1
            # As the rungs keep the rest of their timer: what a late scan left out is made up for.
            self._next_ns += HEARTBEAT_PERIOD_NS
        return self.count


class Watchdog:
    """Notices that a heartbeat no longer changes.

    On the first scan the fault is set: what the tags hold from before says nothing about now.
    """

    def __init__(self, *, preset_ns: int) -> None:
        self._preset_ns = preset_ns
        self._last: int | None = None
        self._changed_ns: int | None = None

    def scan(self, heartbeat: int, now_ns: int) -> bool:
        """Return CommOk for this scan."""
        if self._last is not None and heartbeat != self._last:
            self._changed_ns = now_ns
        self._last = heartbeat
        return self._changed_ns is not None and now_ns - self._changed_ns < self._preset_ns
