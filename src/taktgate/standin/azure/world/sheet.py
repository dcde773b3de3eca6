"""What a started world hands out: how to reach it, and commands that work on it as they stand."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from taktgate.standin.azure.world.cloud import LocalCloud
from taktgate.standin.azure.world.registry import WorldRegistry
from taktgate.standin.azure.world.samples import SAMPLE_MODULE, Samples

LOGIN = '"$LOGIN"'


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetDevice:
    """An IoT Edge device that runs here. A module's socket is `workload_sockets/D.M`."""

    name: str
    gateway: str
    metrics_url: str | None
    methods_refusal: str | None
    """Why its modules cannot call each other's methods, if they cannot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetCommand:
    """A command to copy into a shell."""

    does: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSheet:
    """All that somebody needs to work on a world."""

    connection_string: str
    ca_file: str
    directory: str
    network: str
    hub: str
    model_repository: str
    registry: str
    """This and the next two: the folder that is served, its keys, and what stations must trust."""
    registry_keys: str
    trusted_root: str
    control_socket: str
    workload_sockets: str
    devices: tuple[SheetDevice, ...]
    light_devices: int
    environment: Mapping[str, str]
    commands: tuple[SheetCommand, ...]


def make_sheet(
    cloud: LocalCloud,
    *,
    network: str,
    control_socket: str,
    registry: WorldRegistry,
    light_devices: int,
    samples: Samples,
) -> WorldSheet:
    """Return the sheet of *cloud*, which runs."""
    connection_string = cloud.service_connection_string
    return WorldSheet(
        connection_string=connection_string,
        ca_file=str(cloud.ca_file),
        directory=str(cloud.directory),
        network=network,
        hub=connection_string.partition("HostName=")[2].partition(";")[0],
        model_repository=cloud.repository_url,
        registry=str(registry.directory),
        registry_keys=str(registry.keys),
        trusted_root=str(registry.trusted_root),
        control_socket=control_socket,
        workload_sockets=str(cloud.socket_directory),
        devices=tuple(
            SheetDevice(
                name=device.name,
                gateway=device.place.gateway,
                metrics_url=device.metrics_url,
                methods_refusal=device.edgehub.methods_refusal,
            )
            for device in cloud.devices.values()
        ),
        light_devices=light_devices,
        environment={"REQUESTS_CA_BUNDLE": str(cloud.ca_file), "LOGIN": connection_string},
        commands=tuple(_commands(samples, cloud.devices, light_devices)),
    )


def as_text(sheet: WorldSheet) -> str:
    """Return *sheet* to read and to copy from; commands are never broken over lines."""
    return "\n".join(_lines(sheet)) + "\n"


def _lines(sheet: WorldSheet) -> Iterator[str]:
    yield f"hub               {sheet.hub}  (network {sheet.network}.0/24)"
    yield f"connection string {sheet.connection_string}"
    yield f"CA file           {sheet.ca_file}"
    yield f"model repository  {sheet.model_repository}"
    yield f"  signed registry {sheet.registry}  (keys {sheet.registry_keys})"
    yield f"  first trust     {sheet.trusted_root}  (a station's config/trusted_root.json)"
    yield f"files             {sheet.directory}"
    for device in sheet.devices:
        metrics = f"  metrics {device.metrics_url}" if device.metrics_url else ""
        yield f"device            {device.name}  gateway {device.gateway}:8883{metrics}"
        if device.methods_refusal:
            yield f"                  no methods from module to module: {device.methods_refusal}"
    if sheet.devices:
        yield f"workload sockets  {sheet.workload_sockets}/<device>.<module>"
    if sheet.light_devices:
        yield f"light devices     {sheet.light_devices}"
    yield ""
    yield "In another shell:"
    yield ""
    for name, value in sheet.environment.items():
        yield f"  export {name}={shlex.quote(value)}"
    for command in sheet.commands:
        yield ""
        yield f"  # {command.does}"
        yield f"  {command.text}"


def _commands(
    samples: Samples, devices: Iterable[str], light_devices: int
) -> Iterator[SheetCommand]:
    device = next(iter(devices), None)
    yield _command("what the hub knows", 'az iot hub query -q "select deviceId, tags from devices"')
    yield from _deployment_commands(samples, device, light_devices)
    if device is not None:
        yield from _device_commands(device, samples)
    if light_devices:
        yield SheetCommand(
            does="a model through the rings (docs/rollout-guide.md)",
            text=f"taktgate rollout run --login {LOGIN} --rings config/rings.yaml "
            "--model weld-seam --version 1.2.0 --order first",
        )
    yield SheetCommand(does="how the world stands", text="taktgate world status --watch")
    yield SheetCommand(does="what reaches the hub", text="taktgate world telemetry --follow")
    yield SheetCommand(does="what can go wrong on request", text="taktgate world quirks")
    anybody = device or "light-0001"
    if device is not None or light_devices:
        yield SheetCommand(does="for example", text=f"taktgate world offline {anybody}")


def _deployment_commands(
    samples: Samples, device: str | None, light_devices: int
) -> Iterator[SheetCommand]:
    create = "az iot edge deployment create"
    if device is not None or not light_devices:
        yield _command(
            "a base for all devices",
            f"{create} -d base --content {_quoted(samples.base)} "
            "--target-condition \"tags.app='qc'\" --priority 10",
        )
    if light_devices:
        yield _command(
            "a base for the light devices, which goes before one of lower priority",
            f"{create} -d stations --content {_quoted(samples.stations)} "
            "--target-condition \"tags.kind='light'\" --priority 11",
        )
    yield _command(
        "a layer for the canaries",
        f"{create} -d layer --layered --content {_quoted(samples.layer)} "
        "--target-condition \"tags.ring='canary'\" --priority 20",
    )
    yield _command("all deployments", "az iot edge deployment list")
    yield _command(
        "who applies the layer",
        "az iot edge deployment show-metric -d layer --metric-id appliedCount --metric-type system",
    )


def _device_commands(device: str, samples: Samples) -> Iterator[SheetCommand]:
    yield _command(
        "one desired property by hand",
        f"az iot hub module-twin update -d {device} -m {SAMPLE_MODULE} "
        """--desired '{"greeting": "hello"}'""",
    )
    yield _command(
        "a direct method",
        f"az iot hub invoke-module-method -d {device} -m '$edgeAgent' --method-name ping",
    )
    yield _command(
        "modules for one device, without a deployment (not beside one)",
        f"az iot edge set-modules -d {device} --content {_quoted(samples.base)}",
    )


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _command(does: str, text: str) -> SheetCommand:
    return SheetCommand(does=does, text=f"{text} --login {LOGIN}")
