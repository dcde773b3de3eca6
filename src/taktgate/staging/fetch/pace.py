"""How fast heavy work may go: never so fast that a part is late for it.

Pure but for the clock and the sleep that it is given. Two things hold work back: the plant's limit
for downloads (`staging.rate_mb_s`), and the judge's state, as its agent tells it.

A judge whose parts come near their deadline pauses all work, until they have been well away from it
for some seconds. A line that is always at its limit must still get a new model, it may be the cure:
after ten minutes of pauses the work goes on, slowly. It goes slowly as well where a model judges
parts and nothing is heard of how.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from taktgate.staging.judge_sight import NOBODY, JudgeSight, JudgeSign

LONGEST_SLEEP_S: Final = 0.5
SHORTEST_SLEEP_S: Final = 0.001
"""Less is not worth a sleep; it stays owed."""
LOOK_EVERY_S: Final = 0.5
"""The judge's pulse comes once a second."""
SLOW_BYTES_S: Final = 1e6
"""A second's worth of this costs one core a few milliseconds."""
CALM_S: Final = 5.0
"""So long the judge must do well before a pause ends."""
CALM_SHARE: Final = 0.9
"""Well means below this share of the limit that began the pause."""
PATIENCE_S: Final = 600.0
"""After so much pause the work goes on slowly. Time without a pause counts against it."""
BURST_S: Final = 0.5
"""So much of a rate may be saved up."""
FORGOTTEN_S: Final = 2.0
"""A state that nobody has asked about for so long is over."""


class PaceState(StrEnum):
    """What heavy work is doing."""

    RUNNING = "running"
    LIMITED = "limited"
    """Held to the plant's rate."""
    PAUSED = "paused"
    """Waiting for the judge to do better."""
    SLOW = "slow"
    """Held to SLOW_BYTES_S: the judge is at its limit for too long, or is not heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceStatus:
    """What heavy work is doing, and why: for the report."""

    state: PaceState = PaceState.RUNNING
    why: str = ""


class JudgeWatch:
    """Decides by what is seen of the judge. Pure."""

    def __init__(self, *, pause_at: float) -> None:
        """Pause from the share *pause_at* of a part's time on."""
        self._pause_at = pause_at
        self._calm_s = CALM_S
        self._paused_s = 0.0

    def look(self, sight: JudgeSight, *, passed_s: float) -> PaceStatus:
        """Return what *sight* means, *passed_s* seconds after the one before."""
        if sight.late or sight.share >= self._pause_at:
            self._calm_s = 0.0
        elif sight.share < CALM_SHARE * self._pause_at:
            self._calm_s = min(CALM_S, self._calm_s + passed_s)
        is_calm = self._calm_s >= CALM_S
        paused_s = self._paused_s + (-passed_s if is_calm else passed_s)
        self._paused_s = min(PATIENCE_S, max(0.0, paused_s))
        return self._well(sight) if is_calm else self._held(sight)

    def _well(self, sight: JudgeSight) -> PaceStatus:
        if sight.sign is JudgeSign.SILENT:
            return PaceStatus(state=PaceState.SLOW, why="a model judges, and is not heard of")
        return PaceStatus()

    def _held(self, sight: JudgeSight) -> PaceStatus:
        if self._paused_s < PATIENCE_S:
            return PaceStatus(state=PaceState.PAUSED, why=_why(sight))
        why = f"{_why(sight)}, after {PATIENCE_S / 60:.0f} minutes of pause"
        return PaceStatus(state=PaceState.SLOW, why=why)


class Bucket:
    """A token bucket that may be overdrawn: pieces are paid for after they have come. Pure."""

    def __init__(self) -> None:
        self._balance = 0.0
        self._at_s = 0.0

    def take(self, size_bytes: int) -> None:
        """Pay for *size_bytes*."""
        self._balance -= size_bytes

    def wait_s(self, rate_bytes_s: float | None, now_s: float) -> float:
        """Return how long to wait until nothing is owed; None: no rate, and no debt."""
        passed_s, self._at_s = now_s - self._at_s, now_s
        if rate_bytes_s is None:
            self._balance = 0.0
            return 0.0
        saved = self._balance + max(0.0, passed_s) * rate_bytes_s
        self._balance = min(saved, rate_bytes_s * BURST_S)
        return max(0.0, -self._balance / rate_bytes_s)


class Pace:
    """Holds heavy work back. One for a whole stager."""

    def __init__(
        self,
        *,
        rate_bytes_s: float | None = None,
        pause_at: float = 1.0,
        look: Callable[[], JudgeSight] = lambda: NOBODY,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Hold downloads to *rate_bytes_s*, and all work by what *look* shows of the judge."""
        self._rate_bytes_s = rate_bytes_s
        self._watch = JudgeWatch(pause_at=pause_at)
        self._look = look
        self._clock = clock
        self._sleep = sleep
        self._network, self._slow = Bucket(), Bucket()
        self._looked_s = -LOOK_EVERY_S
        self._judge = PaceStatus()
        self._status, self._asked_s = PaceStatus(), 0.0
        self._limited_s = -FORGOTTEN_S
        self.pauses = 0
        """So many times has work begun to wait for the judge to do better."""

    @property
    def status(self) -> PaceStatus:
        """What heavy work is doing now."""
        is_over = self._clock() - self._asked_s > FORGOTTEN_S
        return PaceStatus() if is_over else self._status

    def charge(self, size_bytes: int) -> Iterator[None]:
        """Account for *size_bytes* that were read, hashed or written; yield while work must wait.

        A waiting caller gets its turn at least twice a second.
        """
        self._slow.take(size_bytes)
        return self._wait()

    def charge_network(self, size_bytes: int) -> Iterator[None]:
        """Account for *size_bytes* that came from the network; yield while work must wait."""
        self._network.take(size_bytes)
        return self.charge(size_bytes)

    def _wait(self) -> Iterator[None]:
        while (wait_s := self._wait_s()) > SHORTEST_SLEEP_S:
            self._sleep(min(wait_s, LONGEST_SLEEP_S))
            yield

    def _wait_s(self) -> float:
        now_s = self._asked_s = self._clock()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._look_at_judge(now_s)
        limited_s = self._network.wait_s(self._rate_bytes_s, now_s)
        is_slow = self._judge.state is PaceState.SLOW
        slow_s = self._slow.wait_s(SLOW_BYTES_S if is_slow else None, now_s)
        self._status = self._judge
        if self._judge.state is PaceState.PAUSED:
            return LONGEST_SLEEP_S
        if limited_s > 0.0:
            self._limited_s = now_s
        if self._judge.state is PaceState.RUNNING and now_s - self._limited_s < FORGOTTEN_S:
            self._status = PaceStatus(state=PaceState.LIMITED, why="staging.rate_mb_s")
        return max(limited_s, slow_s)

    def _look_at_judge(self, now_s: float) -> None:
        # What passed while nobody asked is nobody's pause.
        passed_s = min(now_s - self._looked_s, 2 * LOOK_EVERY_S)
        self._looked_s = now_s
        status = self._watch.look(self._look(), passed_s=passed_s)
        if status.state is self._judge.state:
            return  # with the reason that began it: a pause is reported once
        self._judge = status
        self.pauses += status.state is PaceState.PAUSED


def _why(sight: JudgeSight) -> str:
    if sight.late:
        return f"the judge was late for {sight.late} parts in its last seconds"
    return f"the judge took {sight.share:.0%} of its time for a part in its last seconds"
