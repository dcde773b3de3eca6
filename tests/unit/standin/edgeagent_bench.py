"""An edgeAgent with a real hub, a clock that is told, and modules that are only remembered."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taktgate.standin.azure.clock import ManualClock
from taktgate.standin.azure.edgeagent.agent import EdgeAgent, EdgeAgentSettings
from taktgate.standin.azure.edgeagent.errors import EngineUnreachableError, StepFailedError
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgeagent.runtime import (
    ContainerState,
    LogLine,
    LogWindow,
    ModuleRecipe,
    Platform,
    RegistryLogin,
)
from taktgate.standin.azure.iothub.hub import IotHub

DEVICE = "station-1"
AGENT = "$edgeAgent"
REPORT_PERIOD_S = 0.25


@dataclass(slots=True, kw_only=True)
class FakeContainer:
    recipe: ModuleRecipe
    runs: int = 0
    exit_code: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeRuntime:
    """The port in memory: it tells what was done, and ends modules when it is told to."""

    def __init__(self, images: Sequence[str]) -> None:
        self.registry = set(images)
        self.local: set[str] = set()
        self.containers: dict[str, FakeContainer] = {}
        self.done: list[str] = []
        self.lines: dict[str, list[LogLine]] = {}
        self.is_gone = False

    async def open(self) -> Platform:
        return Platform(os="linux", architecture="x86_64", version="24.0.7")

    async def close(self) -> None:
        self.done.append("close")

    async def has_image(self, image: str) -> bool:
        return image in self.local

    async def pull(self, image: str, logins: Sequence[RegistryLogin]) -> None:
        self.done.append(f"pull {image}")
        if image not in self.registry:
            raise StepFailedError(f"Could not pull image {image}: manifest unknown")
        self.local.add(image)

    async def create(self, recipe: ModuleRecipe) -> None:
        if recipe.spec.image not in self.local:
            raise StepFailedError(f"No such image: {recipe.spec.image}")
        self.done.append(f"create {recipe.spec.name}")
        self.containers[recipe.spec.name] = FakeContainer(recipe=recipe)

    async def start(self, name: str) -> int:
        container = self.containers.get(name)
        if container is None:
            raise StepFailedError(f"No such container: {name}")
        self.done.append(f"start {name}")
        container.runs += 1
        container.ended.clear()
        return container.runs

    async def wait(self, name: str) -> int:
        container = self.containers[name]
        await container.ended.wait()
        self._must_be_there()
        return container.exit_code

    async def stop(self, name: str, grace_s: float) -> int:
        self._must_be_there()
        self.done.append(f"stop {name}")
        self.containers[name].ended.set()
        return 0

    async def kill(self, name: str) -> None:
        self.end(name, -9)

    async def remove(self, name: str) -> None:
        self.done.append(f"remove {name}")
        self.containers.pop(name, None)

    async def state(self, name: str) -> ContainerState | None:
        container = self.containers.get(name)
        if container is None:
            return None
        return ContainerState(is_running=not container.ended.is_set(), image_hash="sha256:1")

    async def logs(self, name: str, window: LogWindow) -> list[LogLine]:
        return [line for line in self.lines.get(name, []) if window.holds(line.stamped_s)]

    def _must_be_there(self) -> None:
        if self.is_gone:
            raise EngineUnreachableError("container engine at x does not answer")

    def end(self, name: str, exit_code: int) -> None:
        container = self.containers[name]
        container.exit_code = exit_code
        container.ended.set()


class FakeIdentities:
    def __init__(self) -> None:
        self.open: set[str] = set()
        self.released: list[str] = []

    async def environment(self, module: str) -> dict[str, str]:
        self.open.add(module)
        return {"IOTEDGE_MODULEID": module}

    async def close(self, module: str) -> None:
        self.open.discard(module)

    def release(self, module: str) -> None:
        self.released.append(module)


class AgentBench:
    """One device: its edgeAgent may be stopped and started, its hub and directory stay."""

    def __init__(self, directory: Path, *, images: Sequence[str] = ("a:1", "a:2", "b:1", "b:2")):
        self.clock = ManualClock()
        self.hub = IotHub(evaluates_at_once=True)
        self.hub.put_device(DEVICE, {"capabilities": {"iotEdge": True}})
        self.link = self.hub.link(DEVICE)
        self.runtime = FakeRuntime(images)
        self.identities = FakeIdentities()
        self.settings = EdgeAgentSettings(
            images=ProcessImages(commands={}),
            directory=directory,
            report_period_s=REPORT_PERIOD_S,
        )
        self.agent = self.new_agent()

    def new_agent(self) -> EdgeAgent:
        return EdgeAgent(
            link=self.link,
            identities=self.identities,
            settings=self.settings,
            clock=self.clock,
            runtime=self.runtime,
        )

    def deploy(self, modules: Mapping[str, Any], *, env: Mapping[str, str] | None = None) -> None:
        agent = {"type": "docker", "settings": {"image": "agent:1.6"}, "env": wire_env(env or {})}
        self.deploy_raw(
            {
                "schemaVersion": "1.1",
                "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
                "systemModules": {"edgeAgent": agent},
                "modules": modules,
            }
        )

    def deploy_raw(self, desired: Mapping[str, Any]) -> None:
        whole = {"runtime": {}, "systemModules": {}, "modules": {}, **desired}
        content = {AGENT: {"properties.desired": whole}}
        self.hub.apply_content(DEVICE, content)

    async def settle(self, seconds: float = REPORT_PERIOD_S * 2) -> None:
        """Let all that is due happen, within *seconds* of the world."""
        await turn_over()
        for _ in range(2):
            self.clock.advance(seconds / 2)
            await turn_over()

    @property
    def reported(self) -> dict[str, Any]:
        return dict(self.hub.identity(DEVICE, AGENT).reported)

    @property
    def status(self) -> tuple[int, str]:
        status = self.reported["lastDesiredStatus"]
        return status["code"], status["description"]

    def module(self, name: str) -> dict[str, Any]:
        return dict(self.reported["modules"][name])


async def turn_over() -> None:
    """Let every task that can run do so."""
    for _ in range(50):
        await asyncio.sleep(0)


def wire_env(env: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"value": value} for name, value in env.items()}


def wanted(image: str, **changes: Any) -> dict[str, Any]:
    settings = {"image": image, "createOptions": json.dumps({"HostConfig": {}})}
    return {
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "settings": settings,
        **changes,
    }


def broken(**changes: Any) -> dict[str, Any]:
    return {"schemaVersion": "1.1", "modules": {"a": wanted("a:1", **changes)}}


def run(
    directory: Path,
    job: Callable[[AgentBench], Any],
    **options: Any,
) -> AgentBench:
    """Run *job* with a bench whose edgeAgent has been started."""

    async def main() -> AgentBench:
        bench = AgentBench(directory, **options)
        await bench.agent.start()
        try:
            await job(bench)
        finally:
            await bench.agent.stop()
        return bench

    return asyncio.run(main())


def version(bench: AgentBench) -> int:
    return bench.link.twin_properties(AGENT).desired_version


def pulls(bench: AgentBench) -> int:
    return sum(each.startswith("pull") for each in bench.runtime.done)


async def forward(bench: AgentBench, seconds: int) -> None:
    """Let the world's time pass second by second."""
    step_s = 1 if seconds <= 120 else seconds / 120
    for _ in range(min(seconds, 120)):
        bench.clock.advance(step_s)
        await turn_over()
