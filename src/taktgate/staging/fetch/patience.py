"""How long a server may keep one download waiting. Pure: the reader says what it waited.

Only time spent waiting for bytes counts. A pause of ours, or a slow disk, is not the server's.
"""

from dataclasses import dataclass
from typing import Final, NoReturn

_SHORTEST_WAIT_S: Final = 0.001
"""A socket takes 0 for "do not wait at all"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What a server must keep to. Together they bound every download: size / least rate."""

    stall_s: float = 15.0
    """Longest wait for a connection, and between two pieces."""
    head_s: float = 30.0
    """Longest wait for the head of an answer, redirects included."""
    least_bytes_s: float = 1000.0
    """Slowest rate: less, averaged over `over_s` of waiting, is an attack or as good as one (slow
    retrieval, TUF specification, section 1.5.2)."""
    over_s: float = 60.0


class Patience:
    """The waiting of one download."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._is_in_head = True
        self._waited_s = 0.0
        self._came_bytes = 0

    @property
    def next_wait_s(self) -> float:
        """How long the next wait may last; in a head, no longer than what is left for it."""
        if not self._is_in_head:
            return self._limits.stall_s
        left_s = self._limits.head_s - self._waited_s
        return min(self._limits.stall_s, max(_SHORTEST_WAIT_S, left_s))

    def give_up(self) -> NoReturn:
        """Say what a server has missed that let such a wait run out.

        Raises:
            TimeoutError: always.
        """
        if self.next_wait_s < self._limits.stall_s:
            raise TimeoutError(f"no complete answer within {self._limits.head_s:g} s")
        raise TimeoutError(f"nothing came for {self._limits.stall_s:g} s")

    def begin_content(self) -> None:
        """Take note that the head of the answer is complete."""
        self._is_in_head = False
        self._waited_s, self._came_bytes = 0.0, 0

    def waited(self, duration_s: float, *, came_bytes: int) -> None:
        """Take note of one wait of *duration_s* seconds, after which *came_bytes* came.

        Raises:
            TimeoutError: the server is too slow.
        """
        self._waited_s += duration_s
        self._came_bytes += came_bytes
        if self._is_in_head:
            if self._waited_s > self._limits.head_s:
                raise TimeoutError(f"no complete answer within {self._limits.head_s:g} s")
        elif self._waited_s >= self._limits.over_s:
            if self._came_bytes < self._limits.least_bytes_s * self._waited_s:
                raise TimeoutError(
                    f"{self._came_bytes} bytes in {self._waited_s:.0f} s, less than"
                    f" {self._limits.least_bytes_s:g} bytes/s"
                )
            self._waited_s, self._came_bytes = 0.0, 0
