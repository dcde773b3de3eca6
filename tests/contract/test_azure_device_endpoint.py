"""IoT Hub's own MQTT endpoint, judged by the unmodified azure-iot-device."""

import asyncio
import gc
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse
from azure.iot.device import aio as azure_aio
from azure.iot.device import exceptions as azure_exceptions
from tests.contract.hub_wire import DEVICE, MODULE, TIMEOUT_S, with_clients
from tests.waiting import wait_until

from taktgate.standin.azure.device_link import ITSELF
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.world.cloud_thread import CloudThread

# paho 1.6.1 replaces its wake-up sockets at each reconnect without closing the old ones.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def world(world: CloudThread) -> CloudThread:
    return with_clients(world)


def connection_string(world: CloudThread, module: str = "") -> str:
    key = world.cloud.hub.identity(DEVICE, module or None).key
    named = f";ModuleId={module}" if module else ""
    address = world.cloud.device_endpoint.address
    return f"HostName={address};DeviceId={DEVICE}{named};SharedAccessKey={key}"


Connect = Callable[..., Any]


@pytest.fixture
def connect(world: CloudThread) -> Iterator[Connect]:
    """Connect a synchronous client of the SDK: of the device, or of the module that is named."""
    clients = []

    def connect(module: str = "", **options: Any) -> Any:
        kind = IoTHubModuleClient if module else IoTHubDeviceClient
        client = kind.create_from_connection_string(
            connection_string(world, module),
            server_verification_cert=world.cloud.ca_file.read_text(),
            connection_retry=False,
            **options,
        )
        clients.append(client)
        client.connect()
        return client

    yield connect
    for client in clients:
        client.shutdown()
    clients.clear()
    gc.collect()  # what paho left behind is found here, where it is expected


CLIENTS = pytest.mark.parametrize("module", [ITSELF, MODULE], ids=["device", "module"])


@pytest.mark.azure(
    "IoT Hub",
    "Devices and modules send telemetry by MQTT to the hub itself",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
@CLIENTS
def test_telemetry_reaches_the_hub(world: CloudThread, connect: Connect, module: str) -> None:
    make: Any = Message
    message = make('{"t": 21}', content_encoding="utf-8", content_type="application/json")
    message.custom_properties["a key&=/"] = "ä value+%"
    connect(module).send_message(message)
    telemetry = world.cloud.hub.telemetry[-1]
    assert (telemetry.device, telemetry.module, telemetry.payload) == (DEVICE, module, b'{"t": 21}')
    assert telemetry.properties == {"a key&=/": "ä value+%"}
    assert (telemetry.system["$.ct"], telemetry.system["$.cdid"]) == ("application/json", DEVICE)


@pytest.mark.azure(
    "IoT Hub",
    "Desired patches are pushed to the connected client, reported patches are merged",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
@CLIENTS
def test_twin_is_read_patched_and_reported(
    world: CloudThread, connect: Connect, module: str
) -> None:
    hub, client = world.cloud.hub, connect(module)
    patches: queue.Queue[dict[str, Any]] = queue.Queue()
    client.on_twin_desired_properties_patch_received = patches.put
    patch = {"properties": {"desired": {"every_s": 5, "gone": None}}}
    identity = world.call(hub.change_twin, DEVICE, module or None, patch)
    wanted = {"every_s": 5, "gone": None, "$version": identity.desired_version}
    # The SDK passes the whole document once after its first connect.
    wait_until(lambda: patches.get(timeout=TIMEOUT_S) == wanted)
    assert client.get_twin()["desired"] == {"every_s": 5, "$version": identity.desired_version}
    client.patch_twin_reported_properties({"phase": "live", "gone": 1})
    client.patch_twin_reported_properties({"gone": None})
    assert identity.reported == {"phase": "live"}


@pytest.mark.azure(
    "IoT Hub",
    "Reported properties beyond the twin's limits are refused with status 400",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins",
)
def test_reported_properties_beyond_the_limits_are_refused(connect: Connect) -> None:
    with pytest.raises(azure_exceptions.ClientError):
        connect().patch_twin_reported_properties({"a.b": 1})


@pytest.mark.azure(
    "IoT Hub",
    "Direct methods reach a device or module that is connected to the hub itself",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods",
)
@CLIENTS
def test_cloud_calls_a_method(world: CloudThread, connect: Connect, module: str) -> None:
    client = connect(module)

    def answer(request: Any) -> None:
        body = {"name": request.name, "echo": request.payload}
        client.send_method_response(MethodResponse(request.request_id, 207, body))

    client.on_method_request_received = answer
    call = MethodRequest(name="Ping", payload={"x": 1}, response_timeout_s=TIMEOUT_S)
    result = world.run(world.cloud.hub.invoke(DEVICE, module, call))
    assert (result.status, result.payload) == (207, {"name": "Ping", "echo": {"x": 1}})


@pytest.mark.azure(
    "IoT Hub",
    "A method call waits connectTimeoutInSeconds for its device to come",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods",
)
def test_method_waits_for_a_device_that_comes_in_time(world: CloudThread, connect: Connect) -> None:
    call = MethodRequest(name="Ping", connect_timeout_s=TIMEOUT_S, response_timeout_s=TIMEOUT_S)
    hub, module = world.cloud.hub, "late"
    world.call(hub.put_module, DEVICE, module, {})

    async def begin() -> "asyncio.Task[Any]":
        return asyncio.create_task(hub.invoke(DEVICE, module, call))

    calling = world.run(begin())
    client = connect(module)

    def answer(request: Any) -> None:
        client.send_method_response(MethodResponse(request.request_id, 200, None))

    client.on_method_request_received = answer

    async def result() -> Any:
        return await calling

    assert world.run(result()).status == 200


@pytest.mark.parametrize(
    ("subscribes", "status", "number"),
    [(False, 404, 404103), (True, 504, 504101)],
    ids=["away", "silent"],
)
@pytest.mark.azure(
    "IoT Hub",
    "A method call to a device that is away is 404103, to one that does not answer 504101",
    source="learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes",
)
def test_method_that_nobody_answers_is_refused(
    world: CloudThread, connect: Connect, subscribes: bool, status: int, number: int
) -> None:
    if subscribes:
        connect().on_method_request_received = lambda _: None
    call = world.cloud.hub.invoke(DEVICE, ITSELF, MethodRequest(name="Ping", response_timeout_s=1))
    with pytest.raises(HubRequestError) as refused:
        world.run(call)
    assert (refused.value.status, refused.value.number) == (status, number)


def test_asyncio_clients_do_all_of_it(world: CloudThread) -> None:
    async def story(kind: Any, module: str) -> None:
        client = kind.create_from_connection_string(
            connection_string(world, module),
            server_verification_cert=world.cloud.ca_file.read_text(),
            connection_retry=False,
        )
        async with asyncio.timeout(TIMEOUT_S):
            await client.connect()
            await client.send_message("aio")
            await client.patch_twin_reported_properties({"by": "aio"})
            assert (await client.get_twin())["reported"]["by"] == "aio"

            async def answer(request: Any) -> None:
                response = MethodResponse(request.request_id, 200, request.payload)
                await client.send_method_response(response)

            client.on_method_request_received = answer
            call = MethodRequest(name="Echo", payload=[1], connect_timeout_s=TIMEOUT_S)
            result = await asyncio.to_thread(
                world.run, world.cloud.hub.invoke(DEVICE, module, call)
            )
            assert result.payload == [1]
            await client.shutdown()

    asyncio.run(story(azure_aio.IoTHubDeviceClient, ITSELF))
    asyncio.run(story(azure_aio.IoTHubModuleClient, MODULE))


@pytest.mark.azure(
    "IoT Hub",
    "One connection per identity: a newer one ends the older",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
def test_a_newer_connection_ends_the_older(world: CloudThread, connect: Connect) -> None:
    older = connect()
    newer = connect()
    wait_until(lambda: not older.connected)
    newer.send_message("still here")
    # A module of an earlier test may be about to leave.
    wait_until(lambda: world.cloud.device_endpoint.connected == {DEVICE})


def connection_state(world: CloudThread, module: str) -> object:
    source = "devices.modules" if module else "devices"
    where = f"deviceId = '{DEVICE}'" + (f" AND moduleId = '{module}'" if module else "")
    query = f"SELECT * FROM {source} WHERE {where}"
    (twin,) = world.call(world.cloud.hub.query, query)[1]
    return twin["connectionState"]


@pytest.mark.azure(
    "IoT Hub",
    "A twin's connectionState follows its client's MQTT connection",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry",
)
@CLIENTS
def test_connection_state_follows_the_connection(
    world: CloudThread, connect: Connect, module: str
) -> None:
    wait_until(lambda: connection_state(world, module) == "Disconnected")  # an earlier test's
    client = connect(module)
    assert connection_state(world, module) == "Connected"
    client.disconnect()
    wait_until(lambda: connection_state(world, module) == "Disconnected")
