"""The local Azure as one object: a hub, a model repository and any number of devices.

async with LocalCloud(directory, address=network.address(1)) as cloud:
    device = await cloud.add_device("station-1", gateway=network.address(2), images=images)
    cloud.create_deployment(manifest)
"""

import asyncio
import base64
import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from taktgate.standin.azure.certificates import (
    CertificateAuthority,
    create_authority,
    open_authority,
)
from taktgate.standin.azure.clock import Clock, WorldClock
from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.edgeagent.agent import EdgeAgentSettings
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.module import ModuleEvent
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgeagent.restart_policy import BackOff
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.fleet.fleet import Fleet, FleetSettings
from taktgate.standin.azure.iothub.configurations import Configuration
from taktgate.standin.azure.iothub.device_endpoint import DeviceEndpoint
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.policies import OWNER
from taktgate.standin.azure.iothub.rest import IotHubRest
from taktgate.standin.azure.iothub.store import HubStore
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt.connection import MQTT_PORT
from taktgate.standin.azure.world.local_device import MAX_SOCKET_PATH, DevicePlace, LocalDevice
from taktgate.standin.azure.world.model_repository import ModelRepository

HUB_PORT = 8443
HUB_HOSTNAME = "taktgate-local.azure-devices.net"
LONGEST_SOCKET_NAME = 40


class LocalCloud:
    """The local Azure. Leaving its context ends modules, then edgeHubs, then the hub."""

    def __init__(
        self,
        directory: Path,
        *,
        address: str,
        hub_port: int = HUB_PORT,
        repository_directory: Path | None = None,
        repository_port: int = 0,
        evaluation_period_s: float | None = None,
        on_telemetry: Callable[[Telemetry], None] | None = None,
        clock: Clock | None = None,
        keeps_state: bool = False,
    ) -> None:
        """Prepare a world below *directory*; nothing listens before the context is entered.

        Args:
            directory: Holds certificates, sockets, volumes, logs and `telemetry.jsonl`.
            address: The loopback address of hub and model repository.
            hub_port: The port of IoT Hub's REST interface; 0 takes a free one.
            repository_directory: The model repository's files; `directory/registry` if not given.
            repository_port: The repository's port; 0 takes a free one.
            evaluation_period_s: How often deployments are evaluated; None does it at each change.
            on_telemetry: Called with each message that reaches the hub.
            clock: The world's time; the wall's if not given.
            keeps_state: Go on with the hub that an earlier run left in *directory*: keys, devices,
                twins and deployments. edgeHub's and edgeAgent's files are kept in any case.

        Raises:
            HubStoreError: The hub's file cannot be read.
        """
        self.directory = directory
        self._address = address
        self._hub_port = hub_port
        self._repository_port = repository_port
        self._period_s = evaluation_period_s
        self._on_telemetry = on_telemetry
        self._store = HubStore(directory / "iothub.db") if keeps_state else None
        self.clock = clock or WorldClock()
        self._devices: dict[str, LocalDevice] = {}
        self._fleets: list[Fleet] = []
        self._stack = contextlib.AsyncExitStack()
        self._authority: CertificateAuthority | None = None
        self._sockets = directory / "s"
        self.hub = IotHub(
            evaluates_at_once=evaluation_period_s is None,
            on_telemetry=self._take_telemetry,
            clock=self.clock,
            store=self._store,
        )
        self.repository = ModelRepository(repository_directory or directory / "registry", address)
        self.device_endpoint = DeviceEndpoint(
            self.hub, address=address, hostnames=(HUB_HOSTNAME, address)
        )
        self._rest = IotHubRest(self.hub, address=address)

    async def __aenter__(self) -> Self:
        """Start hub and repository.

        Raises:
            PortInUseError: One of their ports is taken.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        self._authority = open_authority(self.directory / "certificates")
        async with contextlib.AsyncExitStack() as stack:
            if self._store is not None:
                stack.callback(self._store.close)
            self._sockets = self._socket_directory(stack)
            tls = self._authority.server_context("iothub", [self._address])
            await self._rest.start(self._hub_port, tls)
            stack.push_async_callback(self._rest.stop)
            await self.device_endpoint.start(tls)
            stack.push_async_callback(self.device_endpoint.stop)
            await self.repository.start(self._repository_port)
            stack.push_async_callback(self.repository.stop)
            self._stack = stack.pop_all()
        if self._period_s is not None:
            self.hub.schedule.set_period(self._period_s)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End modules, then edgeHubs, then hub and repository."""
        self.hub.schedule.stop()
        fleets = (fleet.stop() for fleet in self._fleets)
        stops = (*fleets, *(device.stop() for device in self._devices.values()))
        ends = await asyncio.gather(*stops, return_exceptions=True)
        self._devices.clear()
        await self._stack.aclose()
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    @property
    def ca_file(self) -> Path:
        """The CA that service clients must trust, for example by REQUESTS_CA_BUNDLE."""
        return self._ca.ca_file

    @property
    def service_connection_string(self) -> str:
        """The connection string for azure-iot-hub and `az iot --login`."""
        key = base64.b64encode(self.hub.policies.keys(OWNER).primary).decode("ascii")
        return f"HostName={self._rest.host};SharedAccessKeyName={OWNER};SharedAccessKey={key}"

    @property
    def trust_bundle(self) -> str:
        """The world's own CA as PEM text."""
        return self._ca.trust_bundle

    @property
    def socket_directory(self) -> Path:
        """Where the workload API's sockets are: `<device>.<module>`."""
        return self._sockets

    @property
    def repository_url(self) -> str:
        """The model repository's address."""
        return self.repository.url

    @property
    def devices(self) -> Mapping[str, LocalDevice]:
        """The devices that run, by name."""
        return self._devices

    @property
    def fleets(self) -> Sequence[Fleet]:
        """The light devices, as they were added."""
        return self._fleets

    async def add_device(
        self,
        name: str,
        *,
        gateway: str,
        images: ProcessImages,
        tags: JsonObject | None = None,
        environment: Mapping[str, Mapping[str, str]] | None = None,
        volumes: Mapping[str, Path] | None = None,
        on_event: Callable[[ModuleEvent], None] | None = None,
        restart_backoff_s: float = 10.0,
        stop_grace_s: float = 10.0,
        edgehub: EdgeHubSettings | None = None,
        runtime: DockerSettings | None = None,
    ) -> LocalDevice:
        """Start an IoT Edge device with its edgeHub and edgeAgent.

        A device that the hub does not know yet is registered; one that it knows (of an earlier run,
        or made by `az iot hub device-identity create`) keeps its keys, tags and twins.

        Args:
            name: The device id.
            gateway: The loopback address on which its modules find edgeHub.
            images: The commands that stand in for images.
            tags: The device twin's tags, merged into those it has.
            environment: Extra variables by module.
            volumes: Directories to use for named volumes or host paths of `Binds`.
            on_event: Called at each start and end of a module's process.
            restart_backoff_s: The first wait before a restart; doubles up to 300 s.
            stop_grace_s: The time from SIGTERM to SIGKILL.
            edgehub: Limits of its edgeHub.
            runtime: The engine whose containers its modules are; None runs them as processes.

        Raises:
            HubRequestError: The device runs already, or is registered as no IoT Edge device.
            PortInUseError: Port 8883 of the gateway address is taken.
            EngineUnreachableError: No container engine answers as `runtime` says.
        """
        is_new = self._register(name)
        self.hub.change_twin(name, None, {"tags": tags or {}})
        device = LocalDevice(
            link=self.hub.link(name),
            place=DevicePlace(
                gateway=gateway,
                hub_hostname=HUB_HOSTNAME,
                socket_directory=self._sockets,
                tls=self._ca.server_context(name, [gateway, "edgeHub", name]),
                trust_bundle=self._ca.trust_bundle,
                issuer=self._ca,
            ),
            agent=EdgeAgentSettings(
                images=images,
                directory=self.directory / name,
                environment=environment or {},
                volumes=volumes or {},
                back_off=BackOff(base_s=restart_backoff_s),
                stop_grace_s=stop_grace_s,
                on_event=on_event or (lambda _: None),
                runtime=runtime,
            ),
            edgehub=edgehub,
            clock=self.clock,
        )
        try:
            await device.start()
        except BaseException:
            if is_new:
                self.hub.delete_device(name)
            raise
        self._devices[name] = device
        return device

    async def change_authority(self, device: str) -> None:
        """Serve *device* with a certificate of a new authority, unknown to its running modules.

        Raises:
            KeyError: No such device runs.
            PortInUseError: edgeHub's port was taken meanwhile.
        """
        other = create_authority(self.directory / "certificates" / f"changed-{device}")
        await self._devices[device].serve_with(other)

    async def restore_authority(self, device: str) -> None:
        """Serve *device* with a certificate of the world's own authority again.

        Raises:
            KeyError: No such device runs.
            PortInUseError: edgeHub's port was taken meanwhile.
        """
        await self._devices[device].serve_with(self._ca)

    async def add_fleet(
        self,
        tags: Mapping[str, JsonObject],
        *,
        settings: FleetSettings | None = None,
        clock: Clock | None = None,
    ) -> Fleet:
        """Register light IoT Edge devices and connect them; see `standin/azure/fleet`.

        Args:
            tags: The device twins' tags by device id. A device that exists keeps its twin.
            settings: How the devices behave.
            clock: Which time they tell; the world's if not given.

        Raises:
            HubRequestError: An id is refused.
            TimeoutError: Some devices did not connect.
        """
        known = {record.identity.device_id for record in self.hub.devices()}
        for name in tags.keys() - known:
            self.hub.put_device(name, {"capabilities": {"iotEdge": True}})
            self.hub.change_twin(name, None, {"tags": tags[name]})
        fleet = Fleet(
            tags,
            hub=self.hub,
            address=self.device_endpoint.address,
            port=MQTT_PORT,
            hostname=HUB_HOSTNAME,
            ca_file=self.ca_file,
            settings=settings,
            clock=clock or self.clock,
        )
        self._fleets.append(fleet)
        await fleet.start()
        return fleet

    async def create_deployment(self, document: JsonObject) -> Configuration:
        """Create a deployment from the JSON that `az iot edge deployment create` would send.

        Raises:
            HubRequestError: As the REST interface.
        """
        return self.hub.put_configuration(str(document["id"]), document)

    def _register(self, name: str) -> bool:
        """Make sure that the hub knows an IoT Edge device of this name; return whether it is new.

        Raises:
            HubRequestError: 409, the device runs already or is no IoT Edge device.
        """
        if name in self._devices:
            raise HubRequestError(409, "DeviceAlreadyExists", f"device {name} runs already")
        try:
            known = self.hub.identity(name)
        except HubRequestError:
            self.hub.put_device(name, {"capabilities": {"iotEdge": True}})
            return True
        if not known.is_edge:
            raise HubRequestError(
                409, "DeviceAlreadyExists", f"device {name} is registered as no IoT Edge device"
            )
        return False

    def _take_telemetry(self, telemetry: Telemetry) -> None:
        record = {
            "device": telemetry.device,
            "module": telemetry.module,
            "output": telemetry.output,
            "properties": dict(telemetry.properties),
            "body": telemetry.payload.decode("utf-8", errors="replace"),
        }
        with (self.directory / "telemetry.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if self._on_telemetry is not None:
            self._on_telemetry(telemetry)

    def _socket_directory(self, stack: contextlib.AsyncExitStack) -> Path:
        """Return a directory whose path leaves room for a socket's name."""
        directory = self.directory.resolve() / "s"
        if len(str(directory)) + LONGEST_SOCKET_NAME > MAX_SOCKET_PATH:
            directory = Path(tempfile.mkdtemp(prefix="taktgate-"))
            stack.callback(shutil.rmtree, directory, ignore_errors=True)
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    @property
    def _ca(self) -> CertificateAuthority:
        if self._authority is None:
            raise RuntimeError("the local cloud has not been entered")
        return self._authority
