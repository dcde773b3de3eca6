"""Which parts the model has time for. Pure.

The drop rule: one part runs and one waits; the newest that finds no place is refused at once, by
OVERLOAD, and so is one whose remaining time cannot suffice for what is ahead of it and for itself,
by the measured run times of this model. What is served is thus served within two runs, however many
parts are offered. More may wait, MAX_WAITING at most, while a run is overdue: then it is a hang and
not an overload, the runner is about to be replaced, and the parts behind it can still be saved.

Times are of the last RUNS answers, dispatch to answer, and not older than MEMORY_NS: a machine that
was busy for a while is measured anew. With fewer than MIN_RUNS nothing is refused for its time. A
part that finds the runner idle is never refused: else a model once slow would stay unmeasured.
One that has waited is refused when its turn comes if even the quickest run would take too long.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from taktgate.edge.clock import SECOND
from taktgate.inspection.judge.parts import Part

MAX_WAITING: Final = 4
WAITING_IN_STEP: Final = 1
"""While no run is overdue."""
OVERDUE: Final = 2
"""A run is overdue when it has lasted so many times as long as the longest of late."""
RUNS: Final = 32
MIN_RUNS: Final = 4
MEMORY_NS: Final = 10 * SECOND
_USUAL: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long the model's runs have taken of late, in nanoseconds."""

    quickest: int
    usual: int
    """95 of 100 take no longer."""
    longest: int


class Admission:
    """The parts that wait for the live model, and its pace."""

    def __init__(self) -> None:
        self._waiting: deque[Part] = deque()
        self._runs: deque[tuple[int, int]] = deque(maxlen=RUNS)
        """When each ended, and how long it took."""

    def __len__(self) -> int:
        """Return how many parts wait."""
        return len(self._waiting)

    @property
    def waiting(self) -> tuple[Part, ...]:
        """Return the parts that wait, the oldest first."""
        return tuple(self._waiting)

    def ran(self, took_ns: int, now_ns: int) -> None:
        """Take note of a run that has ended."""
        self._runs.append((now_ns, took_ns))

    def model_changed(self) -> None:
        """Forget the pace of the model before."""
        self._runs.clear()

    def pace(self, now_ns: int) -> Pace | None:
        """Return the model's pace, None while it is not known."""
        while self._runs and now_ns - self._runs[0][0] > MEMORY_NS:
            self._runs.popleft()
        if len(self._runs) < MIN_RUNS:
            return None
        runs = sorted(took_ns for _, took_ns in self._runs)
        return Pace(quickest=runs[0], usual=runs[int(_USUAL * (len(runs) - 1))], longest=runs[-1])

    def admit(self, part: Part, now_ns: int, *, busy_since_ns: int | None) -> bool:
        """Let *part* wait, or return False: it has to give way now.

        Args:
            part: A part whose frame is there.
            now_ns: The time.
            busy_since_ns: When the runner took up the part that it is busy with; None: it is idle.
        """
        if not self._has_room(part, now_ns, busy_since_ns):
            return False
        self._waiting.append(part)
        return True

    def take(self) -> Part | None:
        """Return the part that has waited longest, None when none waits."""
        return self._waiting.popleft() if self._waiting else None

    def withdraw(self, part: Part) -> bool:
        """Let *part* wait no longer; return False when it does not wait."""
        if part not in self._waiting:
            return False
        self._waiting.remove(part)
        return True

    def can_suffice(self, part: Part, now_ns: int) -> bool:
        """Tell whether *part*, which has waited, may still be judged if its run begins now."""
        pace = self.pace(now_ns)
        return pace is None or now_ns + pace.quickest <= part.decide_by_ns

    def _has_room(self, part: Part, now_ns: int, busy_since_ns: int | None) -> bool:
        if busy_since_ns is None and not self._waiting:
            return True
        pace = self.pace(now_ns)
        if pace is None:
            return len(self._waiting) < WAITING_IN_STEP
        busy_ns = 0 if busy_since_ns is None else now_ns - busy_since_ns
        is_overdue = busy_ns > OVERDUE * pace.longest
        if len(self._waiting) >= (MAX_WAITING if is_overdue else WAITING_IN_STEP):
            return False
        rest_ns = 0 if busy_since_ns is None else max(0, pace.usual - busy_ns)
        return now_ns + rest_ns + (len(self._waiting) + 1) * pace.usual <= part.decide_by_ns
