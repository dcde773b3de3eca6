"""The local edgeAgent runs real processes: environment, mounts, restarts, stops, no orphans."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.unit.standin.docker_engine_bench import DIGEST, FakeEngine

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgeagent.agent import EdgeAgent, EdgeAgentSettings
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.errors import EngineUnreachableError
from taktgate.standin.azure.edgeagent.module import ModuleEvent, ModuleEventKind
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import LoopbackNetwork, free_loopback_network
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "station-1"
TIMEOUT_S = 10.0
PROBE = """
import json, os, signal, sys, time
from pathlib import Path

Path(os.environ["PROBE_DIR"], "environment.json").write_text(json.dumps(dict(os.environ)))
if os.environ.get("PROBE_EXIT"):
    print("plain")
    print("<3> broken", file=sys.stderr)
    sys.exit(int(os.environ["PROBE_EXIT"]))
if os.environ.get("PROBE_STUBBORN"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.environ.get("PROBE_CHILD"):
    os.fork()
print("probe runs", flush=True)
while True:
    time.sleep(0.1)
"""


@pytest.fixture
def network() -> LoopbackNetwork:
    return free_loopback_network()


@pytest.fixture
def world(tmp_path: Path, network: LoopbackNetwork) -> Iterator[CloudThread]:
    with CloudThread(tmp_path / "cloud", address=network.address(1)) as world:
        yield world


@pytest.fixture
def images(tmp_path: Path) -> ProcessImages:
    script = tmp_path / "probe.py"
    script.write_text(PROBE)
    return ProcessImages(commands={"probe": [sys.executable, "-S", str(script)]})


@pytest.fixture
def events() -> list[ModuleEvent]:
    return []


@pytest.fixture
def device(
    world: CloudThread, network: LoopbackNetwork, images: ProcessImages, events: list[ModuleEvent]
) -> LocalDevice:
    return add_device(world, network, images, events.append)


def add_device(
    world: CloudThread,
    network: LoopbackNetwork,
    images: ProcessImages,
    on_event: Callable[[ModuleEvent], None],
) -> LocalDevice:
    return world.run(
        world.cloud.add_device(
            DEVICE,
            gateway=network.address(2),
            images=images,
            environment={"probe": {"EXTRA": "1"}},
            on_event=on_event,
            restart_backoff_s=0.05,
            stop_grace_s=0.5,
        )
    )


def probe(
    env: Mapping[str, str] | None = None,
    *,
    policy: str = "always",
    status: str = "running",
    image: str = "registry.example.io/line/probe:1.2.0-amd64",
) -> dict[str, Any]:
    options = {
        "Env": ["FROM_OPTIONS=yes"],
        "HostConfig": {"Binds": ["state:/var/lib/probe:rw"], "Tmpfs": {"/tmp": "size=1m"}},
    }
    text = json.dumps(options)
    return {
        "version": "1.0",
        "type": "docker",
        "status": status,
        "restartPolicy": policy,
        "startupOrder": 1,
        "settings": {
            "image": image,
            "createOptions": text[:40],
            "createOptions01": text[40:],
        },
        "env": {
            name: {"value": value}
            for name, value in {"PROBE_DIR": "/var/lib/probe", **(env or {})}.items()
        },
    }


def deploy(world: CloudThread, modules: dict[str, Any], *, mode: str = "NonBlocking") -> None:
    env = {"ModuleUpdateMode": {"value": mode}}
    own = {"type": "docker", "settings": {"image": "agent:1.6"}, "env": env}
    system = {"edgeAgent": own}
    agent = {"schemaVersion": "1.1", "runtime": {}, "systemModules": system, "modules": modules}
    content = {"$edgeAgent": {"properties.desired": agent}}
    world.call(world.cloud.hub.apply_content, DEVICE, content)


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "condition did not become true in time"
        time.sleep(0.01)
    return found


def started(events: list[ModuleEvent]) -> list[ModuleEvent]:
    return [event for event in events if event.kind is ModuleEventKind.STARTED]


def reported(world: CloudThread) -> dict[str, Any]:
    return dict(world.cloud.hub.identity(DEVICE, "$edgeAgent").reported)


def last_status(world: CloudThread) -> dict[str, Any]:
    return dict(reported(world).get("lastDesiredStatus") or {"code": 0})


def module(world: CloudThread, name: str = "probe") -> dict[str, Any]:
    return dict(reported(world).get("modules", {}).get(name, {}))


def test_module_gets_exactly_its_environment(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe({"SCRATCH": "/tmp/x", "URL": "http://a/tmp"})})
    file = device.volume("state") / "environment.json"
    wait_for(lambda: file.exists() and file.read_text())
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
    wait_for(lambda: "probe runs" in device.log_file("probe").read_text())
    state = wait_for(lambda: module(world))
    assert (state["runtimeStatus"], state["restartCount"]) == ("running", 0)
    assert reported(world)["lastDesiredStatus"]["code"] == 200


def test_killed_module_is_started_again(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    first = wait_for(lambda: started(events))[0]
    os.kill(first.pid, signal.SIGKILL)
    second = wait_for(lambda: started(events)[1:])[0]
    assert second.pid != first.pid
    assert [event.exit_code for event in events if event.kind is ModuleEventKind.EXITED] == [-9]
    wait_for(lambda: module(world).get("restartCount") == 1)


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
    wait_for(lambda: started(events))
    wait_for(lambda: module(world).get("runtimeStatus") == status)
    assert module(world)["exitCode"] == code
    assert len(started(events)) == 1


def test_only_a_field_that_matters_updates_a_module(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_for(lambda: started(events))
    twin = {"properties": {"desired": {"model": {"version": "2"}}}}
    world.call(world.cloud.hub.change_twin, DEVICE, "probe", twin)
    deploy(world, {"probe": probe(), "other": probe(status="stopped")})
    wait_for(lambda: module(world, "other"))
    assert len(started(events)) == 1
    deploy(world, {"probe": probe({"NEW": "1"})})
    wait_for(lambda: len(started(events)) == 2)
    wait_for(lambda: not module(world, "other"))
    deploy(world, {"probe": probe({"NEW": "1"}, status="stopped")})
    wait_for(lambda: module(world)["runtimeStatus"] == "stopped")
    assert len(started(events)) == 2


def test_stubborn_module_is_killed_with_its_children(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe({"PROBE_STUBBORN": "1", "PROBE_CHILD": "1"})})
    pid = wait_for(lambda: started(events))[0].pid
    children = wait_for(lambda: psutil.Process(pid).children())
    deploy(world, {})
    wait_for(lambda: not any(each.is_running() for each in children))
    assert not psutil.pid_exists(pid)


def test_deployment_that_breaks_the_schema_changes_nothing(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_for(lambda: started(events))
    deploy(world, {"probe": {**probe(), "status": "sometimes"}})
    status = wait_for(lambda: (s := last_status(world))["code"] == 400 and s["description"])
    assert "$edgeAgent.modules.probe.status 'sometimes'; rule: one of" in status
    assert device.edgeagent.modules["probe"].status == "running"


def test_image_that_cannot_be_pulled_fails_only_its_own_module(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe(), "other": probe(image="nobody:1")})
    status = wait_for(lambda: (s := last_status(world))["code"] == 500 and s["description"])
    assert "Could not pull image nobody:1" in status
    wait_for(lambda: module(world).get("runtimeStatus") == "running")
    deploy(world, {"probe": probe()})
    wait_for(lambda: last_status(world)["code"] == 200)
    assert len(started(events)) == 1


def test_failed_pull_is_repaired_by_a_later_attempt(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    world.call(device.edgeagent.quirks.turn_on, "fail-pull", 2)
    deploy(world, {"probe": probe()})
    wait_for(lambda: last_status(world)["code"] == 500)
    wait_for(lambda: last_status(world)["code"] == 200)
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
            pulled_at_stop.append((device.directory / "images.json").read_text())

    device = add_device(world, network, images, take_note)
    deploy(world, {"a": probe(image="probe:1"), "b": probe(image="probe:1")}, mode=mode)
    wait_for(lambda: len(started(events)) == 2)
    world.call(device.edgeagent.quirks.turn_on, "slow-pull", 0.1)
    deploy(world, {"a": probe(image="probe:2"), "b": probe(image="probe:3")}, mode=mode)
    wait_for(lambda: len(started(events)) == 4)
    assert ("probe:3" in pulled_at_stop[0]) is is_there


def test_started_offline_the_last_good_deployment_runs(
    world: CloudThread, device: LocalDevice, images: ProcessImages, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_for(lambda: started(events))
    wait_for(lambda: last_status(world)["code"] == 200)
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
    wait_for(lambda: len(started(events)) == 2)
    world.call(device.set_online, True)
    wait_for(lambda: last_status(world)["code"] == 200)
    world.run(second.stop())


def invoke(world: CloudThread, name: str, payload: Any) -> MethodResult:
    call = MethodRequest(name=name, payload=payload, response_timeout_s=5)
    return world.run(world.cloud.hub.invoke(DEVICE, "$edgeAgent", call))


def test_edgeagent_answers_ping_and_restarts_a_module(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe()})
    wait_for(lambda: started(events))
    assert invoke(world, "ping", None).status == 200
    restart = {"schemaVersion": "1.0", "id": "probe"}
    assert invoke(world, "RestartModule", restart).status == 200
    assert invoke(world, "RestartModule", {**restart, "id": "nobody"}).status == 500
    wait_for(lambda: len(started(events)) == 2)


def test_logs_of_a_real_process_are_stamped_and_told_apart(
    world: CloudThread, device: LocalDevice, events: list[ModuleEvent]
) -> None:
    deploy(world, {"probe": probe({"PROBE_EXIT": "0"}, policy="never")})
    wait_for(lambda: [each for each in events if each.kind is ModuleEventKind.EXITED])
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
    state = wait_for(lambda: (m := module(world)).get("runtimeStatus") == "running" and m)
    assert state["settings"]["imageHash"] == DIGEST
    name = f"{DEVICE}.probe"
    body = engine.containers[name].body
    assert "PROBE_DIR=/var/lib/probe" in body["Env"]
    assert "IOTEDGE_WORKLOADURI=unix:///var/run/iotedge/workload.sock" in body["Env"]
    assert body["HostConfig"]["Binds"][0] == "state:/var/lib/probe:rw"
    world.call(engine.end, name, 9)
    wait_for(lambda: module(world).get("restartCount") == 1)
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
        process.wait(timeout=5)
    assert not process.is_running()
