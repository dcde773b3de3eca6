"""edgeAgent of one device: turns `$edgeAgent`'s desired properties into running modules.

The cycle is Azure/iotedge edge-agent/.../Agent.Core/Agent.cs: get the deployment, compare it with
the modules there are, do the steps, report.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taktgate.standin.azure.clock import Clock, Timer, WorldClock
from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.edgeagent.deployment import status as deployment_status
from taktgate.standin.azure.edgeagent.deployment.backup import DeploymentBackup
from taktgate.standin.azure.edgeagent.deployment.source import DeploymentSource
from taktgate.standin.azure.edgeagent.deployment.status import DeploymentStatus
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.logs.journal import Journal
from taktgate.standin.azure.edgeagent.methods import AgentMethods
from taktgate.standin.azure.edgeagent.module import ManagedModule, ModuleEvent, log_crash
from taktgate.standin.azure.edgeagent.module_set import (
    ModuleIdentities,
    ModuleSet,
    ModuleSetSettings,
)
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgeagent.report import AGENT_VERSION, AgentSight, reported_properties
from taktgate.standin.azure.edgeagent.reporter import Reporter
from taktgate.standin.azure.edgeagent.restart_policy import BackOff
from taktgate.standin.azure.edgeagent.runtime import ModuleRuntime, Platform
from taktgate.standin.azure.edgeagent.runtimes import new_runtime
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.quirks import QuirkBoard, System

log = logging.getLogger(__name__)

OWN_MODULE = "$edgeAgent"
RECONCILE_PERIOD_S = 5.0
"""How often edgeAgent looks again while a deployment is not done: Program.cs, reconcile task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeAgentSettings:
    """How one edgeAgent runs modules."""

    images: ProcessImages
    directory: Path
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Extra variables by module; they win over the manifest."""
    volumes: Mapping[str, Path] = field(default_factory=dict)
    """Directories for named volumes or host paths."""
    back_off: BackOff = field(default_factory=BackOff)
    stop_grace_s: float = 10.0
    on_event: Callable[[ModuleEvent], None] = lambda _: None
    runtime: DockerSettings | None = None
    """Run modules as containers of this engine; None runs the commands of `images`."""
    report_period_s: float = 0.02
    """Reports that come closer than this, in world seconds, are sent as one; 5 in Azure."""


class EdgeAgent:
    """Follows the deployment; updates a module only when a field that matters has changed."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        identities: ModuleIdentities,
        settings: EdgeAgentSettings,
        clock: Clock | None = None,
        quirks: QuirkBoard | None = None,
        runtime: ModuleRuntime | None = None,
        hub_hostname: str = "localhost",
    ) -> None:
        """Prepare; nothing happens before `start`.

        Args:
            link: The device's line to the hub.
            identities: Gives modules their identities.
            settings: How modules are run.
            clock: The world's clock; the wall's if none is given.
            quirks: What edgeAgent does wrong; a board of its own if none is given.
            runtime: What runs modules, in place of the one that *settings* choose.
            hub_hostname: The hub's name, as the lines of logs give it.
        """
        self._link = link
        self._settings = settings
        self._clock = clock or WorldClock()
        self.quirks = quirks or QuirkBoard(System.EDGEAGENT)
        self.runtime: ModuleRuntime = runtime or new_runtime(
            settings.runtime,
            device=link.device,
            images=settings.images,
            directory=settings.directory,
            volumes=settings.volumes,
            clock=self._clock,
        )
        self._platform = Platform(os="", architecture="", version="")
        self.journal = Journal(settings.directory / "logs" / "edgeAgent.log", self._clock)
        self._source = DeploymentSource(
            link,
            OWN_MODULE,
            backup=DeploymentBackup(settings.directory / "agent"),
            back_off=settings.back_off,
            journal=self.journal,
        )
        self._set = ModuleSet(
            runtime=self.runtime,
            identities=identities,
            clock=self._clock,
            quirks=self.quirks,
            journal=self.journal,
            settings=ModuleSetSettings(
                device=link.device,
                environment=settings.environment,
                grace_s=settings.stop_grace_s,
                back_off=lambda: self._source.options.back_off,
                on_event=settings.on_event,
                on_change=self._on_change,
            ),
        )
        self._reporter = Reporter(link, OWN_MODULE)
        self._methods = AgentMethods(self, hub=hub_hostname, device=link.device, clock=self._clock)
        self._status = deployment_status.COOLING_OFF
        self._version = 0
        self._started_at = self._clock.utc()
        self._is_up = False
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._next_look: Timer | None = None
        self._tasks: list[asyncio.Task[None]] = []
        link.on_desired(self._on_desired)
        link.on_online(self._on_online)

    @property
    def modules(self) -> Mapping[str, ManagedModule]:
        """The modules that the device has now."""
        return self._set.modules

    async def start(self) -> None:
        """Begin to follow the deployment; offline, the one that was followed last.

        Raises:
            EngineUnreachableError: Modules are to be containers and no engine answers.
        """
        self._platform = await self.runtime.open()
        self.journal.inform(f"Version - {AGENT_VERSION}")
        self._started_at = self._clock.utc()
        self._is_up = True
        self._link.set_here(OWN_MODULE, True)
        self._source.restore()
        if self._source.good is not None:
            self._set.remember(self._source.good.deployment)
        self._wake.set()
        follow = asyncio.create_task(self._follow(), name=f"edgeAgent {self._link.device}")
        report = asyncio.create_task(self._report_changes(), name="edgeAgent reports")
        self._tasks = [follow, report]
        for task in self._tasks:
            task.add_done_callback(log_crash)

    async def stop(self) -> None:
        """End all modules, then edgeAgent, which says so last: Agent.cs, HandleShutdown."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._look_later(None)
        was_up, self._is_up = self._is_up, False
        self._status = deployment_status.NOT_RUNNING
        last_words = self._properties()
        await self._set.stop()
        if was_up:
            self._reporter.report(last_words)
        self._link.set_here(OWN_MODULE, False)
        await self.runtime.close()

    async def invoke(self, name: str, payload: Any) -> MethodResult:
        """Answer a direct method of edgeAgent."""
        return await self._methods.invoke(name, payload)

    async def _follow(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._source.refresh()
            self._status = await self._reconcile()
            self._on_change()

    async def _reconcile(self) -> DeploymentStatus:
        """Do what is to be done for the last good deployment, and return the status to report."""
        self._look_later(None)
        good, refusal = self._source.good, self._source.refusal
        if good is None:
            return refusal or deployment_status.COOLING_OFF
        outcome = await self._set.apply(good, self._source.options)
        # The version in force: a refused deployment is not it, one with failed steps is.
        self._version = good.version
        if not outcome.is_complete:
            # A rehearsal with a shorter cool-off unit also looks again sooner; 0 is none.
            unit_s = self._source.options.back_off.base_s or RECONCILE_PERIOD_S
            self._look_later(min(RECONCILE_PERIOD_S, unit_s))
        if refusal is not None:
            return refusal
        return outcome.status()

    def _look_later(self, delay_s: float | None) -> None:
        if self._next_look is not None:
            self._next_look.cancel()
        self._next_look = (
            None if delay_s is None else self._clock.call_later(delay_s, self._wake.set)
        )

    async def _report_changes(self) -> None:
        while True:
            await self._changed.wait()
            await self._clock.sleep(self._settings.report_period_s)
            self._changed.clear()
            self._reporter.report(self._properties())

    def _properties(self) -> JsonObject:
        good = self._source.good
        return reported_properties(
            AgentSight(
                version=self._version,
                status=self._status,
                platform=self._platform,
                deployment=None if good is None else good.deployment,
                modules=self._set.sights(),
                is_up=self._is_up,
                started_at=self._started_at,
            )
        )

    def _on_change(self) -> None:
        self._changed.set()

    def _on_desired(self, module: str, _patch: JsonObject, _version: int) -> None:
        if module == OWN_MODULE:
            self._wake.set()

    def _on_online(self, online: bool) -> None:
        if online:
            self._wake.set()
            self._on_change()
