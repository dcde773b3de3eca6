"""The first process of a module: starts its children, restarts them, ends with them."""

import logging
import os
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Final

from taktgate.edge.exits import EXIT_BAD_SETTINGS, EXIT_BUG
from taktgate.edge.process import PARENT_VARIABLE

log = logging.getLogger(__name__)

RESTART_DELAY_S: Final = 0.2
"""Short enough for the line (design: within 0.5 s), long enough to let sockets close."""
MAX_RESTARTS: Final = 10
RESTART_WINDOW_S: Final = 30.0
EXPENDABLE_PAUSE_S: Final = 10.0
"""Before the next start of an expendable process for which restarting does not help."""
STOP_GRACE_S: Final = 3.0
_POLL_S: Final = 0.05

CHILD_ENDED: Final = "a process of this module ended"
"""What the log says, followed by `role` and `exit_code` (negative: the number of a signal)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """One process of a module: its role, and the command that starts it."""

    role: str
    argv: Sequence[str]
    is_expendable: bool = False
    """The others do their work without it: however often it fails, it does not end the module."""


class RestartBudget:
    """Counts restarts in a sliding window; too many mean that restarting does not help."""

    def __init__(self, *, limit: int = MAX_RESTARTS, window_s: float = RESTART_WINDOW_S) -> None:
        self._limit = limit
        self._window_s = window_s
        self._restarts: deque[float] = deque()

    def spend(self, now_s: float) -> bool:
        """Take note of a restart at *now_s*; return False when the budget is used up."""
        while self._restarts and self._restarts[0] <= now_s - self._window_s:
            self._restarts.popleft()
        self._restarts.append(now_s)
        return len(self._restarts) <= self._limit


class Supervisor:
    """Keeps the children of one module alive until it is told to stop."""

    def __init__(
        self,
        children: Sequence[Child],
        *,
        environment: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._children = children
        self._environment = {**environment, PARENT_VARIABLE: str(os.getpid())}
        self._clock = clock
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._due: dict[str, float] = {}
        self._budget = {child.role: RestartBudget() for child in children}
        self._stopping = False

    def run(self) -> int:
        """Run until SIGTERM (returns 0) or until restarting does not help (returns why)."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        code = 0
        while not self._stopping and code == 0:
            code = max(self._tend(child) for child in self._children)
            if code == 0:
                time.sleep(_POLL_S)
        self._stop_all()
        return code

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _tend(self, child: Child) -> int:
        """Start or restart *child* as needed; return an exit code when there is no point in it."""
        process = self._running.get(child.role)
        if process is None:
            return self._start(child) if self._clock() >= self._due.get(child.role, 0.0) else 0
        ended_with = process.poll()
        if ended_with is None:
            return 0
        del self._running[child.role]
        return self._note_end(child, ended_with)

    def _start(self, child: Child) -> int:
        try:
            self._running[child.role] = subprocess.Popen(child.argv, env=self._environment)
        except OSError as error:
            # No memory or no process to be had: no reason to end the others.
            log.error("a process cannot be started", extra={"reason": str(error)})
            return self._note_end(child, EXIT_BUG)
        return 0

    def _note_end(self, child: Child, ended_with: int) -> int:
        self._due[child.role] = self._clock() + RESTART_DELAY_S
        code = self._verdict_on(child, ended_with)
        log.error(
            CHILD_ENDED,
            extra={"role": child.role, "exit_code": ended_with, "restarting": code == 0},
        )
        return code

    def _verdict_on(self, child: Child, ended_with: int) -> int:
        """Return 0 when *child* is to be started again, else the code to end the module with."""
        is_hopeless = ended_with == EXIT_BAD_SETTINGS
        if is_hopeless and not child.is_expendable:
            return EXIT_BAD_SETTINGS
        if self._budget[child.role].spend(self._clock()) and not is_hopeless:
            return 0
        if child.is_expendable:
            # The others may run on settings of yesterday; they are not to fall over today's slip.
            self._due[child.role] = self._clock() + EXPENDABLE_PAUSE_S
            return 0
        log.critical("restarting does not help: this module ends", extra={"role": child.role})
        return EXIT_BUG

    def _stop_all(self) -> None:
        for process in self._running.values():
            process.terminate()
        deadline = self._clock() + STOP_GRACE_S
        for process in self._running.values():
            try:
                process.wait(timeout=max(0.0, deadline - self._clock()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
