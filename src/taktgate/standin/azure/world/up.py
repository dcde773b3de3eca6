"""A world from start to end: its folder, its cloud, its devices, its control socket."""

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.edge.logs import EdgeFormatter
from taktgate.standin.azure.clock import WorldClock
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.errors import HubRequestError, WorldSetupError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud import LocalCloud
from taktgate.standin.azure.world.control import WorldControl
from taktgate.standin.azure.world.control_server import ControlServer
from taktgate.standin.azure.world.feed import TelemetryFeed
from taktgate.standin.azure.world.registry import WorldRegistry, open_registry
from taktgate.standin.azure.world.running_worlds import RunningWorld, socket_path, write_down
from taktgate.standin.azure.world.samples import write_samples
from taktgate.standin.azure.world.setup import (
    Runtime,
    Wishes,
    WorldSetup,
    fulfil,
    load_setup,
    save_setup,
    tags_of,
)
from taktgate.standin.azure.world.sheet import WorldSheet, make_sheet

log = logging.getLogger(__name__)

_LOCK: Final = ".lock"
_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What `world up` was asked to do. Without a directory nothing outlives the world."""

    wishes: Wishes
    deployments: tuple[JsonObject, ...] = ()
    directory: Path | None = None
    speed: float = 1.0
    evaluation_period_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpWorld:
    """A world that is up."""

    sheet: WorldSheet
    control: WorldControl


async def run_until_ended(
    options: WorldOptions, meanwhile: Callable[[UpWorld], Awaitable[None]]
) -> None:
    """Run a world until SIGINT, SIGTERM or SIGHUP, or until its control is told to end it.

    Args:
        options: What was asked for.
        meanwhile: Called when everything works; returns when `control.ended` is set.

    Raises:
        WorldSetupError: The world cannot be set up as asked.
        PortInUseError: An address of the world is taken.
        HubRequestError: The hub refuses a device.
        CancelledError: A signal came before the world was up.
    """
    starting = asyncio.current_task()
    assert starting is not None
    _on_signals(starting.cancel)
    async with open_world(options) as world:
        _on_signals(world.control.ended.set)
        await meanwhile(world)
        log.info("world ends")


def _on_signals(call: Callable[[], object]) -> None:
    for number in _ENDING_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, call)


@contextlib.asynccontextmanager
async def open_world(options: WorldOptions) -> AsyncIterator[UpWorld]:
    """Start a world; leaving the context ends modules, edgeHubs and hub.

    Raises:
        WorldSetupError: The world cannot be set up as asked.
        HubStoreError: The hub's file in a kept world cannot be read.
        PortInUseError: An address of the world is taken.
        HubRequestError: The hub refuses a device.
    """
    with _world_directory(options.directory) as directory, _logged(directory):
        kept = load_setup(directory)
        setup = fulfil(options.wishes, kept, lambda: free_loopback_network().prefix)
        clock = WorldClock(options.speed)
        feed = TelemetryFeed(clock)
        async with LocalCloud(
            directory,
            address=setup.loopback.address(1),
            hub_port=setup.hub_port,
            repository_port=setup.repository_port,
            evaluation_period_s=options.evaluation_period_s,
            on_telemetry=feed.take,
            clock=clock,
            keeps_state=options.directory is not None,
        ) as cloud:
            # Now its addresses are known to be free: from here on they are the world's.
            save_setup(directory, setup)
            registry = await asyncio.to_thread(open_registry, directory, cloud.repository.directory)
            await _create_deployments(cloud, options.deployments)
            await _start_devices(cloud, setup, options.wishes, kept)
            control = WorldControl(cloud, feed)
            async with _reachable(control, directory) as socket:
                yield UpWorld(control=control, sheet=_sheet(cloud, setup, socket, registry))


def _sheet(
    cloud: LocalCloud, setup: WorldSetup, socket: Path, registry: WorldRegistry
) -> WorldSheet:
    return make_sheet(
        cloud,
        network=setup.network,
        control_socket=str(socket),
        registry=registry,
        light_devices=sum(setup.light_devices.values()),
        samples=write_samples(cloud.directory / "samples", setup.images, cloud.repository_url),
    )


async def _create_deployments(cloud: LocalCloud, deployments: tuple[JsonObject, ...]) -> None:
    """Create what the hub has not, and bring targeting and priority of the others up to date."""
    known = {each.deployment.id for each in cloud.hub.configurations.all()}
    for document in deployments:
        name = str(document["id"])
        try:
            cloud.hub.put_configuration(name, document, "*" if name in known else None)
        except HubRequestError as error:
            raise WorldSetupError(f"deployment {name}: {error}") from error


async def _start_devices(
    cloud: LocalCloud, setup: WorldSetup, wishes: Wishes, kept: WorldSetup | None
) -> None:
    images = ProcessImages(commands=setup.images)
    docker = DockerSettings() if setup.runtime is Runtime.DOCKER else None
    for name, number in setup.gateways.items():
        await cloud.add_device(
            name,
            gateway=setup.loopback.address(number),
            images=images,
            tags=tags_of(wishes, kept, name),
            runtime=docker,
        )
    if setup.light_devices:
        await cloud.add_fleet(setup.light_tags)


@contextlib.asynccontextmanager
async def _reachable(control: WorldControl, directory: Path) -> AsyncIterator[Path]:
    """Open the control socket and write the world down for those who look for it."""
    socket = socket_path(directory, os.getpid())
    server = ControlServer(control, socket)
    try:
        await server.start()
    except OSError as error:
        raise WorldSetupError(f"control socket {socket}: {error.strerror}") from error
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        record = write_down(
            RunningWorld(
                directory=str(directory),
                socket=str(socket),
                pid=os.getpid(),
                started_at_s=time.time(),
            )
        )
        stack.callback(record.unlink, missing_ok=True)
        yield socket


@contextlib.contextmanager
def _world_directory(asked: Path | None) -> Iterator[Path]:
    """Yield the world's folder, which no other world uses; one that nobody named is removed."""
    if asked is None:
        directory = Path(tempfile.mkdtemp(prefix="taktgate-world-"))
        try:
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return
    directory = asked.resolve()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (directory / _LOCK).open("w")
    except OSError as error:
        raise WorldSetupError(f"--state {directory}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorldSetupError(
                f"--state {directory}: another world runs on it; rule: one at a time"
            ) from None
        yield directory


@contextlib.contextmanager
def _logged(directory: Path) -> Iterator[None]:
    """Send this process's log to `world.log`; the terminal is for people."""
    handler = logging.FileHandler(directory / "world.log", encoding="utf-8")
    handler.setFormatter(EdgeFormatter("world"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.setLevel(before)
        root.removeHandler(handler)
        handler.close()
