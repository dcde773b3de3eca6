"""The local world of a demo: one folder, one loopback network, one cloud, some stations."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from taktgate.bundle.errors import BundleError
from taktgate.edge.settings import load_station
from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.loopback import LoopbackNetwork, free_loopback_network
from taktgate.standin.azure.world.cloud import LocalCloud
from taktgate.standin.demo.deployments import APP_TAG, base_deployment
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.samples import REPOSITORY_ROOT, SampleDamagedError, SampleLine
from taktgate.standin.demo.station import LocalStation, StationPlan
from taktgate.standin.sample_registry import SampleRegistry

FIRST_ORDER: Final = "order-1"
LONGEST_SOCKET_BYTES: Final = 107
"""Of a unix socket's path: the kernel keeps 108 with the zero that ends it."""
DEEPEST_SOCKET: Final = "tmpfs/inference/run_taktgate_private/judge-control.sock"
"""The longest path of a socket in a station's folder."""


class WorldError(RuntimeError):
    """The local world cannot be set up as asked."""


class World:
    """A cloud and its stations while they run."""

    def __init__(self, cloud: LocalCloud, registry: SampleRegistry) -> None:
        self.cloud = cloud
        self.registry = registry
        self.stations: dict[str, LocalStation] = {}

    def take_telemetry(self, telemetry: Telemetry) -> None:
        """Hand a message that reached the hub to the station it came from."""
        station = self.stations.get(telemetry.device)
        if station is not None:
            station.take_telemetry(telemetry)


@contextlib.asynccontextmanager
async def local_world(
    options: DemoOptions,
    line: SampleLine,
    *,
    versions: Sequence[str],
    stations: Mapping[str, Mapping[str, Any]],
) -> AsyncIterator[World]:
    """Run a cloud, a base deployment with the line's first model, and *stations*.

    Args:
        options: what the run was asked to do.
        line: images and model.
        versions: what the model repository offers.
        stations: device tags by station name.

    Raises:
        SettingsError: config/station.yaml breaks a rule.
        WorldError: the folder is not empty, or its path is too long for unix sockets.
        PortInUseError: an address of the world is taken.
        SampleMissingError: a bundle is not in this checkout.
        SampleDamagedError: a bundle of it is none.
        StandinStartError: a camera or a PLC did not come up.
    """
    load_station(REPOSITORY_ROOT / "config/station.yaml")
    with _working_folder(options.directory, longest_folder_bytes(stations)) as directory:
        network = LoopbackNetwork(options.network) if options.network else free_loopback_network()
        cloud = LocalCloud(
            directory,
            address=network.address(1),
            on_telemetry=lambda telemetry: world.take_telemetry(telemetry),
        )
        registry = SampleRegistry(cloud.repository.directory, keys=directory / "registry-keys")
        world = World(cloud, registry)
        for version in versions:
            _release(registry, line.bundle(version))
        async with cloud, contextlib.AsyncExitStack() as stack:
            # Before the devices: their modules then start beside camera and PLC, not after them.
            await cloud.create_deployment(_base(line, cloud.repository_url))
            for number, (name, tags) in enumerate(stations.items()):
                plan = StationPlan(
                    name=name,
                    gateway=network.address(number + 2),
                    tags=tags,
                    images=options.images or line.images,
                    seed=options.seed + number,
                    min_agreement=line.min_agreement,
                )
                world.stations[name] = station = LocalStation(plan, options, directory)
                registry.trust_in(station.config)
                stack.push_async_callback(station.stop)
            await asyncio.gather(*(each.start(cloud) for each in world.stations.values()))
            yield world


def _release(registry: SampleRegistry, bundle: Path) -> None:
    try:
        registry.release(bundle)
    except BundleError as error:
        raise SampleDamagedError(f"{bundle}: {error.reason}: {error}") from error


def _base(line: SampleLine, repository: str) -> dict[str, Any]:
    return base_deployment(
        model=line.model,
        version=line.first,
        order=FIRST_ORDER,
        repository=repository,
        target=f"tags.app='{APP_TAG}'",
    )


def longest_folder_bytes(stations: Iterable[str]) -> int:
    """Return how long the path of a world's folder may be, for the unix sockets of *stations*."""
    deepest = max(len(os.fsencode(f"/{name}/{DEEPEST_SOCKET}")) for name in stations)
    return LONGEST_SOCKET_BYTES - deepest


@contextlib.contextmanager
def _working_folder(asked: Path | None, longest_bytes: int) -> Iterator[Path]:
    if asked is None:
        with tempfile.TemporaryDirectory(
            prefix="taktgate-", ignore_cleanup_errors=True
        ) as temporary:
            _check_length(Path(temporary), "the temporary folder (TMPDIR)", longest_bytes)
            yield Path(temporary)
        return
    folder = asked.resolve()
    _check_length(folder, "--keep", longest_bytes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise WorldError(f"--keep {folder}: {error.strerror}") from error
    if not is_empty:
        raise WorldError(f"--keep {folder}: must be an empty folder, or not be there yet")
    yield folder


def _check_length(folder: Path, name: str, longest_bytes: int) -> None:
    length_bytes = len(os.fsencode(folder))
    if length_bytes > longest_bytes:
        raise WorldError(
            f"{name} {folder}: the path has {length_bytes} bytes, and must have at most "
            f"{longest_bytes} for the unix sockets below it ({LONGEST_SOCKET_BYTES} bytes each)"
        )
