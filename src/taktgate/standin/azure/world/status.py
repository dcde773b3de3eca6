"""How a world stands, in one look: hub, deployments, devices, modules, queues, quirks."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.world.light_faults import fault_words

if TYPE_CHECKING:  # a command that only reads the report must not load a whole world
    from taktgate.standin.azure.iothub.identities import Identity
    from taktgate.standin.azure.world.cloud import LocalCloud
    from taktgate.standin.azure.world.local_device import LocalDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleStatus:
    """A module of an IoT Edge device. `runtime` is edgeAgent's word, empty for no process."""

    name: str
    runtime: str
    is_connected: bool
    desired_version: int
    reported_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """What edgeAgent says of the deployment: version wanted, version acted on, and how it went."""

    desired_version: int
    last_desired_version: int | None
    code: int | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceStatus:
    """An IoT Edge device that runs here."""

    name: str
    gateway: str
    is_online: bool
    is_edgehub_running: bool
    methods_refusal: str | None
    """Why port 443 serves no methods between modules, or None if it does."""
    agent: AgentStatus
    applied: tuple[str, ...]
    targeted: tuple[str, ...]
    modules: tuple[ModuleStatus, ...]
    queues: Mapping[str, int]
    quirks: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LightStatus:
    """The light devices together, counted in devices unless said otherwise."""

    devices: int
    online: int
    """Those whose line to the hub has not been cut."""
    connected: int
    connections: int
    """MQTT connections: one for each module that runs."""
    ordered: Mapping[str, int]
    """By the model version that the stager was told."""
    live: Mapping[str, int]
    """By the model version that judges."""
    phases: Mapping[str, int]
    """By inference's phase."""
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldStatus:
    """The whole world. `registered` counts every device that the hub knows."""

    directory: str
    world_time: str
    registered: int
    deployments: int
    telemetry: int
    quirks: Mapping[str, float]
    devices: tuple[DeviceStatus, ...]
    light: LightStatus | None


def world_status(cloud: "LocalCloud", *, telemetry: int) -> WorldStatus:
    """Return how *cloud* stands; *telemetry* is the number of messages that reached the hub."""
    return WorldStatus(
        directory=str(cloud.directory),
        world_time=cloud.clock.utc().isoformat(timespec="seconds"),
        registered=len(cloud.hub.devices()),
        deployments=len(cloud.hub.configurations.all()),
        telemetry=telemetry,
        quirks=dict(cloud.hub.quirks.active),
        devices=tuple(device_status(cloud, each) for each in cloud.devices.values()),
        light=light_status(cloud),
    )


def light_status(cloud: "LocalCloud") -> LightStatus | None:
    """Return how the light devices stand, or None when there are none."""
    fleets = [each.statistics() for each in cloud.fleets]
    if not fleets:
        return None
    names = [name for each in cloud.fleets for name in each.devices]
    return LightStatus(
        devices=sum(each.devices for each in fleets),
        online=sum(cloud.hub.link(name).is_online for name in names),
        connected=sum(each.connected for each in fleets),
        connections=sum(each.connections for each in fleets),
        ordered=_added(each.ordered for each in fleets),
        live=_added(each.live for each in fleets),
        phases=_added(each.phases for each in fleets),
        faults=tuple(fault_words(cloud.fleets)),
    )


def _added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    return dict(sum((Counter(each) for each in counts), Counter()))


def device_status(cloud: "LocalCloud", device: "LocalDevice") -> DeviceStatus:
    """Return how one IoT Edge device stands."""
    identities = _module_identities(cloud, device.name)
    agent = identities.get("$edgeAgent")
    configurations = agent.configurations if agent is not None else {}
    return DeviceStatus(
        name=device.name,
        gateway=device.place.gateway,
        is_online=device.link.is_online,
        is_edgehub_running=device.edgehub.is_running,
        methods_refusal=device.edgehub.methods_refusal,
        agent=_agent_status(agent),
        applied=_with_status(configurations, "Applied"),
        targeted=_with_status(configurations, "Targeted"),
        modules=tuple(
            _module_status(device, name, identity)
            for name, identity in identities.items()
            if not name.startswith("$")
        ),
        queues={name: length for name, length in device.edgehub.queue_lengths.items() if length},
        quirks=_active_quirks(cloud, device),
    )


def _active_quirks(cloud: "LocalCloud", device: "LocalDevice") -> dict[str, float]:
    active = {**device.edgehub.quirks.active, **device.edgeagent.quirks.active}
    if device.place.trust_bundle != cloud.trust_bundle:
        active["change-ca"] = 1.0
    return active


def _module_identities(cloud: "LocalCloud", device: str) -> Mapping[str, "Identity"]:
    try:
        return cloud.hub.device(device).modules
    except HubRequestError:  # somebody deleted it, and its machine still runs
        return {}


def _module_status(device: "LocalDevice", name: str, identity: "Identity") -> ModuleStatus:
    managed = device.edgeagent.modules.get(name)
    return ModuleStatus(
        name=name,
        runtime=str(managed.status) if managed is not None else "",
        is_connected=name in device.edgehub.connected_modules,
        desired_version=identity.desired_version,
        reported_version=identity.reported_version,
    )


def _agent_status(agent: "Identity | None") -> AgentStatus:
    reported = agent.reported if agent is not None else {}
    answer = reported.get("lastDesiredStatus") or {}
    return AgentStatus(
        desired_version=agent.desired_version if agent is not None else 0,
        last_desired_version=reported.get("lastDesiredVersion"),
        code=answer.get("code"),
        description=str(answer.get("description") or ""),
    )


def _with_status(configurations: Mapping[str, Mapping[str, str]], status: str) -> tuple[str, ...]:
    return tuple(name for name, each in configurations.items() if each.get("status") == status)
