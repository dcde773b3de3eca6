"""What is broken, how, and when: all of it drawn from one seed."""

import contextlib
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chaos_campaign.history import Blow
from chaos_campaign.line import ChaosLine
from taktgate.edge.clock import SECOND, monotonic_ns

JUDGE: Final = "judge.process"
RUNNER: Final = "runner.process"
AGENT: Final = "agent.process"
DECODER: Final = "surface.decoder"
SUPERVISOR: Final = "modules/inference/main.py"
PROCESSES: Final = {"judge": JUDGE, "runner": RUNNER, "agent": AGENT, "decoder": DECODER}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trick:
    """One way of breaking the module, and how often it is drawn."""

    name: str
    weight: int
    silences: bool = False
    """See Blow."""
    play: Callable[[], int]
    """Returns when its effect is over, CLOCK_MONOTONIC."""


class Mischief:
    """Plays tricks one after the other, some before the last one is over."""

    def __init__(self, line: ChaosLine, dice: random.Random, *, pause_s: tuple[float, float]):
        self.blows = [
            Blow(name="start", at_ns=line.began_ns, until_ns=line.began_ns, silences=True)
        ]
        self._line = line
        self._dice = dice
        self._pause_s = pause_s
        self._conts: list[tuple[int, int]] = []
        """When to let which process go on."""
        self._next_ns = monotonic_ns() + SECOND
        self._tricks = [
            Trick(name="kill judge", weight=3, silences=True, play=lambda: self._kill(JUDGE)),
            Trick(name="kill a runner", weight=8, play=lambda: self._kill(RUNNER)),
            Trick(name="kill all runners", weight=2, play=self._kill_runners),
            Trick(name="kill agent", weight=3, play=lambda: self._kill(AGENT)),
            Trick(name="kill decoder", weight=1, play=lambda: self._kill(DECODER)),
            Trick(name="kill supervisor", weight=1, silences=True, play=self._kill_supervisor),
            Trick(name="stop judge", weight=3, silences=True, play=lambda: self._stop(JUDGE)),
            Trick(name="stop a runner", weight=4, play=lambda: self._stop(RUNNER)),
            Trick(name="stop agent", weight=2, play=lambda: self._stop(AGENT)),
            Trick(name="camera hangs up", weight=2, play=self._now(line.camera_hangs_up)),
            Trick(
                name="writer restarts",
                weight=1,
                silences=True,
                play=self._now(line.writer_restarts),
            ),
            Trick(name="writer is deaf", weight=1, silences=True, play=self._deafen),
            Trick(name="PLC counts anew", weight=1, silences=True, play=self._new_epoch),
            Trick(name="a model is ordered", weight=6, play=self._now(line.order_next)),
            Trick(name="infer is asked", weight=2, play=self._now(line.ask)),
        ]

    def tend(self) -> None:
        """Play what is due; called between the turns of the line."""
        now_ns = monotonic_ns()
        for due_ns, pid in [each for each in self._conts if each[0] <= now_ns]:
            self._conts.remove((due_ns, pid))
            _signal(pid, signal.SIGCONT)
        process = self._line.process
        if process is not None and process.poll() is not None:
            self._line.start_supervisor()
        if now_ns >= self._next_ns:
            self._next_ns = now_ns + int(self._dice.uniform(*self._pause_s) * SECOND)
            self._play(now_ns)

    def let_go(self) -> None:
        """Let everything go on that is stopped."""
        for _, pid in self._conts:
            _signal(pid, signal.SIGCONT)
        self._conts.clear()

    def _play(self, now_ns: int) -> None:
        weights = [each.weight for each in self._tricks]
        (trick,) = self._dice.choices(self._tricks, weights)
        until_ns = trick.play()
        self._note(trick.name, now_ns, until_ns, silences=trick.silences)

    def _note(self, name: str, at_ns: int, until_ns: int, *, silences: bool) -> None:
        self.blows.append(Blow(name=name, at_ns=at_ns, until_ns=until_ns, silences=silences))

    def _pick(self, module: str) -> int | None:
        pids = sorted(self._line.pids(module))
        return self._dice.choice(pids) if pids else None

    def _kill(self, module: str) -> int:
        _signal(self._pick(module), signal.SIGKILL)
        return monotonic_ns()

    def _kill_runners(self) -> int:
        for pid in self._line.pids(RUNNER):
            _signal(pid, signal.SIGKILL)
        return monotonic_ns()

    def _kill_supervisor(self) -> int:
        process = self._line.process
        assert process is not None
        process.kill()
        process.wait()
        return monotonic_ns()

    def _stop(self, module: str) -> int:
        pid = self._pick(module)
        until_ns = monotonic_ns() + int(self._dice.uniform(0.05, 3.0) * SECOND)
        if pid is not None and _signal(pid, signal.SIGSTOP):
            self._conts.append((until_ns, pid))
        return until_ns

    def _deafen(self) -> int:
        seconds = self._dice.uniform(0.2, 2.0)
        self._line.writer_is_deaf_for(seconds)
        return monotonic_ns() + int(seconds * SECOND)

    def _new_epoch(self) -> int:
        self._line.epoch += 1
        return monotonic_ns()

    @staticmethod
    def _now(deed: Callable[[], None]) -> Callable[[], int]:
        def play() -> int:
            deed()
            return monotonic_ns()

        return play


def _signal(pid: int | None, number: signal.Signals) -> bool:
    with contextlib.suppress(ProcessLookupError):
        if pid is not None:
            os.kill(pid, number)
            return True
    return False
