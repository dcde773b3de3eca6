"""Ends a run that goes on beyond its part's time. The one thread of a runner besides its own."""

import threading
from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import SECOND, monotonic_ns

NAME: Final = "watchdog"


class Watchdog:
    """Calls `end` once when a time is up that nobody has taken back before.

    The thread sleeps until the time that it knows of and looks then whether that time still holds.
    Parts follow each other, so a new time is later than the one it sleeps for, and arming it wakes
    nobody: two uncontended locks a part. It is woken only from a sleep without end.
    """

    def __init__(self, end: Callable[[], None], *, clock: Callable[[], int] = monotonic_ns) -> None:
        self._end = end
        self._clock = clock
        self._changed = threading.Condition()
        self._due_ns: int | None = None
        self._wakes_ns: int | None = None
        """When the thread looks next by itself; None: only when it is told."""
        self._has_ended = False

    def start(self) -> None:
        """Start the thread. It takes the priority of the caller's."""
        threading.Thread(target=self._watch, name=NAME, daemon=True).start()

    def arm(self, due_ns: int) -> None:
        """Have `end` called at *due_ns*."""
        with self._changed:
            self._due_ns, self._has_ended = due_ns, False
            if self._wakes_ns is None or due_ns < self._wakes_ns:
                self._changed.notify()

    def disarm(self) -> bool:
        """Take the time back; from here on `end` is not called. Return whether it was."""
        with self._changed:
            self._due_ns = None
            return self._has_ended

    def _watch(self) -> None:
        with self._changed:
            while True:
                self._changed.wait(self._look())

    def _look(self) -> float | None:
        """End what is due; return for how many seconds to sleep, None: until there is a time."""
        self._wakes_ns = self._due_ns
        if self._due_ns is None:
            return None
        left_ns = self._due_ns - self._clock()
        if left_ns > 0:
            return left_ns / SECOND
        self._due_ns = self._wakes_ns = None
        self._has_ended = True
        self._end()  # under the lock: after `disarm` it could hit the next part's run
        return None
