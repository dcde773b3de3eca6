"""A device whose modules are small Python programs, and what its tests say and ask."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import WITHIN_S

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgeagent.module import ModuleEvent, ModuleEventKind
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import LoopbackNetwork, free_loopback_network
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "station-1"
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


@contextmanager
def a_world(tmp_path: Path) -> Iterator[tuple[CloudThread, LoopbackNetwork]]:
    network = free_loopback_network()
    with CloudThread(tmp_path / "cloud", address=network.address(1)) as world:
        yield world, network


def probe_images(tmp_path: Path) -> ProcessImages:
    script = tmp_path / "probe.py"
    script.write_text(PROBE)
    return ProcessImages(commands={"probe": [sys.executable, "-S", str(script)]})


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


def started(events: list[ModuleEvent]) -> list[ModuleEvent]:
    return [event for event in events if event.kind is ModuleEventKind.STARTED]


def reported(world: CloudThread) -> dict[str, Any]:
    return dict(world.cloud.hub.identity(DEVICE, "$edgeAgent").reported)


def last_status(world: CloudThread) -> dict[str, Any]:
    return dict(reported(world).get("lastDesiredStatus") or {"code": 0})


def module(world: CloudThread, name: str = "probe") -> dict[str, Any]:
    return dict(reported(world).get("modules", {}).get(name, {}))


def invoke(world: CloudThread, name: str, payload: Any) -> MethodResult:
    call = MethodRequest(name=name, payload=payload, response_timeout_s=WITHIN_S)
    return world.run(world.cloud.hub.invoke(DEVICE, "$edgeAgent", call))
