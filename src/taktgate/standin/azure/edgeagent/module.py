"""One module under edgeAgent: its run, its end, its restarts."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from taktgate.standin.azure.clock import Clock, Timer
from taktgate.standin.azure.edgeagent.errors import StepFailedError
from taktgate.standin.azure.edgeagent.manifest import ModuleSpec
from taktgate.standin.azure.edgeagent.module_status import (
    TURN_AFTER_EXIT,
    RuntimeStatus,
    Turn,
    advance,
)
from taktgate.standin.azure.edgeagent.restart_policy import BackOff, status_after_exit
from taktgate.standin.azure.edgeagent.runtime import ModuleRuntime

log = logging.getLogger(__name__)

NEVER = datetime(1, 1, 1, tzinfo=UTC)
"""What .NET says of a time that has not come: DateTime.MinValue."""
CANNOT_RUN = 127
"""The exit code of a program that could not be started, as a shell and Docker have it."""
CANNOT_TELL = 255
"""The exit code of a module that was lost from sight, because its engine went away."""


class ModuleEventKind(StrEnum):
    """What happened to a module's process."""

    STARTED = "started"
    EXITED = "exited"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleEvent:
    """A start or an end of a module's process; `EXITED` is one that nobody asked for."""

    device: str
    module: str
    kind: ModuleEventKind
    pid: int
    exit_code: int | None
    at_monotonic_s: float


@dataclass(slots=True, kw_only=True)
class ModuleRecord:
    """What is reported of a module's past, in the world's time."""

    exit_code: int = 0
    restarts: int = 0
    image_hash: str = ""
    started_at: datetime = NEVER
    exited_at: datetime = NEVER
    restarted_at: datetime = NEVER


def log_crash(task: asyncio.Task[None]) -> None:
    """Log the end of a task that should not have ended by an error."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("edgeAgent task crashed: %s", task.get_name(), exc_info=error)


class ManagedModule:
    """Runs one module by its restart policy. A changed spec is a new ManagedModule."""

    def __init__(
        self,
        *,
        device: str,
        spec: ModuleSpec,
        runtime: ModuleRuntime,
        clock: Clock,
        back_off: Callable[[], BackOff],
        grace_s: float,
        on_event: Callable[[ModuleEvent], None],
        on_change: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.record = ModuleRecord()
        self.status = RuntimeStatus.STOPPED
        self.pid: int | None = None
        self._device = device
        self._runtime = runtime
        self._clock = clock
        self._back_off = back_off
        self._grace_s = grace_s
        self._on_event = on_event
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self._forgiveness: Timer | None = None
        self._is_retired = False
        # One order at a time; and a start is over, with its process known, before it is stopped.
        self._ordering = asyncio.Lock()
        self._starting = asyncio.Lock()

    @property
    def is_supervised(self) -> bool:
        """Tell whether the module runs or waits to be started again."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start the module with a clean record, unless it runs."""
        if not self.is_supervised:
            self.record.restarts = 0
            self.record.restarted_at = NEVER
            self._supervise_from_now()

    async def stop(self) -> None:
        """End the module: SIGTERM, and SIGKILL after the grace time."""
        async with self._ordering:
            await self._halt()

    async def retire(self) -> None:
        """End the module for ever: it has been removed, or another takes its place."""
        self._is_retired = True
        await self.stop()

    async def restart(self) -> None:
        """Stop and start the module, as edgeAgent's method RestartModule does.

        The count of restarts is about those that edgeAgent had to do, and stays.
        """
        async with self._ordering:
            await self._halt()
            self._supervise_from_now()

    async def kill(self) -> None:
        """Kill the module's processes as a fault; the restart policy acts after it."""
        await self._runtime.kill(self.spec.name)

    async def _halt(self) -> None:
        async with self._starting:
            task, self._task = self._task, None
            if task is not None:
                task.cancel()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)
        self._cancel_forgiveness()
        if self.pid is not None:
            self._note_exit(await self._runtime.stop(self.spec.name, self._grace_s))
            self._tell(ModuleEventKind.STOPPED)
            self.pid = None
        self._turn(Turn.STOPPED_BY_AGENT)

    def _supervise_from_now(self) -> None:
        if self._is_retired:
            return
        name = f"module {self._device}/{self.spec.name}"
        self._task = asyncio.create_task(self._supervise(), name=name)
        self._task.add_done_callback(log_crash)

    async def _supervise(self) -> None:
        while True:
            exit_code = await self._run_once()
            back_off = self._back_off()
            then = status_after_exit(
                self.spec.restart_policy,
                exit_code=exit_code,
                restarts=self.record.restarts,
                max_restarts=back_off.max_restarts,
            )
            self._turn(TURN_AFTER_EXIT[then])
            if then is not RuntimeStatus.BACKOFF:
                facts = {"module_name": self.spec.name, "exit_code": exit_code}
                log.info("module has ended for good", extra=facts)
                return
            await self._clock.sleep(back_off.delay_s(self.record.restarts))
            self.record.restarts += 1
            self.record.restarted_at = self._clock.utc()

    async def _run_once(self) -> int:
        try:
            async with self._starting:
                self.pid = await self._runtime.start(self.spec.name)
        except StepFailedError as error:
            facts = {"module_name": self.spec.name, "reason": str(error)}
            log.error("module cannot be started", extra=facts)
            self._note_exit(CANNOT_RUN)
            return CANNOT_RUN
        self.record.started_at = self._clock.utc()
        self._await_forgiveness()
        self._tell(ModuleEventKind.STARTED)
        self._turn(Turn.STARTED)
        exit_code = await self._exit_code()
        self._cancel_forgiveness()
        self._note_exit(exit_code)
        self._tell(ModuleEventKind.EXITED)
        self.pid = None
        return exit_code

    async def _exit_code(self) -> int:
        try:
            return await self._runtime.wait(self.spec.name)
        except StepFailedError as error:
            facts = {"module_name": self.spec.name, "reason": str(error)}
            log.error("module was lost from sight", extra=facts)
            return CANNOT_TELL

    def _await_forgiveness(self) -> None:
        """Clear the record once the module has run long enough: HealthRestartPlanner.cs."""
        if self.record.restarts:
            after_s = self._back_off().forgiven_after_s
            self._forgiveness = self._clock.call_later(after_s, self._forgive)

    def _forgive(self) -> None:
        self.record.restarts = 0
        self.record.restarted_at = NEVER
        self._on_change()

    def _cancel_forgiveness(self) -> None:
        if self._forgiveness is not None:
            self._forgiveness.cancel()
            self._forgiveness = None

    def _note_exit(self, exit_code: int) -> None:
        self.record.exit_code = exit_code
        self.record.exited_at = self._clock.utc()

    def _turn(self, turn: Turn) -> None:
        self.status = advance(self.status, turn)
        self._on_change()

    def _tell(self, kind: ModuleEventKind) -> None:
        assert self.pid is not None
        self._on_event(
            ModuleEvent(
                device=self._device,
                module=self.spec.name,
                kind=kind,
                pid=self.pid,
                exit_code=None if kind is ModuleEventKind.STARTED else self.record.exit_code,
                at_monotonic_s=time.monotonic(),
            )
        )
