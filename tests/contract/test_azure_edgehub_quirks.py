"""edgeHub on a bad day: each of its quirks on the wire, and what its other heads answer."""

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.contract.edgehub_wire import DEVICE, RawClient, connected_for_moments, key_of
from tests.waiting import WITHIN_S

from taktgate.standin.azure import sas
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.quirks import QuirkBoard
from taktgate.standin.azure.world.cloud import HUB_HOSTNAME
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

INPUTS = f"devices/{DEVICE}/modules/b/inputs/#"
EVENTS = f"devices/{DEVICE}/modules/a/messages/events/%24.on=out"
ROUTES = {"a-b": 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/in")'}
TWIN_GET = codec.Publish(topic="$iothub/twin/GET/?$rid=1", payload=b" ", qos=1, packet_id=9)
METHODS_URL = f"/twins/{DEVICE}/modules/b/methods?api-version=2019-10-01"
Open = Callable[[str], RawClient]
TurnOn = Callable[..., None]


@pytest.fixture(scope="module")
def device(world: CloudThread, network: LoopbackNetwork) -> LocalDevice:
    device = world.run(
        world.cloud.add_device(
            DEVICE,
            gateway=network.address(2),
            images=ProcessImages(commands={}),
            edgehub=EdgeHubSettings(first_retry_s=0.05, token_check_period_s=0.2),
        )
    )
    desired = {"properties": {"desired": {"schemaVersion": "1.2", "routes": ROUTES}}}
    world.call(world.cloud.hub.change_twin, DEVICE, "$edgeHub", desired)
    for module in ("a", "b"):
        world.call(device.link.ensure_module, module)
    return device


@pytest.fixture
def connected(world: CloudThread, device: LocalDevice, network: LoopbackNetwork) -> Iterator[Open]:
    clients: list[RawClient] = []

    def connect(module: str) -> RawClient:
        client = RawClient(world, network.address(2), module)
        clients.append(client)
        assert client.connect(key_of(device, module)).code == codec.ACCEPTED
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def turn_on(device: LocalDevice) -> Iterator[TurnOn]:
    quirks: QuirkBoard = device.edgehub.quirks
    yield quirks.turn_on
    for name in list(quirks.active):
        quirks.turn_off(name)


def publish(client: RawClient, body: bytes = b"1") -> None:
    client.send(codec.Publish(topic=EVENTS, payload=body, qos=1, packet_id=7))


def subscribe(client: RawClient, *names: str) -> None:
    client.send(codec.Subscribe(packet_id=1, filters=tuple((name, 1) for name in names)))


def hears_nothing(client: RawClient) -> bool:
    """Tell whether the answer to a ping is the next thing that comes."""
    client.send(codec.PingReq())
    client.read(codec.PingResp)
    return True


def receive(client: RawClient) -> codec.Publish:
    packet = client.read(codec.Publish)
    client.send(codec.PubAck(packet_id=packet.packet_id))
    return packet


def test_duplicate_delivers_a_message_twice(connected: Open, turn_on: TurnOn) -> None:
    sender, receiver = connected("a"), connected("b")
    subscribe(receiver, INPUTS)
    receiver.read(codec.SubAck)
    turn_on("duplicate", 1)
    for body in (b"1", b"2"):
        publish(sender, body)
    assert [receive(receiver).payload for _ in range(3)] == [b"1", b"1", b"2"]


def test_puback_comes_late(connected: Open, turn_on: TurnOn) -> None:
    sender = connected("a")
    turn_on("delay-puback", 0.2)
    began_s = time.monotonic()
    publish(sender)
    assert sender.read(codec.PubAck).packet_id == 7
    assert time.monotonic() - began_s >= 0.2


def test_withheld_puback_stores_the_message_all_the_same(connected: Open, turn_on: TurnOn) -> None:
    sender, receiver = connected("a"), connected("b")
    subscribe(receiver, INPUTS)
    receiver.read(codec.SubAck)
    turn_on("withhold-puback")
    publish(sender, b"stored")
    while receive(receiver).payload != b"stored":
        pass
    assert hears_nothing(sender)


def test_suback_comes_late(connected: Open, turn_on: TurnOn) -> None:
    client = connected("b")
    turn_on("delay-suback", 0.2)
    began_s = time.monotonic()
    subscribe(client, topics.METHODS)
    client.read(codec.SubAck)
    assert time.monotonic() - began_s >= 0.2


def test_suback_never_comes(connected: Open, turn_on: TurnOn) -> None:
    client = connected("b")
    turn_on("withhold-suback")
    subscribe(client, topics.METHODS)
    assert hears_nothing(client)
    subscribe(client, topics.METHODS)
    client.read(codec.SubAck)


def test_twin_comes_late(connected: Open, turn_on: TurnOn) -> None:
    client = connected("a")
    turn_on("slow-twin", 0.2)
    began_s = time.monotonic()
    client.send(TWIN_GET)
    client.read(codec.PubAck)
    assert "/res/200/" in receive(client).topic
    assert time.monotonic() - began_s >= 0.2


def test_twin_is_empty(connected: Open, turn_on: TurnOn) -> None:
    client = connected("a")
    turn_on("empty-twin")
    client.send(TWIN_GET)
    packets = [receive(client)]
    assert (packets[0].topic, packets[0].payload) == ("$iothub/twin/res/200/?$rid=1", b"{}")


def test_twin_request_is_throttled(connected: Open, turn_on: TurnOn) -> None:
    client = connected("a")
    turn_on("throttle-twin", 1)
    answers = []
    for _ in range(2):
        client.send(TWIN_GET)
        answers.append(receive(client).topic.split("/")[3])
        client.read(codec.PubAck)
    assert answers == ["429", "200"]


def test_token_is_refused(
    world: CloudThread, device: LocalDevice, network: LoopbackNetwork, turn_on: TurnOn
) -> None:
    turn_on("refuse-sas")
    client = RawClient(world, network.address(2), "a")
    assert client.connect(key_of(device, "a")).code == codec.UNAUTHORIZED
    client.close()


def test_full_disk_ends_the_sender_without_a_receipt(connected: Open, turn_on: TurnOn) -> None:
    sender, other = connected("a"), connected("b")
    turn_on("disk-full")
    publish(sender)
    assert sender.is_closed_by_peer()
    assert hears_nothing(other)


def test_twin_sync_period_is_obeyed(
    world: CloudThread, device: LocalDevice, connected: Open, turn_on: TurnOn
) -> None:
    client = connected("a")
    subscribe(client, topics.DESIRED_PATCHES)
    client.read(codec.SubAck)
    client.send(TWIN_GET)
    receive(client)
    client.read(codec.PubAck)
    turn_on("twin-sync-period")
    world.call(device.set_online, False)
    change = {"properties": {"desired": {"missed": time.time()}}}
    world.call(world.cloud.hub.change_twin, DEVICE, "a", change)
    world.call(device.set_online, True)
    assert hears_nothing(client)
    change = {"properties": {"desired": {"next": time.time()}}}
    world.call(world.cloud.hub.change_twin, DEVICE, "a", change)
    assert {"missed", "next", "$version"} <= set(json.loads(receive(client).payload))


@pytest.mark.parametrize("action", ["drop_connection", "expire_sas"])
def test_connection_is_cut_by_an_action(
    world: CloudThread, device: LocalDevice, connected: Open, action: str
) -> None:
    client, other = connected("a"), connected("b")
    assert world.call(getattr(device.edgehub, action), "a")
    assert client.is_closed_by_peer()
    assert hears_nothing(other)
    assert not world.call(getattr(device.edgehub, action), "nobody")


def test_connection_ends_when_its_token_does(
    world: CloudThread, device: LocalDevice, network: LoopbackNetwork
) -> None:
    client = connected_for_moments(world, network.address(2), "a", key_of(device, "a"))
    assert client.is_closed_by_peer()
    client.close()


def call_method(
    world: CloudThread, network: LoopbackNetwork, headers: dict[str, str], body: Any
) -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=str(world.cloud.ca_file))
    connection = http.client.HTTPSConnection(network.address(2), context=context, timeout=WITHIN_S)
    connection.request("POST", METHODS_URL, json.dumps(body), headers)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read())
    connection.close()
    return answer


@pytest.mark.azure(
    "edgeHub",
    "Module-to-module methods are refused with a status and a message",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Http/controllers/"
    "TwinsController.cs",
)
@pytest.mark.parametrize(
    ("caller", "key", "body", "status", "message"),
    [
        ("nobody", None, {"methodName": "m"}, 400, "Invalid header value for x-ms-edge-moduleId"),
        (
            "other/a",
            None,
            {"methodName": "m"},
            401,
            "Only modules on the same device can invoke DirectMethods",
        ),
        (f"{DEVICE}/a", b"wrong", {"methodName": "m"}, 401, "Unable to authenticate device"),
        (f"{DEVICE}/a", None, {"methodName": "m"}, 404, f"Client {DEVICE}/b not found"),
        (f"{DEVICE}/a", None, {"payload": 1}, 400, "methodName is missing"),
        (f"{DEVICE}/a", None, [], 400, "body is not a JSON object"),
    ],
)
def test_method_call_is_refused_with_status_and_message(
    world: CloudThread,
    device: LocalDevice,
    network: LoopbackNetwork,
    caller: str,
    key: bytes | None,
    body: Any,
    status: int,
    message: str,
) -> None:
    if device.edgehub.methods_refusal is not None:
        pytest.skip(f"the protocol fixes the port: {device.edgehub.methods_refusal}")
    resource = f"{HUB_HOSTNAME}/devices/{DEVICE}/modules/a"
    token = sas.make(resource, key=key or key_of(device, "a"), lifetime_s=60)
    headers = {"x-ms-edge-moduleId": caller, "Authorization": token}
    answer = call_method(world, network, headers, body)
    assert answer[0] == status
    assert answer[1]["message"].startswith(message)


@pytest.mark.azure(
    "edgeHub",
    "Metrics are served at :9600/metrics of the gateway without TLS",
    source="learn.microsoft.com/azure/iot-edge/how-to-access-built-in-metrics",
)
def test_metrics_are_served_on_port_9600(device: LocalDevice, network: LoopbackNetwork) -> None:
    assert device.edgehub.metrics_refusal is None
    connection = http.client.HTTPConnection(network.address(2), 9600, timeout=WITHIN_S)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    assert "# TYPE edgehub_messages_sent_total counter" in text
    assert f'edge_device="{DEVICE}"' in text


def test_without_port_9600_only_the_metrics_are_missing(
    world: CloudThread, network: LoopbackNetwork
) -> None:
    address = network.address(4)
    with socket.socket() as holder:
        holder.bind((address, 9600))
        holder.listen()
        added = world.run(
            world.cloud.add_device("station-4", gateway=address, images=ProcessImages(commands={}))
        )
    assert added.edgehub.is_running
    assert added.edgehub.metrics_refusal == "port 9600 of the gateway: Address already in use"


@pytest.mark.azure(
    "edgeHub",
    "A packet beyond 256 KiB ends the connection",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Service/"
    "appsettings_hub.json",
)
@pytest.mark.parametrize(("more_bytes", "is_taken"), [(0, True), (1, False)])
def test_message_beyond_256_kib_ends_the_connection(
    connected: Open, more_bytes: int, is_taken: bool
) -> None:
    sender = connected("a")
    room = 256 * 1024 - 2 - len(EVENTS) - 2
    with contextlib.suppress(OSError):
        publish(sender, b"x" * (room + more_bytes))
    if is_taken:
        sender.read(codec.PubAck)
    else:
        assert sender.is_closed_by_peer()
