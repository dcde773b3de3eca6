"""The runners that are ready to judge, and the frame that each of them has."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.control import Ready
from taktgate.inspection.judge.parts import Part

HANG_GRACE_NS: Final = 200 * MILLISECOND
"""How long after its part's decision deadline a runner may still answer before it is killed."""
STANDBY_GRACE_NS: Final = 20 * MILLISECOND
"""The same, where a warm standby waits to take over.

A runner ends a run that goes on too long by itself, at the next operator: 1 to 10 ms after the
deadline. One that does not hangs, and every millisecond more is taken from the part behind it: at
30 parts a second and 8 ms a run there are 25 to give. A kill that comes too early costs no part,
only a start at idle priority; without a standby it costs every part until the next runner is up.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A part's frame that a runner has."""

    job_id: int
    part: Part
    slot: int
    since_ns: int


@dataclass(slots=True, kw_only=True)
class ReadyRunner:
    """A runner that is ready. It has at most one frame at a time."""

    runner: int
    ready: Ready
    flight: Flight | None = None
    is_condemned: bool = False


class ReadyRunners:
    """All of them."""

    def __init__(self) -> None:
        self._ready: dict[int, ReadyRunner] = {}

    def __iter__(self) -> Iterator[ReadyRunner]:
        """Return the runners, the oldest first."""
        return iter(list(self._ready.values()))

    def get(self, runner: int) -> ReadyRunner | None:
        """Return what is known of *runner* if it is ready."""
        return self._ready.get(runner)

    def take(self, runner: int, ready: Ready) -> list[int]:
        """Take *runner* in; return the runners that were ready for the same model before."""
        digest = ready.model.digest
        before = [each.runner for each in self if each.ready.model.digest == digest]
        self._ready[runner] = ReadyRunner(runner=runner, ready=ready)
        return before

    def leave(self, runner: int) -> ReadyRunner | None:
        """Forget *runner* and return what was known of it."""
        return self._ready.pop(runner, None)

    def of(self, digest: str | None) -> ReadyRunner | None:
        """Return the runner that serves the model *digest*."""
        for each in self._ready.values():
            if each.ready.model.digest == digest and not each.is_condemned:
                return each
        return None

    def flights(self) -> list[Flight]:
        """Return the frames that runners have."""
        return [each.flight for each in self._ready.values() if each.flight is not None]

    def wake_ns(self, grace_ns: int) -> int | None:
        """Return when the next runner is overdue."""
        times = (
            each.flight.part.decide_by_ns + grace_ns
            for each in self._ready.values()
            if each.flight is not None and not each.is_condemned
        )
        return min(times, default=None)

    def condemn(self, now_ns: int, grace_ns: int) -> list[ReadyRunner]:
        """Return the runners that hang, each once; they get no more frames."""
        overdue = [
            each
            for each in self._ready.values()
            if each.flight is not None
            and not each.is_condemned
            and each.flight.part.decide_by_ns + grace_ns <= now_ns
        ]
        for each in overdue:
            each.is_condemned = True
        return overdue
