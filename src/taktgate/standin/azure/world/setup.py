"""What a world is made of, and what stays the same when it is started again: `world.json`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, ContractError, Name, decode, encode
from taktgate.edge.files import publish
from taktgate.standin.azure.errors import WorldSetupError
from taktgate.standin.azure.loopback import LoopbackNetwork

FILE_NAME: Final = "world.json"
HUB_PORT: Final = 8443
REPOSITORY_PORT: Final = 8180
FIRST_GATEWAY, LAST_GATEWAY = 2, 254
DEFAULT_TAGS: Final[Mapping[str, str]] = {"app": "qc", "ring": "canary", "hold": "no"}
LIGHT_TAG: Final[Mapping[str, str]] = {"kind": "light"}
DEFAULT_DEVICE: Final = "station-1"

Network = Annotated[str, Field(pattern=r"^127\.\d{1,3}\.\d{1,3}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Command = Annotated[tuple[str, ...], Field(min_length=1)]
Images = Mapping[Annotated[str, Field(min_length=1)], Command]


class Runtime(StrEnum):
    """What modules run as."""

    PROCESS = "process"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True, kw_only=True)
class WishedDevice:
    """An IoT Edge device that somebody asks for."""

    name: str
    tags: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_TAGS))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSetup:
    """The fixed facts of one world; the hub keeps its own state beside."""

    __pydantic_config__ = STRICT_DOCUMENT

    format: Literal[1] = 1
    network: Network
    hub_port: Port = HUB_PORT
    repository_port: Port = REPOSITORY_PORT
    gateways: Mapping[Name, Annotated[int, Field(ge=FIRST_GATEWAY, le=LAST_GATEWAY)]] = field(
        default_factory=dict
    )
    """The last number of each IoT Edge device's gateway address."""
    images: Images = field(default_factory=dict)
    runtime: Runtime = Runtime.PROCESS
    light_devices: Mapping[Name, Annotated[int, Field(ge=0)]] = field(default_factory=dict)
    """How many light devices there are, by ring."""

    @property
    def light_tags(self) -> dict[str, dict[str, Any]]:
        """The tags of each light device, by name."""
        rings = [ring for ring, count in self.light_devices.items() for _ in range(count)]
        return {
            f"light-{number:04d}": {**DEFAULT_TAGS, "ring": ring, **LIGHT_TAG}
            for number, ring in enumerate(rings, start=1)
        }

    @property
    def loopback(self) -> LoopbackNetwork:
        """The network of hub and gateways."""
        return LoopbackNetwork(self.network)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line asks for; None leaves a kept world as it is."""

    network: str | None = None
    hub_port: int | None = None
    devices: tuple[WishedDevice, ...] = ()
    images: Images | None = None
    runtime: Runtime | None = None
    light_devices: Mapping[str, int] | None = None

    @property
    def is_empty_world(self) -> bool:
        """Tell whether no device of any kind is asked for."""
        return not self.devices and not sum((self.light_devices or {}).values())


def fulfil(wishes: Wishes, kept: WorldSetup | None, free_network: Callable[[], str]) -> WorldSetup:
    """Return the setup that *wishes* make of *kept*.

    Devices of an earlier run stay, with their addresses; a new world without any gets one.

    Raises:
        WorldSetupError: There are more devices than gateway addresses.
        PortInUseError: *free_network* found none.
    """
    setup = kept or WorldSetup(network=wishes.network or free_network())
    names = [each.name for each in wishes.devices]
    if kept is None and wishes.is_empty_world:
        names = [DEFAULT_DEVICE]
    return replace(
        setup,
        network=wishes.network or setup.network,
        hub_port=wishes.hub_port or setup.hub_port,
        gateways=with_gateways(setup.gateways, names),
        images=setup.images if wishes.images is None else wishes.images,
        runtime=wishes.runtime or setup.runtime,
        light_devices=setup.light_devices if wishes.light_devices is None else wishes.light_devices,
    )


def with_gateways(known: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    """Return *known* with an address number for each new name.

    Raises:
        WorldSetupError: None is left.
    """
    gateways = dict(known)
    free = (n for n in range(FIRST_GATEWAY, LAST_GATEWAY + 1) if n not in known.values())
    for name in names:
        if name in gateways:
            continue
        number = next(free, None)
        if number is None:
            most = LAST_GATEWAY - FIRST_GATEWAY + 1
            raise WorldSetupError(f"--edge-device {name}; rule: at most {most} IoT Edge devices")
        gateways[name] = number
    return gateways


def load_setup(directory: Path) -> WorldSetup | None:
    """Return the setup kept in *directory*, or None when no world was there.

    Raises:
        WorldSetupError: The file cannot be read, or is not of this version.
    """
    path = directory / FILE_NAME
    try:
        return decode(WorldSetup, path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldSetupError(f"{path}: {error.strerror}") from error
    except ContractError as error:
        raise WorldSetupError(f"{path}: {error}; rule: as `world up` wrote it") from error


def save_setup(directory: Path, setup: WorldSetup) -> None:
    """Keep *setup* in *directory*, for its owner only.

    Raises:
        WorldSetupError: The disk refused.
    """
    try:
        publish(directory / FILE_NAME, encode(setup) + b"\n", mode=0o600)
    except OSError as error:
        raise WorldSetupError(f"{directory / FILE_NAME}: {error.strerror}") from error


def tags_of(wishes: Wishes, kept: WorldSetup | None, name: str) -> dict[str, Any] | None:
    """Return the tags to give a device at this start; None keeps what it has in the hub."""
    for device in wishes.devices:
        if device.name == name:
            return dict(device.tags)
    return dict(DEFAULT_TAGS) if kept is None or name not in kept.gateways else None
