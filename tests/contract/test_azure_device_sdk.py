"""The unmodified azure-iot-device on the local edgeHub, by create_from_edge_environment."""

import asyncio
import gc
import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient, Message, MethodResponse
from azure.iot.device import aio as azure_aio
from azure.iot.device import exceptions as azure_exceptions
from tests.waiting import WITHIN_S, wait_until

from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "station-1"
TIMEOUT_S = WITHIN_S
MANIFEST: dict[str, Any] = {
    "id": "base",
    "priority": 10,
    "targetCondition": "deviceId='station-1'",
    "content": {
        "modulesContent": {
            "$edgeAgent": {
                "properties.desired": {
                    "schemaVersion": "1.1",
                    "runtime": {},
                    "systemModules": {},
                    "modules": {},
                }
            },
            "$edgeHub": {
                "properties.desired": {
                    "schemaVersion": "1.2",
                    "routes": {
                        "verdicts": {
                            "route": "FROM /messages/modules/judge/outputs/verdicts "
                            "WHERE kind = 'part' "
                            'INTO BrokeredEndpoint("/modules/writer/inputs/verdicts")',
                            "priority": 0,
                            "timeToLiveSecs": 60,
                        },
                        "telemetry": "FROM /messages/modules/judge/outputs/telemetry "
                        "INTO $upstream",
                    },
                    "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
                }
            },
            "judge": {"properties.desired": {"model": {"name": "weld", "version": "1"}}},
        }
    },
}
Connect = Callable[[str], IoTHubModuleClient]
# paho 1.6.1 replaces its wake-up sockets at each reconnect without closing the old ones.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, network: LoopbackNetwork
) -> Iterator[CloudThread]:
    with CloudThread(tmp_path_factory.mktemp("cloud"), address=network.address(1)) as world:
        world.run(world.cloud.create_deployment(MANIFEST))
        yield world


@pytest.fixture(scope="module")
def device(world: CloudThread, network: LoopbackNetwork) -> LocalDevice:
    return world.run(
        world.cloud.add_device(
            DEVICE, gateway=network.address(2), images=ProcessImages(commands={})
        )
    )


@pytest.fixture
def client_of(
    world: CloudThread, device: LocalDevice, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connect]:
    clients = []

    def connect(module: str) -> IoTHubModuleClient:
        for name, value in world.run(device.environment(module)).items():
            monkeypatch.setenv(name, value)
        client = IoTHubModuleClient.create_from_edge_environment(connection_retry=False)
        clients.append(client)
        client.connect()
        return client

    yield connect
    for client in clients:
        client.shutdown()
    clients.clear()
    gc.collect()  # what paho left behind is found here, where it is expected


def message(body: str) -> Any:
    make: Any = Message
    return make(body, content_encoding="utf-8", content_type="application/json")


def part_message(body: dict[str, object]) -> Any:
    part = message(json.dumps(body))
    part.custom_properties["kind"] = "part"
    part.custom_properties["a key&=/"] = "ä value+%"
    part.correlation_id = "c-1"
    return part


@pytest.mark.azure(
    "edgeHub",
    "An output's message reaches the input of its route, with its properties and its sender",
    source="learn.microsoft.com/azure/iot-edge/module-composition",
)
def test_output_reaches_the_input_its_route_names(client_of: Connect) -> None:
    judge, writer = client_of("judge"), client_of("writer")
    inbox: queue.Queue[Any] = queue.Queue()
    writer.on_message_received = inbox.put
    judge.send_message_to_output(part_message({"verdict": "PASS"}), "verdicts")
    received = inbox.get(timeout=TIMEOUT_S)
    assert received.input_name == "verdicts"
    assert json.loads(received.data) == {"verdict": "PASS"}
    assert received.custom_properties["a key&=/"] == "ä value+%"
    assert received.custom_properties["$.cmid"] == "judge"
    assert (received.content_type, received.content_encoding) == ("application/json", "utf-8")
    assert received.correlation_id == "c-1"


def test_message_that_its_condition_refuses_goes_nowhere(client_of: Connect) -> None:
    judge, writer = client_of("judge"), client_of("writer")
    inbox: queue.Queue[Any] = queue.Queue()
    writer.on_message_received = inbox.put
    judge.send_message_to_output(message("no kind"), "verdicts")
    judge.send_message_to_output(part_message({"n": 2}), "verdicts")
    assert json.loads(inbox.get(timeout=TIMEOUT_S).data) == {"n": 2}


@pytest.mark.azure(
    "edgeHub",
    "A route into $upstream leads to the hub, with the sending module and output",
    source="learn.microsoft.com/azure/iot-edge/module-composition",
)
def test_upstream_route_leads_to_the_hub(world: CloudThread, client_of: Connect) -> None:
    client_of("judge").send_message_to_output(message('{"t": 21}'), "telemetry")
    feed = world.cloud.directory / "telemetry.jsonl"
    wait_until(lambda: feed.exists() and feed.read_text().endswith("\n"))
    telemetry = world.cloud.hub.telemetry[-1]
    assert (telemetry.device, telemetry.module, telemetry.output) == (DEVICE, "judge", "telemetry")
    assert json.loads(feed.read_text().splitlines()[-1])["body"] == '{"t": 21}'


def test_twin_is_read_patched_and_reported(world: CloudThread, client_of: Connect) -> None:
    judge = client_of("judge")
    assert judge.get_twin()["desired"]["model"] == {"name": "weld", "version": "1"}
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    judge.on_twin_desired_properties_patch_received = patches.put
    patch = {"properties": {"desired": {"model": {"version": "2", "name": None}}}}
    identity = world.call(world.cloud.hub.change_twin, DEVICE, "judge", patch)
    wanted = {"model": {"version": "2", "name": None}, "$version": identity.desired_version}
    # The SDK passes the whole document once after its first connect.
    wait_until(lambda: patches.get(timeout=TIMEOUT_S) == wanted)
    judge.patch_twin_reported_properties({"phase": "live", "gone": 1})
    judge.patch_twin_reported_properties({"gone": None})
    assert world.cloud.hub.identity(DEVICE, "judge").reported == {"phase": "live"}


@pytest.mark.azure(
    "edgeHub",
    "Reported properties beyond the limits are answered with 400",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "ReportedPropertiesValidator.cs",
)
def test_reported_properties_beyond_the_limits_are_refused(client_of: Connect) -> None:
    with pytest.raises(azure_exceptions.ClientError):
        client_of("judge").patch_twin_reported_properties({"a.b": 1})


def test_cloud_calls_a_method(world: CloudThread, client_of: Connect) -> None:
    judge = client_of("judge")

    def answer(request: Any) -> None:
        body = {"name": request.name, "echo": request.payload}
        judge.send_method_response(MethodResponse(request.request_id, 207, body))

    judge.on_method_request_received = answer
    result = world.run(
        world.cloud.hub.invoke(
            DEVICE,
            "judge",
            MethodRequest(name="Ping", payload={"x": 1}, response_timeout_s=TIMEOUT_S),
        )
    )
    assert (result.status, result.payload) == (207, {"name": "Ping", "echo": {"x": 1}})


def test_method_of_a_module_that_is_away_is_404(world: CloudThread, device: LocalDevice) -> None:
    world.run(device.environment("absent"))
    call = world.cloud.hub.invoke(
        DEVICE, "absent", MethodRequest(name="Ping", payload=None, response_timeout_s=1)
    )
    with pytest.raises(HubRequestError) as refused:
        world.run(call)
    assert refused.value.status == 404


def test_module_calls_a_method_of_another(device: LocalDevice, client_of: Connect) -> None:
    if device.edgehub.methods_refusal is not None:
        pytest.skip(f"the SDK fixes the port: {device.edgehub.methods_refusal}")
    judge, writer = client_of("judge"), client_of("writer")
    writer.on_method_request_received = lambda request: writer.send_method_response(
        MethodResponse(request.request_id, 200, {"echo": request.payload})
    )
    call = {"methodName": "ping", "payload": {"n": 1}, "responseTimeoutInSeconds": 30}
    assert judge.invoke_method(call, DEVICE, "writer") == {
        "status": 200,
        "payload": {"echo": {"n": 1}},
    }


def test_queued_messages_arrive_in_order_after_edgehub_restarts(
    world: CloudThread, device: LocalDevice, client_of: Connect
) -> None:
    judge, writer = client_of("judge"), client_of("writer")
    writer.on_message_received = lambda _: None
    writer.disconnect()
    for number in range(5):
        judge.send_message_to_output(part_message({"n": number}), "verdicts")
    world.run(device.edgehub.stop())
    world.run(device.edgehub.start())
    inbox: queue.Queue[Any] = queue.Queue()
    writer.on_message_received = inbox.put
    writer.connect()
    numbers = sorted(json.loads(inbox.get(timeout=TIMEOUT_S).data)["n"] for _ in range(5))
    assert numbers == [0, 1, 2, 3, 4]


@pytest.mark.azure(
    "edgeHub",
    "A module has one connection: a newer one ends the older",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "ConnectionManager.cs",
)
def test_newer_connection_of_a_module_drops_the_older(client_of: Connect) -> None:
    older: Any = client_of("judge")
    dropped = threading.Event()

    def on_change() -> None:
        if not older.connected:
            dropped.set()

    older.on_connection_state_change = on_change
    newer = client_of("judge")
    assert dropped.wait(TIMEOUT_S)
    newer.send_message_to_output(message("still here"), "telemetry")


@pytest.mark.azure(
    "IoT Hub",
    "A module's connectionState follows its connection to edgeHub and the device's line to the hub",
    source="learn.microsoft.com/azure/iot-edge/troubleshoot-common-errors",
)
def test_connection_state_follows_module_and_line(
    world: CloudThread, device: LocalDevice, client_of: Connect
) -> None:
    def states() -> dict[str, str]:
        names = ("judge", "$edgeAgent", "$edgeHub")
        identities = [world.call(world.cloud.hub.identity, DEVICE, name) for name in names]
        return {
            each.module_id or "": each.twin_document()["connectionState"] for each in identities
        }

    client = client_of("judge")
    assert set(states().values()) == {"Connected"}
    world.call(device.set_online, False)
    assert set(states().values()) == {"Disconnected"}
    world.call(device.set_online, True)
    assert set(states().values()) == {"Connected"}
    client.disconnect()
    left = {"judge": "Disconnected", "$edgeAgent": "Connected", "$edgeHub": "Connected"}
    wait_until(lambda: states() == left)


def test_wrong_signature_is_refused(
    world: CloudThread, device: LocalDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.run(device.environment("judge")).items():
        monkeypatch.setenv(name, value)
    # judge's socket signs, but the client says it is another hub's module.
    monkeypatch.setenv("IOTEDGE_IOTHUBHOSTNAME", "another.azure-devices.net")
    client = IoTHubModuleClient.create_from_edge_environment(connection_retry=False)
    with pytest.raises(azure_exceptions.CredentialError):
        client.connect()
    client.shutdown()


def test_module_cannot_sign_for_another(
    world: CloudThread, device: LocalDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.run(device.environment("judge")).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("IOTEDGE_MODULEID", "writer")
    with pytest.raises(ValueError, match="SasToken"):
        IoTHubModuleClient.create_from_edge_environment()


def test_asyncio_client_works_too(
    world: CloudThread, device: LocalDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in world.run(device.environment("judge")).items():
        monkeypatch.setenv(name, value)

    async def life() -> dict[str, Any]:
        client = azure_aio.IoTHubModuleClient.create_from_edge_environment()
        async with asyncio.timeout(TIMEOUT_S):
            await client.connect()
            twin = await client.get_twin()
            await client.send_message_to_output("hello", "telemetry")
            await client.shutdown()
        return twin

    assert asyncio.run(life())["desired"]["$version"] >= 1


@pytest.mark.azure(
    "edgeHub",
    "While the device is offline the twin is served from the store and reports wait",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities",
)
def test_twin_is_served_while_the_hub_is_offline(
    world: CloudThread, device: LocalDevice, client_of: Connect
) -> None:
    judge = client_of("judge")
    judge.get_twin()
    world.call(device.set_online, False)
    try:
        judge.patch_twin_reported_properties({"offline": "yes"})
        assert judge.get_twin()["reported"]["offline"] == "yes"
        assert "offline" not in world.cloud.hub.identity(DEVICE, "judge").reported
    finally:
        world.call(device.set_online, True)
    assert world.cloud.hub.identity(DEVICE, "judge").reported["offline"] == "yes"


def test_ca_file_is_the_trust_bundle(world: CloudThread) -> None:
    assert Path(world.cloud.ca_file).read_text().startswith("-----BEGIN CERTIFICATE-----")
