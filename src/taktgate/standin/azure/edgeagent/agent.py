"""edgeAgent of one device: turns `$edgeAgent`'s desired properties into running modules."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from taktgate.standin.azure.clock import Clock, WorldClock
from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.edgeagent.manifest import (
    ModuleSpec,
    WantedModule,
    WantedStatus,
    parse_modules,
)
from taktgate.standin.azure.edgeagent.module import (
    Launch,
    ManagedModule,
    ModuleEvent,
    log_crash,
)
from taktgate.standin.azure.edgeagent.mounts import plan_mounts
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgeagent.restart_policy import BackOff
from taktgate.standin.azure.errors import ManifestError, UpstreamOfflineError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.quirks import QuirkBoard, System

log = logging.getLogger(__name__)

OWN_MODULE = "$edgeAgent"
SETTLE_S = 0.02
"""Reports that come closer than this are sent as one."""


class ModuleIdentities(Protocol):
    """Gives a module its identity on the device."""

    async def environment(self, module: str) -> dict[str, str]:
        """Open the module's workload API and return its IOTEDGE_* variables."""

    async def close(self, module: str) -> None:
        """Close the module's workload API."""


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


class EdgeAgent:
    """Follows the deployment; updates a module only when a field that matters has changed."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        identities: ModuleIdentities,
        report: Callable[[str, JsonObject], object],
        settings: EdgeAgentSettings,
        clock: Clock | None = None,
        quirks: QuirkBoard | None = None,
    ) -> None:
        self._clock = clock or WorldClock()
        self.quirks = quirks or QuirkBoard(System.EDGEAGENT)
        self._link = link
        self._identities = identities
        self._report = report
        self._settings = settings
        self._modules: dict[str, ManagedModule] = {}
        self._wanted: dict[str, WantedStatus] = {}
        self._deployed = asyncio.Event()
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        link.on_desired(self._on_desired)
        link.on_online(self._on_online)

    @property
    def modules(self) -> Mapping[str, ManagedModule]:
        """The modules that the device has now."""
        return self._modules

    def start(self) -> None:
        """Begin to follow the deployment."""
        self._deployed.set()
        follow = asyncio.create_task(self._follow(), name=f"edgeAgent {self._link.device}")
        report = asyncio.create_task(self._report_changes(), name="edgeAgent reports")
        self._tasks = [follow, report]
        for task in self._tasks:
            task.add_done_callback(log_crash)

    async def stop(self) -> None:
        """End all modules, then edgeAgent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await asyncio.gather(*(self._remove(name) for name in list(self._modules)))

    async def invoke(self, name: str, payload: Any) -> MethodResult:
        """Answer a direct method: ping and RestartModule."""
        if name == "ping":
            return MethodResult(status=200, payload=None)
        if name == "RestartModule":
            module = self._modules.get(payload.get("id", "")) if isinstance(payload, dict) else None
            if module is None:
                return MethodResult(status=404, payload={"message": "no such module"})
            await module.restart()
            return MethodResult(status=200, payload=None)
        return MethodResult(status=400, payload={"message": f"method {name} is not known here"})

    async def _follow(self) -> None:
        while True:
            await self._deployed.wait()
            self._deployed.clear()
            try:
                desired = dict(self._link.twin_properties(OWN_MODULE).desired)
            except UpstreamOfflineError:
                continue
            if desired:
                await self._apply(desired)

    async def _apply(self, desired: JsonObject) -> None:
        version = self._link.twin_properties(OWN_MODULE).desired_version
        code, description = 200, ""
        try:
            wanted = parse_modules(desired)
            launches = {each.spec.name: await self._launch(each.spec) for each in wanted}
        except (ManifestError, OSError) as error:
            code, description = 400, str(error)
            log.error("deployment refused", extra={"reason": description})
        else:
            await self._reconcile(wanted, launches)
        self._report(
            OWN_MODULE,
            {
                "schemaVersion": "1.1",
                "lastDesiredVersion": version,
                "lastDesiredStatus": {"code": code, "description": description},
                "runtime": {"platform": {"os": "linux", "architecture": os.uname().machine}},
                "systemModules": {
                    "edgeAgent": {"type": "docker", "runtimeStatus": "running"},
                    "edgeHub": {"type": "docker", "runtimeStatus": "running"},
                },
            },
        )
        self._changed.set()

    async def _reconcile(self, wanted: list[WantedModule], launches: Mapping[str, Launch]) -> None:
        names = {each.spec.name for each in wanted}
        for name in [name for name in self._modules if name not in names]:
            await self._remove(name)
        for each in wanted:
            await self._settle(each, launches[each.spec.name])

    async def _settle(self, wanted: WantedModule, launch: Launch) -> None:
        name = wanted.spec.name
        known = self._modules.get(name)
        if known is None or known.spec != wanted.spec:
            if known is not None:
                await known.stop()
            known = self._modules[name] = self._managed(wanted.spec, launch)
            self._wanted.pop(name, None)
        if self._wanted.get(name) == wanted.status:
            return
        self._wanted[name] = wanted.status
        if wanted.status is WantedStatus.RUNNING:
            known.start()
        else:
            await known.stop()

    def _managed(self, spec: ModuleSpec, launch: Launch) -> ManagedModule:
        return ManagedModule(
            device=self._link.device,
            spec=spec,
            launch=launch,
            back_off=self._settings.back_off,
            grace_s=self._settings.stop_grace_s,
            on_event=self._settings.on_event,
            on_change=self._changed.set,
        )

    async def _launch(self, spec: ModuleSpec) -> Launch:
        directory = self._settings.directory
        mounts = plan_mounts(
            spec.name, spec.create_options, directory=directory, volumes=self._settings.volumes
        )
        mounts.create()
        given = {**_docker_env(spec), **spec.env, **self._settings.environment.get(spec.name, {})}
        return Launch(
            command=self._settings.images.command(spec.image),
            environment={
                "PATH": os.environ.get("PATH", os.defpath),
                **{name: mounts.to_host(value) for name, value in given.items()},
                **await self._identities.environment(spec.name),
            },
            directory=directory / "work" / spec.name,
            log_file=directory / "logs" / f"{spec.name}.log",
        )

    async def _remove(self, name: str) -> None:
        await self._modules.pop(name).stop()
        self._wanted.pop(name, None)
        await self._identities.close(name)
        self._report(OWN_MODULE, {"modules": {name: None}})

    async def _report_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE_S)
            self._changed.clear()
            modules = {
                name: module.reported(self._wanted.get(name, WantedStatus.STOPPED))
                for name, module in self._modules.items()
            }
            self._report(OWN_MODULE, {"modules": modules})

    def _on_desired(self, module: str, _patch: JsonObject, _version: int) -> None:
        if module == OWN_MODULE:
            self._deployed.set()

    def _on_online(self, online: bool) -> None:
        if online:
            self._deployed.set()


def _docker_env(spec: ModuleSpec) -> dict[str, str]:
    pairs = (str(item).partition("=") for item in spec.create_options.get("Env") or [])
    return {name: value for name, _, value in pairs}
