"""Microsoft's SDKs for Node.js as judges of hub and edgeHub: another code base, the same wire."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.errors import PortInUseError
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

JUDGES = Path(__file__).parents[1] / "judges/node"
HTTPS_PORT = 443
TIMEOUT_S = 60
DEVICE = "station-1"
MANIFEST: dict[str, Any] = {
    "id": "base",
    "priority": 10,
    "targetCondition": f"deviceId='{DEVICE}'",
    "content": {
        "modulesContent": {
            "$edgeAgent": {
                "properties.desired": {
                    "schemaVersion": "1.1",
                    "runtime": {"type": "docker", "settings": {}},
                    "systemModules": {},
                    "modules": {},
                }
            },
            "$edgeHub": {
                "properties.desired": {
                    "schemaVersion": "1.2",
                    "routes": {
                        "parts": "FROM /messages/modules/sender/outputs/parts "
                        'WHERE $body.part > 1 INTO BrokeredEndpoint("/modules/judge/inputs/parts")',
                    },
                    "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
                }
            },
            "judge": {"properties.desired": {"model": {"version": "1"}}},
        }
    },
}

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (JUDGES / "node_modules").is_dir(),
    reason="no Node.js, or scripts/bootstrap found no npm to install the judges",
)


def environment(**values: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **values}


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, network: LoopbackNetwork
) -> Iterator[CloudThread]:
    cloud = CloudThread(
        tmp_path_factory.mktemp("cloud"), address=network.address(1), hub_port=HTTPS_PORT
    )
    try:
        with cloud as world:
            yield world
    except (PortInUseError, PermissionError) as error:
        pytest.skip(f"Microsoft's SDK for Node.js fixes port 443: {error}")


@pytest.fixture(scope="module")
def found(world: CloudThread) -> Any:
    """What the service SDK got from the hub."""
    judged = subprocess.run(
        ["node", str(JUDGES / "service.cjs")],
        env=environment(
            HUB_CONNECTION_STRING=world.cloud.service_connection_string,
            NODE_EXTRA_CA_CERTS=str(world.cloud.ca_file),
        ),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr
    return json.loads(judged.stdout)


@pytest.mark.azure(
    "IoT Hub",
    "Microsoft's service SDK for Node.js registers devices and modules and names what is missing",
    source="Azure/azure-iot-hub-node service/src/registry.ts",
)
def test_node_service_sdk_registers_identities(found: Any) -> None:
    assert found["module"] == {"id": "probe", "hasKey": True}
    assert found["modules"] == ["$edgeAgent", "$edgeHub", "probe"]
    assert found["device"] == {"iotEdge": True}
    assert found["missing"] == ["DeviceNotFoundError", 404]


@pytest.mark.azure(
    "IoT Hub",
    "Microsoft's service SDK for Node.js patches twins and is told of a stale etag",
    source="Azure/azure-iot-hub-node service/src/registry.ts",
)
def test_node_service_sdk_changes_twins(found: Any) -> None:
    assert found["desired"] == {"limit": 3, "version": 2, "metadata": True}
    assert found["stale"] == ["InvalidEtagError", 412]


@pytest.mark.azure(
    "IoT Hub",
    "Microsoft's service SDK for Node.js follows a query's pages by the continuation token",
    source="Azure/azure-iot-hub-node service/src/query.ts",
)
def test_node_service_sdk_queries(found: Any) -> None:
    assert found["pages"] == ["node-1", "node-2"]
    assert found["twins"] == [["node-1", "canary"]]
    assert found["wrong"] == ["ArgumentError", 400]


@pytest.mark.azure(
    "deployments",
    "Microsoft's service SDK for Node.js sees a layer change the devices of its condition only",
    source="learn.microsoft.com/azure/iot-edge/module-deployment-monitoring",
)
def test_node_service_sdk_deploys(found: Any) -> None:
    assert found["models"] == ["2", "1"]
    assert found["layer"]["metrics"]["targetedCount"] == 1
    assert found["layer"]["metrics"]["appliedCount"] == 1
    assert found["layer"]["custom"] == {"all": 2}
    assert found["layer"]["labels"] == {"kind": "judge"}
    assert found["priority"] == 30
    assert found["listed"] == ["node-base", "node-layer"]
    assert found["after"] == ["1", "1"]


def test_node_service_sdk_is_told_that_a_device_is_not_online(found: Any) -> None:
    assert found["method"][1] == 404


class NodeModule:
    """A module that runs Microsoft's module SDK for Node.js."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def told(self, kind: str) -> Any:
        """Return the value of the next line of this kind."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            assert told["kind"] != "failed", told
            if told["kind"] == kind:
                return told["value"]
        raise AssertionError(f"the module ended before it told {kind!r}")

    def send(self, output: str, body: Mapping[str, Any], **properties: str) -> None:
        """Send a message and wait for its receipt."""
        assert self._process.stdin is not None
        order = {"output": output, "body": json.dumps(body), "properties": properties}
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self.told("sent")


@contextmanager
def node_module(world: CloudThread, device: LocalDevice, name: str) -> Iterator[NodeModule]:
    with subprocess.Popen(
        ["node", str(JUDGES / "module.cjs")],
        env=environment(**world.run(device.environment(name))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield NodeModule(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def device(world: CloudThread, network: LoopbackNetwork) -> LocalDevice:
    world.run(world.cloud.create_deployment(MANIFEST))
    return world.run(
        world.cloud.add_device(
            DEVICE, gateway=network.address(2), images=ProcessImages(commands={})
        )
    )


@pytest.fixture(scope="module")
def judge(world: CloudThread, device: LocalDevice) -> Iterator[NodeModule]:
    with node_module(world, device, "judge") as judge:
        yield judge


@pytest.mark.azure(
    "edgeHub",
    "Microsoft's module SDK for Node.js reads its twin, takes a patch and reports",
    source="Azure/azure-iot-sdk-node device/transport/mqtt",
)
def test_node_module_sdk_follows_its_twin(
    world: CloudThread, device: LocalDevice, judge: NodeModule
) -> None:
    twin = judge.told("twin")
    assert twin["desired"]["model"] == {"version": "1"}
    # The document at the start; its report is answered after the subscription to changes.
    judge.told("desired")
    assert judge.told("reported") == "ok"
    patch = {"properties": {"desired": {"model": {"version": "2"}}}}
    changed = world.call(world.cloud.hub.change_twin, DEVICE, "judge", patch)
    assert judge.told("desired") == {
        "patch": {"model": {"version": "2"}},
        "version": changed.desired_version,
    }
    assert judge.told("reported") == "ok"
    assert device.module_twin("judge")["reported"]["seen"] == changed.desired_version


@pytest.mark.azure(
    "edgeHub",
    "Microsoft's module SDK for Node.js sends by a route with a $body condition and receives",
    source="learn.microsoft.com/azure/iot-edge/module-composition#declare-routes",
)
def test_node_module_sdk_sends_and_receives(
    world: CloudThread, device: LocalDevice, judge: NodeModule
) -> None:
    with node_module(world, device, "sender") as sender:
        sender.told("ready")
        sender.send("parts", {"part": 1})
        sender.send("parts", {"part": 2}, kind="a b&c=ä")
    got = judge.told("input")
    assert (got["input"], json.loads(got["body"]), got["type"]) == (
        "parts",
        {"part": 2},
        "application/json",
    )
    assert {"key": "kind", "value": "a b&c=ä"} in got["properties"]
