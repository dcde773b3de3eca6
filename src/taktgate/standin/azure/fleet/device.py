"""One light device: which modules run, what they tell each other, who waits for what."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.standin.azure.clock import Clock, Timer
from taktgate.standin.azure.device_link import HubSide, MethodResult
from taktgate.standin.azure.fleet.behaviour import (
    Desired,
    Effects,
    Elapsed,
    Heard,
    LightModule,
    Message,
    Run,
    Tell,
    Wait,
)
from taktgate.standin.azure.fleet.edge_agent import LightEdgeAgent
from taktgate.standin.azure.fleet.edge_hub import LightEdgeHub
from taktgate.standin.azure.fleet.faults import Faults
from taktgate.standin.azure.fleet.inference import LightInference
from taktgate.standin.azure.fleet.module_client import HubPlace, ModuleClient
from taktgate.standin.azure.fleet.pace import Pace
from taktgate.standin.azure.fleet.stager import LightStager
from taktgate.standin.azure.json_types import JsonObject

EDGE_AGENT, EDGE_HUB = "$edgeAgent", "$edgeHub"


class FleetObserver(Protocol):
    """Hears what happens on the devices, at the moment when it happens there."""

    def desired_changed(self, device: str, module: str, document: JsonObject) -> None:
        """A module has got these desired properties."""

    def report_taken(self, device: str, module: str, reported: JsonObject) -> None:
        """The hub has acknowledged this report of a module."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the devices of a fleet share."""

    hub: HubSide
    """Gives the identity service of a device its modules' keys."""
    place: HubPlace
    pace: Pace
    faults: Faults
    seed: int
    observer: FleetObserver | None


class LightDevice:
    """A device that runs from `start` to `stop`."""

    MODULES = (EDGE_AGENT, EDGE_HUB, MODEL_STAGER, INFERENCE)
    """The modules that behave, and have a connection while they run."""

    def __init__(self, name: str, world: Surroundings) -> None:
        self.name = name
        self._world = world
        self._agent = LightEdgeAgent(name, pace=world.pace, seed=world.seed)
        self._modules: dict[str, _RunningModule] = {}
        self._told: dict[str, Message] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._is_stopped = False
        self.connected = asyncio.Event()
        """Set once edgeAgent has connected and read its twin."""
        makers = (lambda: self._agent, LightEdgeHub, self._new_stager, self._new_inference)
        self._new: Mapping[str, Callable[[], LightModule]] = dict(
            zip(self.MODULES, makers, strict=True)
        )

    @property
    def is_connected(self) -> bool:
        """Tell whether edgeAgent has read its twin and is connected."""
        agent = self._modules.get(EDGE_AGENT)
        return agent is not None and agent.client.is_connected and agent.has_started

    @property
    def connections(self) -> int:
        """The connections to the hub."""
        return sum(each.client.is_connected for each in self._modules.values())

    def start(self) -> None:
        """Start the two system modules; the deployment starts the others."""
        self._run(frozenset())

    async def stop(self) -> None:
        """Disconnect all."""
        self._is_stopped = True
        for name in list(self._modules):
            self._end(name)
        await asyncio.gather(*self._leaving)

    def desired(self, module: str) -> JsonObject:
        """Return the desired properties that a module of the device has got; empty if none runs."""
        running = self._modules.get(module)
        return {} if running is None else running.client.mirror.desired

    def reported(self, module: str) -> JsonObject:
        """Return what a module of the device reports; empty if none runs."""
        running = self._modules.get(module)
        return {} if running is None else running.behaviour.reported()

    def act_on(self, module: "_RunningModule", effects: Effects) -> None:
        """Carry out what a module's behaviour wants, then report."""
        for effect in effects:
            match effect:
                case Wait():
                    module.wait(effect)
                case Tell(module=other, message=message):
                    self._tell(other, message)
                case Run(modules=names):
                    self._run(names)
        module.report()

    def call(self, module: "_RunningModule", name: str, payload: Any) -> MethodResult:
        """Answer a direct method; only edgeAgent subscribes to them."""
        result, effects = self._agent.call(name, payload)
        self.act_on(module, effects)
        return result

    def last_told(self, module: str) -> Message | None:
        """Return what *module* was told last, also while it did not run."""
        return self._told.get(module)

    def _run(self, names: frozenset[str]) -> None:
        if self._is_stopped:
            return
        wanted = {EDGE_AGENT, EDGE_HUB, *names} & self._new.keys()
        for name in self._modules.keys() - wanted:
            self._end(name)
        for name in sorted(wanted - self._modules.keys()):
            self._modules[name] = self._started(name)

    def _end(self, name: str) -> None:
        module = self._modules.pop(name)
        module.freeze()
        leaving = asyncio.create_task(module.client.stop())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _started(self, name: str) -> "_RunningModule":
        world = self._world
        world.hub.ensure_module(self.name, name)
        key = world.hub.module_key(self.name, name)
        assert key is not None
        return _RunningModule(self, name, self._new[name](), key=key, world=world)

    def _tell(self, module: str, message: Message) -> None:
        self._told[module] = message
        running = self._modules.get(module)
        if running is not None:
            running.hear(message)

    def _new_stager(self) -> LightModule:
        world = self._world
        return LightStager(self.name, pace=world.pace, faults=world.faults, seed=world.seed)

    def _new_inference(self) -> LightModule:
        world = self._world
        return LightInference(
            self.name,
            pace=world.pace,
            faults=world.faults,
            seed=world.seed,
            date=lambda: world.place.clock.utc().isoformat(),
        )


class _RunningModule:
    """A module between its start and its stop: behaviour, client and waits."""

    def __init__(
        self,
        device: LightDevice,
        name: str,
        behaviour: LightModule,
        *,
        key: bytes,
        world: Surroundings,
    ) -> None:
        self._device = device
        self._name = name
        self._observer = world.observer
        self._clock: Clock = world.place.clock
        self._timer: Timer | None = None
        self._is_stopped = False
        self.behaviour = behaviour
        self.has_started = False
        self.client = ModuleClient(
            device=device.name,
            module=name,
            key=key,
            place=world.place,
            handler=self,
            takes_methods=name == EDGE_AGENT,
        )
        self.client.start()

    def freeze(self) -> None:
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def wait(self, wait: Wait) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.call_later(
            wait.seconds, lambda: self._on(Elapsed(number=wait.number))
        )

    def report(self) -> None:
        if self.has_started and not self._is_stopped:
            self.client.report(self.behaviour.reported())

    def hear(self, message: Message) -> None:
        if self.has_started:
            self._on(Heard(message=message))

    def started(self, reported: JsonObject) -> None:
        self.has_started = True
        if self._name == EDGE_AGENT:
            self._device.connected.set()
        self._device.act_on(self, self.behaviour.resume(reported))
        message = self._device.last_told(self._name)
        if message is not None:
            self.hear(message)

    def desired_changed(self, document: JsonObject, version: int) -> None:
        if self._observer is not None:
            self._observer.desired_changed(self._device.name, self._name, document)
        self._on(Desired(document=document, version=version))

    def report_taken(self, reported: JsonObject) -> None:
        if self._observer is not None:
            self._observer.report_taken(self._device.name, self._name, reported)

    def called(self, name: str, payload: Any) -> MethodResult:
        return self._device.call(self, name, payload)

    def _on(self, event: Desired | Heard | Elapsed) -> None:
        if not self._is_stopped:
            self._device.act_on(self, self.behaviour.on(event))
