"""The local edgeAgent runs real processes: environment, mounts, restarts, stops, no orphans."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
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
    reported,
    started,
)
from tests.waiting import WITHIN_S, wait_until

from taktgate.standin.azure.edgeagent.module import ModuleEvent, ModuleEventKind
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice


@pytest.fixture
def station(tmp_path: Path) -> Iterator[tuple[CloudThread, LoopbackNetwork]]:
    with a_world(tmp_path) as station:
        yield station


@pytest.fixture
def world(station: tuple[CloudThread, LoopbackNetwork]) -> CloudThread:
    return station[0]


@pytest.fixture
def images(tmp_path: Path) -> ProcessImages:
    return probe_images(tmp_path)


@pytest.fixture
def events() -> list[ModuleEvent]:
    return []


@pytest.fixture
def device(
    station: tuple[CloudThread, LoopbackNetwork], images: ProcessImages, events: list[ModuleEvent]
) -> LocalDevice:
    return add_device(*station, images, events.append)


def test_module_gets_exactly_its_environment(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe({"SCRATCH": "/tmp/x", "URL": "http://a/tmp"})})
    file = device.volume("state") / "environment.json"
    wait_until(lambda: file.exists() and file.read_text())
    seen = json.loads(file.read_text())
    identity = {name for name in seen if name.startswith("IOTEDGE_")}
    assert identity == {
        "IOTEDGE_WORKLOADURI",
        "IOTEDGE_GATEWAYHOSTNAME",
        "IOTEDGE_IOTHUBHOSTNAME",
        "IOTEDGE_DEVICEID",
        "IOTEDGE_MODULEID",
        "IOTEDGE_MODULEGENERATIONID",
        "IOTEDGE_APIVERSION",
        "IOTEDGE_AUTHSCHEME",
    }
    rest = {name: value for name, value in seen.items() if not name.startswith("IOTEDGE_")}
    rest.pop("LC_CTYPE", None)  # set by Python itself
    assert rest == {
        "PATH": os.environ["PATH"],
        "FROM_OPTIONS": "yes",
        "EXTRA": "1",
        "PROBE_DIR": str(device.volume("state")),
        "SCRATCH": str(device.directory / "tmpfs" / "probe" / "tmp" / "x"),
        "URL": "http://a/tmp",
    }
    log = device.log_file("probe")
    wait_until(lambda: log.exists() and "probe runs" in log.read_text())
    state = wait_until(lambda: module(world))
    assert (state["runtimeStatus"], state["restartCount"]) == ("running", 0)
    assert reported(world)["lastDesiredStatus"]["code"] == 200


def test_killed_module_is_started_again(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    first = wait_until(lambda: started(events))[0]
    os.kill(first.pid, signal.SIGKILL)
    second = wait_until(lambda: started(events)[1:])[0]
    assert second.pid != first.pid
    assert [event.exit_code for event in events if event.kind is ModuleEventKind.EXITED] == [-9]
    wait_until(lambda: module(world).get("restartCount") == 1)


@pytest.mark.parametrize(
    ("policy", "code", "status"), [("never", 1, "failed"), ("on-failure", 0, "stopped")]
)
def test_module_that_ended_stays_so_if_its_policy_says(
    world: CloudThread,
    device: LocalDevice,
    events: list[ModuleEvent],
    policy: str,
    code: int,
    status: str,
) -> None:
    deploy(world, {"probe": probe({"PROBE_EXIT": str(code)}, policy=policy)})
    wait_until(lambda: started(events))
    wait_until(lambda: module(world).get("runtimeStatus") == status)
    assert module(world)["exitCode"] == code
    assert len(started(events)) == 1


def test_only_a_field_that_matters_updates_a_module(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_until(lambda: started(events))
    twin = {"properties": {"desired": {"model": {"version": "2"}}}}
    world.call(world.cloud.hub.change_twin, DEVICE, "probe", twin)
    deploy(world, {"probe": probe(), "other": probe(status="stopped")})
    wait_until(lambda: module(world, "other"))
    assert len(started(events)) == 1
    deploy(world, {"probe": probe({"NEW": "1"})})
    wait_until(lambda: len(started(events)) == 2)
    wait_until(lambda: not module(world, "other"))
    deploy(world, {"probe": probe({"NEW": "1"}, status="stopped")})
    wait_until(lambda: module(world)["runtimeStatus"] == "stopped")
    assert len(started(events)) == 2


def test_stubborn_module_is_killed_with_its_children(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe({"PROBE_STUBBORN": "1", "PROBE_CHILD": "1"})})
    pid = wait_until(lambda: started(events))[0].pid
    children = wait_until(lambda: psutil.Process(pid).children())
    deploy(world, {})
    wait_until(lambda: not any(each.is_running() for each in children))
    wait_until(lambda: not psutil.pid_exists(pid))


def test_deployment_that_breaks_the_schema_changes_nothing(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_until(lambda: started(events))
    deploy(world, {"probe": {**probe(), "status": "sometimes"}})
    status = wait_until(lambda: (s := last_status(world))["code"] == 400 and s["description"])
    assert "$edgeAgent.modules.probe.status 'sometimes'; rule: one of" in status
    assert device.edgeagent.modules["probe"].status == "running"


def test_edgeagent_answers_ping_and_restarts_a_module(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_until(lambda: started(events))
    assert invoke(world, "ping", None).status == 200
    restart = {"schemaVersion": "1.0", "id": "probe"}
    assert invoke(world, "RestartModule", restart).status == 200
    assert invoke(world, "RestartModule", {**restart, "id": "nobody"}).status == 500
    wait_until(lambda: len(started(events)) == 2)


def test_logs_of_a_real_process_are_stamped_and_told_apart(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe({"PROBE_EXIT": "0"}, policy="never")})
    wait_until(lambda: [each for each in events if each.kind is ModuleEventKind.EXITED])
    request = {"schemaVersion": "1.0", "contentType": "json"}

    def logs(**filters: Any) -> list[dict[str, Any]]:
        items = [{"id": "probe", "filter": filters}]
        (answer,) = invoke(world, "GetModuleLogs", {**request, "items": items}).payload
        return list(json.loads(answer["payload"]))

    found = {(each["stream"], each["loglevel"], each["text"]) for each in logs()}
    assert found == {("stdout", 6, "plain"), ("stderr", 3, "broken")}
    assert logs(until="1 minute") == []
    assert len(logs(since="1 minute")) == 2
    assert [each["text"] for each in logs(loglevel=3)] == ["broken"]


STAND_IN = """
import sys, time
from pathlib import Path
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.edgeagent.process_images import ProcessImages

network = free_loopback_network()
with CloudThread(Path(sys.argv[1]), address=network.address(1)) as world:
    images = ProcessImages(commands={"probe": [sys.executable, "-S", sys.argv[2]]})
    world.run(world.cloud.add_device("station-1", gateway=network.address(2), images=images,
        on_event=lambda event: print(event.pid, flush=True)))
    env = {"PROBE_DIR": {"value": "."}}
    modules = {"probe": {"type": "docker", "status": "running", "settings": {"image": "probe"},
        "env": env}}
    agent = {"schemaVersion": "1.1", "runtime": {}, "systemModules": {}, "modules": modules}
    world.call(world.cloud.hub.apply_content, "station-1",
        {"$edgeAgent": {"properties.desired": agent}})
    time.sleep(60)
"""


def test_killed_stand_in_leaves_no_module_behind(tmp_path: Path, images: ProcessImages) -> None:
    command = [sys.executable, "-c", STAND_IN, str(tmp_path / "world"), images.commands["probe"][2]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stand_in:
        assert stand_in.stdout is not None
        process = psutil.Process(int(stand_in.stdout.readline()))
        stand_in.kill()
        process.wait(WITHIN_S)
    assert not process.is_running()
