"""IoT Hub's own MQTT endpoint: the unmodified azure-iot-device, and what no SDK would send."""

import asyncio
import gc
import json
import logging
import queue
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, Message, MethodResponse
from azure.iot.device import aio as azure_aio
from azure.iot.device import exceptions as azure_exceptions

from taktgate.standin.azure import sas
from taktgate.standin.azure.device_link import ITSELF
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.world.cloud import HUB_HOSTNAME
from taktgate.standin.azure.world.cloud_thread import CloudThread

DEVICE, MODULE = "meter-1", "reader"
TIMEOUT_S = 10.0

# paho 1.6.1 replaces its wake-up sockets at each reconnect without closing the old ones.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudThread]:
    address = free_loopback_network().address(1)
    with CloudThread(tmp_path_factory.mktemp("cloud"), address=address) as world:
        world.call(world.cloud.hub.put_device, DEVICE, {})
        world.call(world.cloud.hub.put_module, DEVICE, MODULE, {})
        yield world


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


def wait_for(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, "condition did not become true in time"
        time.sleep(0.01)
    return found


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
    wait_for(lambda: patches.get(timeout=TIMEOUT_S) == wanted)
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
    call = MethodRequest(name="Ping", payload={"x": 1}, response_timeout_s=5)
    result = world.run(world.cloud.hub.invoke(DEVICE, module, call))
    assert (result.status, result.payload) == (207, {"name": "Ping", "echo": {"x": 1}})


@pytest.mark.azure(
    "IoT Hub",
    "A method call waits connectTimeoutInSeconds for its device to come",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods",
)
def test_method_waits_for_a_device_that_comes_in_time(world: CloudThread, connect: Connect) -> None:
    call = MethodRequest(name="Ping", connect_timeout_s=TIMEOUT_S, response_timeout_s=5)
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
    wait_for(lambda: not older.connected)
    newer.send_message("still here")
    assert world.cloud.device_endpoint.connected == {DEVICE}


def connection_state(world: CloudThread, module: str) -> object:
    source = "devices.modules" if module else "devices"
    where = f"deviceId = '{DEVICE}'" + (f" AND moduleId = '{module}'" if module else "")
    (twin,) = world.cloud.hub.query(f"SELECT * FROM {source} WHERE {where}")[1]
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
    assert connection_state(world, module) == "Disconnected"
    client = connect(module)
    assert connection_state(world, module) == "Connected"
    client.disconnect()
    wait_for(lambda: connection_state(world, module) == "Disconnected")


@pytest.mark.azure(
    "IoT Hub",
    "A connection ends when its SAS token expires; the SDK renews it by a new connection",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas",
)
def test_connection_ends_when_its_token_expires(world: CloudThread) -> None:
    with raw_client(world, lifetime_s=1) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.ACCEPTED, session_present=False)
        began_s = time.monotonic()
        assert peer.receive() is None
        assert time.monotonic() - began_s < 2


@pytest.mark.azure(
    "IoT Hub",
    "A device that is disabled or deleted loses its connection and cannot come back",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry",
)
@pytest.mark.parametrize("ends", ["disabled", "deleted"])
def test_disabled_or_deleted_device_loses_its_connection(world: CloudThread, ends: str) -> None:
    hub, device = world.cloud.hub, "meter-2"
    world.call(hub.put_device, device, {})
    with raw_client(world, device=device) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.ACCEPTED)
        key = hub.module_key(device, ITSELF)
        if ends == "deleted":
            world.call(hub.delete_device, device)
        else:
            world.call(hub.put_device, device, {"status": "disabled"}, "*")
        assert peer.receive() is None
    with raw_client(world, device=device, key=key) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.UNAUTHORIZED)
    if ends == "disabled":
        world.call(hub.delete_device, device)


class Peer:
    """A client that says what it likes, over real TLS."""

    def __init__(self, world: CloudThread) -> None:
        context = ssl.create_default_context(cafile=str(world.cloud.ca_file))
        address = world.cloud.device_endpoint.address
        self._plain = socket.create_connection((address, 8883), timeout=TIMEOUT_S)
        self._tls = context.wrap_socket(self._plain, server_hostname=address)
        self._decoder = codec.Decoder()
        self._received: list[codec.Packet] = []

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._tls.close()

    def send(self, *packets: codec.Packet | bytes) -> None:
        for packet in packets:
            self._tls.sendall(packet if isinstance(packet, bytes) else codec.encode(packet))

    def receive(self) -> codec.Packet | None:
        """Return the next packet, None at the connection's end."""
        while not self._received:
            try:
                data = self._tls.recv(65536)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self._received += self._decoder.feed(data)
        return self._received.pop(0)


def raw_client(
    world: CloudThread,
    *,
    device: str = DEVICE,
    key: bytes | None = None,
    hostname: str | None = None,
    resource: str | None = None,
    lifetime_s: int = 60,
    clean: bool = True,
) -> Peer:
    """Return a client that has sent CONNECT."""
    host = hostname or world.cloud.device_endpoint.address
    key = key or world.cloud.hub.module_key(device, ITSELF)
    assert key is not None
    peer = Peer(world)
    peer.send(
        codec.Connect(
            client_id=device,
            username=f"{host}/{device}/?api-version=2021-04-12",
            password=sas.make(
                resource or f"{host}/devices/{device}", key=key, lifetime_s=lifetime_s
            ),
            clean_session=clean,
        )
    )
    return peer


def test_the_hubs_azure_name_is_as_good_as_its_address(world: CloudThread) -> None:
    with raw_client(world, hostname=HUB_HOSTNAME) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.ACCEPTED)


@pytest.mark.azure(
    "IoT Hub",
    "A token for another resource, by another key or out of date is refused with CONNACK 5",
    source="learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes",
)
@pytest.mark.parametrize(
    "wrong",
    [
        {"key": b"another key"},
        {"resource": f"{HUB_HOSTNAME}/devices/another"},
        {"hostname": "another.azure-devices.net"},
        {"lifetime_s": -1},
    ],
    ids=["key", "resource", "hub", "expired"],
)
def test_wrong_token_is_refused(
    world: CloudThread, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), raw_client(world, **wrong) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.UNAUTHORIZED)
        assert peer.receive() is None
    assert [record.message for record in caplog.records] == ["connection refused"]


@pytest.mark.azure(
    "IoT Hub",
    "Subscriptions of a client without the clean-session flag outlive its connection",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
@pytest.mark.parametrize("clean", [False, True])
def test_subscriptions_outlive_a_connection_unless_the_session_is_clean(
    world: CloudThread, clean: bool
) -> None:
    filters = ((topics.DESIRED_PATCHES, 1),)
    with raw_client(world, clean=clean) as peer:
        peer.receive()
        peer.send(codec.Subscribe(packet_id=1, filters=filters))
        peer.receive()
    with raw_client(world, clean=clean) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.ACCEPTED, session_present=not clean)
        world.call(
            world.cloud.hub.change_twin,
            DEVICE,
            None,
            {"properties": {"desired": {"n": str(clean)}}},
        )
        peer.send(codec.PingReq())
        received = peer.receive()
        assert isinstance(received, codec.PingResp if clean else codec.Publish)


@pytest.mark.azure(
    "IoT Hub",
    "Documented topics are granted, with QoS 1 at most; others are refused",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
def test_only_documented_topics_are_granted(world: CloudThread) -> None:
    wanted = (
        (topics.TWIN_RESPONSES, 0),
        (topics.DESIRED_PATCHES, 1),
        (topics.METHODS, 2),
        (f"devices/{DEVICE}/messages/devicebound/#", 1),
        ("devices/meter-9/messages/devicebound/#", 1),
        ("#", 0),
    )
    with raw_client(world) as peer:
        peer.receive()
        peer.send(codec.Subscribe(packet_id=7, filters=wanted))
        assert peer.receive() == codec.SubAck(packet_id=7, codes=(0, 1, 1, 1, 0x80, 0x80))


def refused_packets() -> dict[str, codec.Packet | bytes]:
    mine = f"devices/{DEVICE}/messages/events/"
    return {
        "QoS 2": b"\x34\x08\x00\x04abcd\x00\x01",
        "garbage": b"\xff\xff\xff\xff\xff\xff",
        "unknown topic": codec.Publish(topic="$iothub/twin/POST/?$rid=1"),
        "other device": codec.Publish(topic="devices/meter-9/messages/events/"),
        "too large": codec.Publish(topic=mine, payload=b"x" * (256 * 1024 + 1)),
        "method answer": codec.Publish(topic="$iothub/methods/res/200/?$rid=1", payload=b"{"),
        "second CONNECT": codec.Connect(client_id=DEVICE),
    }


@pytest.mark.azure(
    "IoT Hub",
    "What the protocol does not allow closes the connection of the sender and of no one else",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
@pytest.mark.parametrize("packet", refused_packets().values(), ids=refused_packets().keys())
def test_malformed_packet_closes_its_own_session_only(
    world: CloudThread,
    connect: Connect,
    caplog: pytest.LogCaptureFixture,
    packet: codec.Packet | bytes,
) -> None:
    other = connect(MODULE)
    with caplog.at_level(logging.WARNING), raw_client(world) as peer:
        peer.receive()
        peer.send(packet)
        assert peer.receive() is None
    ours = [each for each in caplog.records if each.name.startswith("taktgate")]
    assert [record.message for record in ours] == ["connection closed after a protocol error"]
    other.send_message("unharmed")


def test_plain_text_on_the_tls_port_ends_that_connection(world: CloudThread) -> None:
    address = (world.cloud.device_endpoint.address, 8883)
    with socket.create_connection(address, timeout=TIMEOUT_S) as plain:
        plain.sendall(codec.encode(codec.Connect(client_id=DEVICE)))
        while plain.recv(4096):
            pass
    with raw_client(world) as peer:
        assert peer.receive() == codec.ConnAck(code=codec.ACCEPTED)


@pytest.mark.azure(
    "IoT Hub",
    "A retained message is not kept: the hub passes it on with the property mqtt-retain",
    source="learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub",
)
def test_retained_message_is_passed_on_and_marked(world: CloudThread) -> None:
    with raw_client(world) as peer:
        peer.receive()
        topic = f"devices/{DEVICE}/messages/events/?n=1"
        peer.send(codec.Publish(topic=topic, qos=1, packet_id=3, retain=True, payload=b"r"))
        assert peer.receive() == codec.PubAck(packet_id=3)
    telemetry = world.cloud.hub.telemetry[-1]
    assert (telemetry.payload, telemetry.properties) == (b"r", {"n": "1", "mqtt-retain": "true"})


@pytest.mark.parametrize(
    "patch",
    [
        b"[1]",
        b"{",
        b'{"a.b": 1}',
        b'{"a":' * 900 + b"1" + b"}" * 900,
        b'{"a": [null]}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
    ],
)
def test_refused_report_is_answered_as_azure_shapes_errors(
    world: CloudThread, patch: bytes
) -> None:
    with raw_client(world) as peer:
        peer.receive()
        peer.send(codec.Subscribe(packet_id=1, filters=((topics.TWIN_RESPONSES, 0),)))
        peer.receive()
        peer.send(codec.Publish(topic=topics.reported_patch_topic("7"), payload=patch))
        answer = peer.receive()
    assert isinstance(answer, codec.Publish)
    assert topics.parse_notice(answer.topic) == topics.TwinAnswer(request_id="7", status=400)
    body = json.loads(answer.payload)
    assert body.keys() == {"errorCode", "trackingId", "message", "timestampUtc"}
    assert body["errorCode"] // 1000 == 400
