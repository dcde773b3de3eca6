"""When parts come down the line."""

from typing import Final

_SECOND: Final = 1_000_000_000


class Production:
    """Parts at a set rate. It waits for the vision side before the first part only."""

    def __init__(self) -> None:
        self.is_running = False
        """True while parts are still to come."""
        self._left: int | None = 0
        self._period_ns = _SECOND
        self._wait_ns = 0
        self._give_up_ns: int | None = None
        self._next_ns: int | None = None

    def run(self, *, parts: int | None, rate: float, wait_ready_s: float) -> None:
        """Let *parts* parts come (None: until `stop`), *rate* per second.

        The first comes as soon as the vision side is ready, or has had *wait_ready_s*.
        """
        self.is_running = True
        self._left = parts
        self._period_ns = round(_SECOND / rate)
        self._wait_ns = round(wait_ready_s * _SECOND)
        self._give_up_ns = self._next_ns = None

    def stop(self) -> None:
        """Let no more parts come."""
        self.is_running = False

    def is_due(self, now_ns: int, *, is_ready: bool) -> bool:
        """Return True when a part arrives in this scan; it then counts as arrived."""
        if not self.is_running:
            return False
        if self._next_ns is None:
            if not self._may_start(now_ns, is_ready=is_ready):
                return False
            self._next_ns = now_ns
        if now_ns < self._next_ns:
            return False
        # A scan that came late must not bunch parts: they are as far apart as on a real conveyor.
        self._next_ns = max(self._next_ns + self._period_ns, now_ns + self._period_ns // 2)
        if self._left is not None:
            self._left -= 1
            self.is_running = self._left > 0
        return True

    def _may_start(self, now_ns: int, *, is_ready: bool) -> bool:
        if self._give_up_ns is None:
            self._give_up_ns = now_ns + self._wait_ns
        return is_ready or now_ns >= self._give_up_ns
