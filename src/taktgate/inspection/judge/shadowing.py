"""Carries out what a shadow wishes: its runner's bell, the ring's slots, pairs for the agent."""

from collections.abc import Callable, Sequence
from typing import Protocol

from taktgate.contracts.codec import encode
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection import control
from taktgate.inspection.control import Ready
from taktgate.inspection.doorbell import Answer, Job
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.shadow import End, LetGo, Pressure, Shadow, Show, Wish


class Runners(Protocol):
    """What a shadow needs of the runners; every call returns at once."""

    def dispatch(self, runner: int, job: Job) -> bool:
        """Ring the bell; False when the runner is gone (its end is reported separately)."""
        ...

    def kill(self, runner: int, why: str) -> None:
        """End a runner that hangs."""
        ...


class Listener(Protocol):
    """The agent: it learns of pairs, and nobody else does."""

    def send(self, kind: str, payload: bytes) -> bool:
        """Return False when it was lost."""
        ...


class Shadowing:
    """The shadow of one judge, with its hands."""

    def __init__(
        self,
        shadow: Shadow,
        *,
        ring: FrameRing,
        runners: Runners,
        agent: Listener,
        is_frame_under_way: Callable[[], bool],
        clock: Callable[[], int],
    ) -> None:
        self._shadow = shadow
        self._ring = ring
        self._runners = runners
        self._agent = agent
        self._is_frame_under_way = is_frame_under_way
        self._clock = clock

    @property
    def digest(self) -> str | None:
        """Return the model that frames are shown to."""
        return self._shadow.digest

    @property
    def wake_ns(self) -> int | None:
        """Return when `tick` has something to do."""
        return self._shadow.wake_ns

    @property
    def counters(self) -> dict[str, int]:
        """Return what was shown and what was dropped, since the start."""
        return self._shadow.counters

    def follow(self, digest: str | None) -> None:
        """Show frames to *digest* from now on."""
        self._shadow.follow(digest)

    def occupies(self, digest: str) -> bool:
        """Tell whether the runner of *digest* has a shadow's frame in hand."""
        return self._shadow.occupies(digest)

    def offer(self, envelope: VerdictEnvelope, frame: Frame) -> None:
        """Take over the slot of a part whose verdict is out; it is released in every case."""
        pressure = Pressure(
            free_slots=self._ring.free, is_frame_under_way=self._is_frame_under_way()
        )
        self._act(self._shadow.offer(envelope, frame, pressure, self._clock()))

    def runner_ready(self, runner: int, ready: Ready) -> None:
        """Take note that *runner* can judge."""
        self._shadow.runner_ready(runner, ready)

    def runner_gone(self, runner: int) -> None:
        """Take note that *runner* is no more."""
        self._act(self._shadow.runner_gone(runner))

    def answer(self, runner: int, answer: Answer) -> None:
        """Take note of what a runner says of a shadow's frame."""
        self._act(self._shadow.answer(runner, answer))

    def tick(self, now_ns: int) -> None:
        """End a shadow's runner that hangs."""
        self._act(self._shadow.tick(now_ns))

    def _act(self, wishes: Sequence[Wish]) -> None:
        for wish in wishes:
            if isinstance(wish, Show):
                self._runners.dispatch(wish.runner, wish.job)
            elif isinstance(wish, End):
                self._runners.kill(wish.runner, wish.why)
            elif isinstance(wish, LetGo):
                self._ring.release(wish.slot)
            else:
                self._agent.send(control.KIND_PAIR, encode(wish.pair))
