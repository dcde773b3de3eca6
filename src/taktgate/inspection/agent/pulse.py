"""The judge's pulse: how its last seconds went, for those who must not disturb it.

Counted where the agent counts its figures, written by a thread of its own: a disk that keeps a
rename waiting, as a stager's syncs may make it, must not keep verdicts waiting.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import encode
from taktgate.contracts.pulse import PULSE_FILE, JudgePulse
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND, SECOND, kernel_boot_id
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.standstill import Standstill
from taktgate.inspection.control import JudgeEvent

log = logging.getLogger(__name__)

EVERY_NS: Final = SECOND
WINDOW_S: Final = 5
_TOO_LATE: Final = frozenset({Reason.TIMEOUT, Reason.OVERLOAD})
_NOT_TRIED: Final = frozenset({Reason.NOT_READY, Reason.SKIPPED})
"""Closed without having been judged: they say nothing about how fast the judge is."""


@dataclass(slots=True, kw_only=True)
class _Stretch:
    """The parts of one stretch of EVERY_NS; times in ns."""

    parts: int = 0
    late: int = 0
    slowest_ns: int = 0
    budget_ns: int | None = None

    def count(self, envelope: VerdictEnvelope, budget_ns: int) -> None:
        """Count one part, which had *budget_ns* from its trigger on."""
        self.parts += 1
        self.late += envelope.reason in _TOO_LATE or envelope.verdict is Verdict.LATE
        if envelope.reason in _NOT_TRIED:
            return
        self.slowest_ns = max(self.slowest_ns, envelope.decided_ns - envelope.trigger_ns)
        self.budget_ns = budget_ns if self.budget_ns is None else min(self.budget_ns, budget_ns)


class PulseFigures:
    """Implements the agent's `Figures`: hands a pulse on each second."""

    def __init__(
        self, tell: Callable[[JudgePulse], None], *, reserve_ms: int, clock: Callable[[], int]
    ) -> None:
        """Tell *tell*; parts are decided *reserve_ms* before the station's deadline."""
        self._tell = tell
        self._reserve_ns = reserve_ms * MILLISECOND
        self._clock = clock
        self._stretches = deque([_Stretch()], maxlen=WINDOW_S)
        self._due_ns = clock() + EVERY_NS
        self._standstill = Standstill()

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict."""
        budget_ns = envelope.deadline_ns - envelope.trigger_ns - self._reserve_ns
        self._stretches[-1].count(envelope, max(0, budget_ns))
        self._standstill.part_came()

    def happening(self, event: JudgeEvent) -> None:
        """Nothing: parts alone say how the judge is doing."""

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Tell of the last seconds when a new second has begun."""
        now_ns = self._clock()
        stands_ns = self._standstill.look(activator.judge.is_line_enabled, now_ns)
        if now_ns < self._due_ns:
            return
        self._tell(self._pulse(now_ns, stands_ns))
        # A second that nobody came by in is a second without parts: they go out of the window.
        missed = min((now_ns - self._due_ns) // EVERY_NS, WINDOW_S)
        self._stretches.extend(_Stretch() for _ in range(1 + missed))
        self._due_ns += (1 + (now_ns - self._due_ns) // EVERY_NS) * EVERY_NS

    def _pulse(self, now_ns: int, stands_ns: int | None) -> JudgePulse:
        budgets = [its.budget_ns for its in self._stretches if its.budget_ns is not None]
        return JudgePulse(
            contract=CONTRACT_VERSION,
            boot_id=kernel_boot_id(),
            at_ns=now_ns,
            window_s=float(WINDOW_S),
            parts=sum(its.parts for its in self._stretches),
            late=sum(its.late for its in self._stretches),
            slowest_ms=max(0, *(its.slowest_ns for its in self._stretches)) / MILLISECOND,
            budget_ms=min(budgets, default=0) / MILLISECOND,
            line_stands_s=None if stands_ns is None else stands_ns / SECOND,
        )


class PulseWriter:
    """Writes the newest pulse into the folder *state*, for as long as the disk lets it."""

    def __init__(self, state: Path) -> None:
        self._path = state / PULSE_FILE
        self._newest: queue.Queue[JudgePulse] = queue.Queue(maxsize=1)
        self._is_refused = False

    def tell(self, pulse: JudgePulse) -> None:
        """Have *pulse* written; one that comes while the disk keeps us waiting is dropped."""
        with suppress(queue.Full):
            self._newest.put_nowait(pulse)

    def run(self, stop: threading.Event) -> None:
        """Write until *stop*; a disk that refuses is said once."""
        while not stop.is_set():
            with suppress(queue.Empty):
                self.write(self._newest.get(timeout=0.5))

    def write(self, pulse: JudgePulse) -> None:
        """Replace the file, not durably: it is worth nothing a few seconds later."""
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        try:
            temporary.write_bytes(encode(pulse))
            temporary.replace(self._path)
        except OSError as error:
            if not self._is_refused:
                log.warning("pulse.json cannot be written", extra={"error": str(error)})
            self._is_refused = True
        else:
            self._is_refused = False
