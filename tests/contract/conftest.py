"""A cloud, a device, and modules whose SDK runs in a process of its own, sync and asyncio."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract.sdk_module import SdkModule

from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import LoopbackNetwork, free_loopback_network
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "station-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkWorld:
    """One device of a local cloud; *cloud* reaches into its loop."""

    cloud: CloudThread
    device: LocalDevice

    def environment(self, module: str) -> dict[str, str]:
        """Return the environment that edgeAgent gives *module*."""
        return self.cloud.run(self.device.environment(module))

    def route(self, name: str, route: Any) -> None:
        """Set a route of edgeHub's configuration, or take it away with None."""
        desired = {"schemaVersion": "1.2", "routes": {name: route}}
        self.change_desired("$edgeHub", desired)

    def change_desired(self, module: str, patch: dict[str, Any]) -> int:
        """Patch desired properties in the cloud; return their version."""
        change = {"properties": {"desired": patch}}
        hub = self.cloud.cloud.hub
        identity = self.cloud.call(hub.change_twin, DEVICE, module, change)
        return identity.desired_version

    def reported(self, module: str) -> dict[str, Any]:
        """Return the reported properties as the cloud has them."""
        return dict(self.cloud.cloud.hub.identity(DEVICE, module).reported)

    def cut_connection(self, module: str) -> None:
        """Cut a module's connection to edgeHub."""
        assert self.cloud.call(self.device.edgehub.drop_connection, module)

    def restart_edgehub(self) -> None:
        """Stop and start edgeHub."""
        self.cloud.run(self.device.edgehub.stop())
        self.cloud.run(self.device.edgehub.start())


OpenModule = Callable[..., SdkModule]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two modules with a route from the sender's outputs to the receiver's input `in`."""

    sender: SdkModule
    receiver: SdkModule


@pytest.fixture(scope="module")
def network() -> LoopbackNetwork:
    """A network for each file of tests."""
    return free_loopback_network()


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, network: LoopbackNetwork
) -> Iterator[CloudThread]:
    """A cloud without devices, for each file of tests."""
    with CloudThread(tmp_path_factory.mktemp("cloud"), address=network.address(1)) as world:
        yield world


@pytest.fixture(scope="module")
def sdk_world(world: CloudThread, network: LoopbackNetwork) -> SdkWorld:
    """A device for each file of tests: it may have 50 modules."""
    adding = world.cloud.add_device(
        DEVICE, gateway=network.address(2), images=ProcessImages(commands={})
    )
    return SdkWorld(cloud=world, device=world.run(adding))


@pytest.fixture(scope="session")
def sdk_processes() -> Iterator[dict[str, list[SdkModule]]]:
    """Processes that no test uses now, by flavour: to start one takes half a second."""
    idle: dict[str, list[SdkModule]] = {"sync": [], "asyncio": []}
    yield idle
    for process in itertools.chain.from_iterable(idle.values()):
        process.end()


@pytest.fixture(params=["sync", "asyncio"])
def flavour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers for names of modules: each test has modules that nothing was ever sent to."""
    return itertools.count(1)


@pytest.fixture
def open_module(
    sdk_world: SdkWorld, sdk_processes: dict[str, list[SdkModule]], numbers: Iterator[int]
) -> Iterator[OpenModule]:
    """Open a module that is connected, of a new name unless one is given."""
    taken: list[tuple[str, SdkModule]] = []

    def open_one(flavour: str, name: str = "", **options: Any) -> SdkModule:
        idle = sdk_processes[flavour]
        module = idle.pop() if idle else SdkModule(flavour)
        taken.append((flavour, module))
        name = name or f"m{next(numbers)}"
        module.open(name, sdk_world.environment(name), **{"connection_retry": False, **options})
        module.connect()
        return module

    yield open_one
    for flavour, module in taken:
        try:
            module.close()
        except BaseException:
            module.end()
            raise
        sdk_processes[flavour].append(module)


@pytest.fixture
def pair(flavour: str, sdk_world: SdkWorld, open_module: OpenModule) -> Iterator[Pair]:
    sender, receiver = open_module(flavour), open_module(flavour)
    receiver.listen_to_messages()
    sdk_world.route(sender.name, route_between(sender, receiver))
    yield Pair(sender=sender, receiver=receiver)
    sdk_world.route(sender.name, None)


def route_between(sender: SdkModule, receiver: SdkModule) -> str:
    """Return a route from all that *sender* sends to the input `in` of *receiver*."""
    source, sink = f"/messages/modules/{sender.name}/*", f"/modules/{receiver.name}/inputs/in"
    return f'FROM {source} INTO BrokeredEndpoint("{sink}")'
