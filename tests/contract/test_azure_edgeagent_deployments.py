"""Deployments on a device of the local Azure: pulls, update modes, offline start, containers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.edgeagent_station import (
    DEVICE,
    a_world,
    add_device,
    deploy,
    invoke,
    last_status,
    module,
    probe,
    probe_images,
    started,
)
from tests.unit.standin.docker_engine_bench import DIGEST, FakeEngine
from tests.waiting import wait_until

from taktgate.standin.azure.edgeagent.agent import EdgeAgent, EdgeAgentSettings
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.errors import EngineUnreachableError
from taktgate.standin.azure.edgeagent.module import ModuleEvent, ModuleEventKind
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

Station = tuple[CloudThread, LoopbackNetwork]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with a_world(tmp_path) as station:
        yield station


@pytest.fixture
def world(station: Station) -> CloudThread:
    return station[0]


@pytest.fixture
def network(station: Station) -> LoopbackNetwork:
    return station[1]


@pytest.fixture
def images(tmp_path: Path) -> ProcessImages:
    return probe_images(tmp_path)


@pytest.fixture
def events() -> list[ModuleEvent]:
    return []


@pytest.fixture
def device(station: Station, images: ProcessImages, events: list[ModuleEvent]) -> LocalDevice:
    return add_device(*station, images, events.append)


def test_image_that_cannot_be_pulled_fails_only_its_own_module(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe(), "other": probe(image="nobody:1")})
    status = wait_until(lambda: (s := last_status(world))["code"] == 500 and s["description"])
    assert "Could not pull image nobody:1" in status
    wait_until(lambda: module(world).get("runtimeStatus") == "running")
    deploy(world, {"probe": probe()})
    wait_until(lambda: last_status(world)["code"] == 200)
    assert len(started(events)) == 1


def test_failed_pull_is_repaired_by_a_later_attempt(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    world.call(device.edgeagent.quirks.turn_on, "fail-pull", 1_000_000)
    deploy(world, {"probe": probe()})
    wait_until(lambda: last_status(world)["code"] == 500)
    world.call(device.edgeagent.quirks.turn_off, "fail-pull")
    wait_until(lambda: last_status(world)["code"] == 200)
    assert module(world)["runtimeStatus"] == "running"


@pytest.mark.parametrize(("mode", "is_there"), [("NonBlocking", False), ("WaitForAllPulls", True)])
def test_update_mode_decides_what_is_there_when_the_first_module_stops(
    world: CloudThread, network: LoopbackNetwork, images: ProcessImages, mode: str, is_there: bool
) -> None:
    events: list[ModuleEvent] = []
    pulled_at_stop: list[str] = []

    def take_note(event: ModuleEvent) -> None:
        events.append(event)
        if event.kind is ModuleEventKind.STOPPED:
            pulled_at_stop.append((box.directory / "images.json").read_text())

    box = add_device(world, network, images, take_note)
    deploy(world, {"a": probe(image="probe:1"), "b": probe(image="probe:1")}, mode=mode)
    wait_until(lambda: len(started(events)) == 2)
    world.call(box.edgeagent.quirks.turn_on, "slow-pull", 0.1)
    deploy(world, {"a": probe(image="probe:2"), "b": probe(image="probe:3")}, mode=mode)
    wait_until(lambda: len(started(events)) == 4)
    assert ("probe:3" in pulled_at_stop[0]) is is_there


def test_started_offline_the_last_good_deployment_runs(
    world: CloudThread, device: LocalDevice, images: ProcessImages, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_until(lambda: started(events))
    wait_until(lambda: last_status(world)["code"] == 200)
    world.run(device.edgeagent.stop())
    assert last_status(world) == {"code": 406, "description": "Agent is not running"}
    world.call(device.set_online, False)
    settings = EdgeAgentSettings(
        images=images, directory=device.directory, on_event=events.append, stop_grace_s=0.5
    )

    def after_the_power_cut() -> EdgeAgent:
        return EdgeAgent(link=device.link, identities=device, settings=settings)

    second = world.call(after_the_power_cut)
    world.run(second.start())
    wait_until(lambda: len(started(events)) == 2)
    world.call(device.set_online, True)
    wait_until(lambda: last_status(world)["code"] == 200)
    world.run(second.stop())


def test_modules_run_as_containers_where_an_engine_is_named(
    world: CloudThread, network: LoopbackNetwork, events: list[ModuleEvent], tmp_path: Path
) -> None:
    socket = tmp_path / "docker.sock"
    image = probe()["settings"]["image"]
    engine = FakeEngine({image})
    world.run(engine.start(socket))
    device = world.run(
        world.cloud.add_device(
            DEVICE,
            gateway=network.address(2),
            images=ProcessImages(commands={}),
            on_event=events.append,
            restart_backoff_s=0.05,
            runtime=DockerSettings(socket=socket),
        )
    )
    deploy(world, {"probe": probe()})
    state = wait_until(lambda: (m := module(world)).get("runtimeStatus") == "running" and m)
    assert state["settings"]["imageHash"] == DIGEST
    name = f"{DEVICE}.probe"
    body = engine.containers[name].body
    assert "PROBE_DIR=/var/lib/probe" in body["Env"]
    assert "IOTEDGE_WORKLOADURI=unix:///var/run/iotedge/workload.sock" in body["Env"]
    assert body["HostConfig"]["Binds"][0] == "state:/var/lib/probe:rw"
    world.call(engine.end, name, 9)
    wait_until(lambda: module(world).get("restartCount") == 1)
    engine.containers[name].log = [(1, "2026-01-01T00:00:00Z hello\n")]
    request = {"schemaVersion": "1.0", "items": [{"id": "probe"}]}
    assert invoke(world, "GetModuleLogs", request).payload[0]["payload"] == "hello\n"
    world.run(device.edgeagent.stop())
    assert engine.containers == {}
    world.run(engine.stop())


def test_device_without_its_engine_is_not_added(
    world: CloudThread, network: LoopbackNetwork, images: ProcessImages, tmp_path: Path
) -> None:
    def add(**options: Any) -> LocalDevice:
        device = world.cloud.add_device(
            DEVICE, gateway=network.address(2), images=images, **options
        )
        return world.run(device)

    with pytest.raises(EngineUnreachableError, match="rule: a Docker Engine listens there"):
        add(runtime=DockerSettings(socket=tmp_path / "nobody.sock"))
    assert add().edgeagent.modules == {}
