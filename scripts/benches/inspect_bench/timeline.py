"""One thread that does things at their time and takes in what arrives: an open loop's clock."""

import heapq
import select
from collections.abc import Callable, Iterable
from itertools import count
from typing import Protocol

from taktgate.edge.clock import SECOND, monotonic_ns

_LONGEST_WAIT_S = 0.05


class Source(Protocol):
    """Something to wait for, and to read until it is empty."""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        ...

    def read(self) -> None:
        """Take in what has arrived; never waits."""
        ...


class Timeline:
    """What is due when. A deed that comes late is done at once, and the next keeps its own time."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self._sources = list(sources)
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def listen_to(self, source: Source) -> None:
        """Wait for *source* as well."""
        self._sources.append(source)

    def at(self, due_ns: int, deed: Callable[[], None]) -> None:
        """Do *deed* at *due_ns*."""
        heapq.heappush(self._due, (due_ns, next(self._order), deed))

    def run(self, until: Callable[[], bool], *, limit_s: float) -> bool:
        """Let time pass until *until* holds; return False when it does not within *limit_s*."""
        limit_ns = monotonic_ns() + int(limit_s * SECOND)
        while not until():
            now_ns = monotonic_ns()
            if now_ns >= limit_ns:
                return False
            if self._due and self._due[0][0] <= now_ns:
                heapq.heappop(self._due)[2]()
                continue
            self._wait(now_ns)
        return True

    def _wait(self, now_ns: int) -> None:
        wait_s = _LONGEST_WAIT_S
        if self._due:
            wait_s = min(wait_s, (self._due[0][0] - now_ns) / SECOND)
        readable, _, _ = select.select(self._sources, [], [], wait_s)
        for source in readable:
            source.read()
