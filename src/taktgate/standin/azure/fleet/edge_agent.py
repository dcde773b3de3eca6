"""`$edgeAgent` of a light device: the deployment's modules run after a while, and it says so."""

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgeagent.deployment.status import (
    SUCCESSFUL,
    refused,
)
from taktgate.standin.azure.edgeagent.manifest import (
    WantedModule,
    WantedStatus,
    parse_deployment,
)
from taktgate.standin.azure.edgeagent.report import AGENT_VERSION, SCHEMA_VERSION
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.fleet.behaviour import Desired, Effects, Elapsed, Event, Run, Waits
from taktgate.standin.azure.fleet.pace import Pace
from taktgate.standin.azure.json_types import JsonObject


class LightEdgeAgent:
    """Applies a deployment as edgeAgent reports it; the images are only pulled for show."""

    def __init__(self, device: str, *, pace: Pace, seed: int) -> None:
        self._device = device
        self._pace = pace
        self._seed = seed
        self._waits = Waits()
        self._wanted: dict[str, WantedModule] = {}
        self._running: dict[str, WantedModule] = {}
        self._next: tuple[JsonObject, int] = ({}, 0)
        self._applied: tuple[JsonObject, int] | None = None
        self._status = SUCCESSFUL

    def resume(self, reported: JsonObject) -> Effects:
        """Start; nothing runs yet."""
        return ()

    def on(self, event: Event) -> Effects:
        """Take a deployment, or go on when its modules have started."""
        match event:
            case Desired(document=document, version=version):
                return self._take(document, version)
            case Elapsed() if self._waits.is_over(event):
                return self._run()
        return ()

    def call(self, name: str, payload: object) -> tuple[MethodResult, Effects]:
        """Answer a direct method; a restart lets a module start anew."""
        if name == "ping":
            return MethodResult(status=200, payload=None), ()
        if name != "RestartModule":
            message = f"method {name} is not known here"
            return MethodResult(status=400, payload={"message": message}), ()
        module = payload.get("id") if isinstance(payload, dict) else None
        if module not in self._running:
            message = f"Module {module} not found in the current environment"
            return MethodResult(status=500, payload={"message": message}), ()
        names = self._running_names()
        effects = (Run(modules=names - {module}), Run(modules=names))
        return MethodResult(status=200, payload=None), effects

    def reported(self) -> JsonObject:
        """Return edgeAgent's report: the last deployment that was applied, and how that ended."""
        if self._applied is None:
            return {}
        document, version = self._applied
        return {
            "schemaVersion": SCHEMA_VERSION,
            "version": {"version": AGENT_VERSION},
            "lastDesiredVersion": version,
            "lastDesiredStatus": self._status.to_wire(),
            "runtime": {
                "type": "docker",
                "platform": {"os": "linux", "architecture": "x86_64", "version": AGENT_VERSION},
            },
            "systemModules": {
                name: _system_module(document, name) for name in ("edgeAgent", "edgeHub")
            },
            "modules": {name: _module(wanted) for name, wanted in self._running.items()},
        }

    def _take(self, document: JsonObject, version: int) -> Effects:
        self._next = (document, version)
        try:
            modules = parse_deployment(document).modules
        except ManifestError as error:
            self._status, self._applied = refused(error), self._next
            return ()
        self._wanted = wanted = {each.spec.name: each for each in modules}
        if wanted == self._running:
            self._waits.forget()
            return self._run()
        return self._waits.begin(self._pace.pull.draw(self._seed, "pull", self._device, version))

    def _run(self) -> Effects:
        self._running = dict(self._wanted)
        self._status, self._applied = SUCCESSFUL, self._next
        return (Run(modules=self._running_names()),)

    def _running_names(self) -> frozenset[str]:
        return frozenset(
            name for name, wanted in self._running.items() if wanted.status is WantedStatus.RUNNING
        )


def _module(wanted: WantedModule) -> JsonObject:
    is_running = wanted.status is WantedStatus.RUNNING
    return {
        "type": "docker",
        "version": wanted.spec.version,
        "status": str(wanted.status),
        "restartPolicy": str(wanted.spec.restart_policy),
        "startupOrder": wanted.spec.startup_order,
        "settings": {"image": wanted.spec.image},
        "runtimeStatus": "running" if is_running else "stopped",
        "exitCode": 0,
        "restartCount": 0,
    }


def _system_module(document: JsonObject, name: str) -> JsonObject:
    modules = document.get("systemModules")
    entry = modules.get(name) if isinstance(modules, dict) else None
    settings = entry.get("settings") if isinstance(entry, dict) else None
    image = settings.get("image") if isinstance(settings, dict) else None
    report: JsonObject = {"type": "docker", "runtimeStatus": "running", "exitCode": 0}
    return report if image is None else {**report, "settings": {"image": image}}
