"""Which line states the judge believes: from here, in order, each at most once."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from taktgate.contracts.codec import ContractError, decode, is_compatible
from taktgate.contracts.line import LineState
from taktgate.edge.clock import SECOND

MAX_AGE_NS: Final = 10 * SECOND
"""As long as the longest deadline: what is older can decide nothing."""
MAX_REPLACED: Final = 64
"""Replaced writers remembered: they start at least 0.5 s apart, so that outlasts MAX_AGE_NS."""


@dataclass(slots=True, kw_only=True)
class LineIntake:
    """Accepts or counts. A writer that was replaced is never believed again."""

    station: str
    kernel_boot_id: str
    counters: dict[str, int] = field(default_factory=dict)
    """Ignored states by cause."""
    newest: LineState | None = None
    _replaced: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_REPLACED))

    def accept(self, payload: bytes, now_ns: int) -> LineState | None:
        """Return the line state in *payload* if it is news, else count why not."""
        try:
            state = decode(LineState, payload)
        except ContractError:
            self._ignore("malformed")
            return None
        cause = self._foreign(state, now_ns) or self._stale(state)
        if cause is not None:
            self._ignore(cause)
            return None
        if self.newest is not None and state.writer_start_id != self.newest.writer_start_id:
            self._replaced.append(self.newest.writer_start_id)
        self.newest = state
        return state

    def is_fresh(self, now_ns: int, limit_ns: int) -> bool:
        """Tell whether a state was read from the PLC within *limit_ns*."""
        return self.newest is not None and now_ns - self.newest.observed_ns <= limit_ns

    def _foreign(self, state: LineState, now_ns: int) -> str | None:
        if not is_compatible(state.contract):
            return "contract"
        if state.station != self.station:
            return "station"
        if state.kernel_boot_id != self.kernel_boot_id:
            return "kernel_boot"
        if not state.observed_after_ns <= state.observed_ns <= now_ns:
            return "clock"
        return "too_old" if now_ns - state.observed_ns > MAX_AGE_NS else None

    def _stale(self, state: LineState) -> str | None:
        newest = self.newest
        if newest is None:
            return None
        if state.writer_start_id == newest.writer_start_id:
            return "copy_or_older" if state.sequence <= newest.sequence else None
        is_replaced = state.writer_start_id in self._replaced
        return "old_writer" if is_replaced or state.observed_ns <= newest.observed_ns else None

    def _ignore(self, cause: str) -> None:
        self.counters[cause] = self.counters.get(cause, 0) + 1
