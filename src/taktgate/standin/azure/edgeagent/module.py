"""One module under edgeAgent: its workload API, its process, its restarts."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from taktgate.standin.azure.edgeagent.manifest import ModuleSpec, WantedStatus
from taktgate.standin.azure.edgeagent.module_process import ModuleProcess
from taktgate.standin.azure.edgeagent.restart_policy import BackOff, shall_restart
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """All that is needed to run a module."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    log_file: Path


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
        launch: Launch,
        back_off: BackOff,
        grace_s: float,
        on_event: Callable[[ModuleEvent], None],
        on_change: Callable[[], None],
    ) -> None:
        self.spec = spec
        self.launch = launch
        self._device = device
        self._back_off = back_off
        self._grace_s = grace_s
        self._on_event = on_event
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self._process: ModuleProcess | None = None
        self.status = "stopped"
        self.exit_code: int | None = None
        self.restarts = 0
        self._started_at = ""

    @property
    def pid(self) -> int | None:
        """The running process's id."""
        return None if self._process is None else self._process.pid

    @property
    def is_supervised(self) -> bool:
        """Tell whether the module runs or waits to be started again."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        """Start the module with a clean record, unless it runs."""
        if not self.is_supervised:
            self.restarts = 0
            name = f"module {self._device}/{self.spec.name}"
            self._task = asyncio.create_task(self._supervise(), name=name)
            self._task.add_done_callback(log_crash)

    async def stop(self) -> None:
        """End the module: SIGTERM, and SIGKILL after the grace time."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        process, self._process = self._process, None
        if process is not None:
            self.exit_code = await process.stop(self._grace_s)
            self._tell(ModuleEventKind.STOPPED, process.pid)
        self._change("stopped")

    async def restart(self) -> None:
        """Stop and start the module, as edgeAgent's method RestartModule does."""
        await self.stop()
        self.start()

    def kill(self) -> bool:
        """Kill the module's processes as a fault; the restart policy acts after it."""
        if self._process is not None:
            self._process.kill()
        return self._process is not None

    def reported(self, wanted: WantedStatus) -> JsonObject:
        """Return the module's part of `$edgeAgent`'s reported properties."""
        return {
            "type": "docker",
            "version": self.spec.version,
            "status": str(wanted),
            "restartPolicy": str(self.spec.restart_policy),
            "imagePullPolicy": self.spec.pull_policy,
            "startupOrder": self.spec.startup_order,
            "settings": {"image": self.spec.image},
            "runtimeStatus": self.status,
            "exitCode": self.exit_code if self.exit_code is not None else 0,
            "restartCount": self.restarts,
            "lastStartTimeUtc": self._started_at,
        }

    async def _supervise(self) -> None:
        while True:
            began_s = time.monotonic()
            self.exit_code = await self._run_once()
            if time.monotonic() - began_s >= self._back_off.forgiven_after_s:
                self.restarts = 0
            if not shall_restart(self.spec.restart_policy, self.exit_code):
                self._change("stopped" if self.exit_code == 0 else "failed")
                return
            if self.restarts >= self._back_off.max_restarts:
                log.error("module given up", extra={"module_name": self.spec.name})
                self._change("failed")
                return
            self._change("backoff")
            await asyncio.sleep(self._back_off.delay_s(self.restarts))
            self.restarts += 1

    async def _run_once(self) -> int:
        try:
            process = await ModuleProcess.start(
                self.launch.command,
                environment=self.launch.environment,
                directory=self.launch.directory,
                log_file=self.launch.log_file,
            )
        except ManifestError as error:
            log.error(
                "module cannot be started",
                extra={"module_name": self.spec.name, "reason": str(error)},
            )
            return 127
        self._process = process
        self._started_at = datetime.now(UTC).isoformat()
        self._tell(ModuleEventKind.STARTED, process.pid)
        self._change("running")
        code = await process.wait()
        self._process = None
        self.exit_code = code
        self._tell(ModuleEventKind.EXITED, process.pid)
        return code

    def _change(self, status: str) -> None:
        self.status = status
        self._on_change()

    def _tell(self, kind: ModuleEventKind, pid: int) -> None:
        self._on_event(
            ModuleEvent(
                device=self._device,
                module=self.spec.name,
                kind=kind,
                pid=pid,
                exit_code=None if kind is ModuleEventKind.STARTED else self.exit_code,
                at_monotonic_s=time.monotonic(),
            )
        )
