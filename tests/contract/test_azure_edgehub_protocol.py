"""edgeHub's protocol, byte by byte: what it refuses, and that a bad client harms nobody else."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.edgehub_wire import DEVICE, RawClient, key_of
from tests.waiting import wait_until

from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.errors import PortInUseError
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

ACK_TIMEOUT_S = 0.2
MOST_ARRIVALS = 100
NO_IMAGES = ProcessImages(commands={})
INPUTS = f"devices/{DEVICE}/modules/b/inputs/#"
EVENTS = f"devices/{DEVICE}/modules/a/messages/events/%24.on=out"
ROUTES = {
    "a-b": 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/in")',
}
Open = Callable[..., RawClient]


@pytest.fixture(scope="module")
def device(world: CloudThread, network: LoopbackNetwork) -> LocalDevice:
    settings = EdgeHubSettings(ack_timeout_s=ACK_TIMEOUT_S, first_retry_s=0.05, max_retry_s=0.1)
    device = world.run(
        world.cloud.add_device(
            DEVICE, gateway=network.address(2), images=NO_IMAGES, edgehub=settings
        )
    )
    configure(world, {"schemaVersion": "1.2", "routes": ROUTES})
    for module in ("a", "b"):
        world.call(device.link.ensure_module, module)
    return device


@pytest.fixture
def open_client(world: CloudThread, network: LoopbackNetwork) -> Iterator[Open]:
    clients: list[RawClient] = []

    def open_one(module: str) -> RawClient:
        clients.append(RawClient(world, network.address(2), module))
        return clients[-1]

    yield open_one
    for client in clients:
        client.close()


@pytest.fixture
def connected(device: LocalDevice, open_client: Open) -> Open:
    def connect(module: str) -> RawClient:
        client = open_client(module)
        assert client.connect(key_of(device, module)).code == codec.ACCEPTED
        return client

    return connect


def configure(world: CloudThread, desired: dict[str, Any]) -> None:
    patch = {"properties": {"desired": desired}}
    world.call(world.cloud.hub.change_twin, DEVICE, "$edgeHub", patch)


def listen(client: RawClient) -> None:
    client.send(codec.Subscribe(packet_id=1, filters=((INPUTS, 1),)))
    assert client.read(codec.SubAck).codes == (1,)


def acknowledge(client: RawClient, message: codec.Publish) -> None:
    client.send(codec.PubAck(packet_id=message.packet_id))


def take_the_rest(device: LocalDevice, client: RawClient) -> None:
    """Acknowledge what is sent again, until edgeHub has a receipt in time for each message."""

    def is_over() -> bool:
        client.send(codec.PingReq())
        while isinstance(packet := client.read_any(), codec.Publish):
            acknowledge(client, packet)
        return not device.edgehub.queue_lengths["b"]

    wait_until(is_over)


def arrivals(client: RawClient) -> Iterator[codec.Publish]:
    """Yield what comes, acknowledged; a message whose receipt is late comes again."""
    for _ in range(MOST_ARRIVALS):
        message = client.read(codec.Publish)
        acknowledge(client, message)
        yield message


def publish(client: RawClient, payload: bytes) -> None:
    client.send(codec.Publish(topic=EVENTS, payload=payload, qos=1, packet_id=7))
    assert client.read(codec.PubAck).packet_id == 7


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x30\xff\xff\xff\xff\x01",
        b"\x30\x80\x80\x40",
        codec.encode(codec.Publish(topic="no/such/topic", qos=1, packet_id=1)),
        codec.encode(codec.Publish(topic=EVENTS, qos=2, packet_id=1)),
        codec.encode(
            codec.Publish(topic=EVENTS.replace("modules/a", "modules/b"), qos=1, packet_id=1)
        ),
        codec.encode(codec.Publish(topic="$iothub/methods/res/200/?$rid=zz", payload=b"{"))
        + b"\x00",
    ],
    ids=["http", "endless length", "too large", "topic", "qos 2", "other module", "reserved type"],
)
def test_bad_bytes_close_that_connection_only_and_are_logged_once(
    connected: Open, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad = connected("b"), connected("a")
    bad.send_raw(data)
    assert bad.is_closed_by_peer()
    good.send(codec.PingReq())
    good.read(codec.PingResp)
    assert caplog.messages == ["connection closed after a protocol error"]


def test_first_packet_must_be_connect(device: LocalDevice, open_client: Open) -> None:
    client = open_client("a")
    client.send(codec.PingReq())
    assert client.is_closed_by_peer()


@pytest.mark.azure(
    "edgeHub",
    "A token that is expired or another module's is refused with CONNACK 5",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas",
)
@pytest.mark.parametrize(("module", "lifetime_s"), [("b", 60), ("a", -1)])
def test_wrong_or_expired_token_is_refused(
    device: LocalDevice, open_client: Open, module: str, lifetime_s: int
) -> None:
    client = open_client("a")
    assert client.connect(key_of(device, module), lifetime_s=lifetime_s).code == codec.UNAUTHORIZED
    assert client.is_closed_by_peer()


@pytest.mark.azure(
    "edgeHub",
    "A module may subscribe to its own inputs, to twin changes and to methods, and to nothing else",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_foreign_topics_cannot_be_subscribed(connected: Open) -> None:
    client = connected("a")
    client.send(codec.Subscribe(packet_id=1, filters=((INPUTS, 1), ("$iothub/methods/POST/#", 1))))
    assert client.read(codec.SubAck).codes == (codec.SUBSCRIPTION_FAILED, 1)


def test_one_message_is_in_flight_and_comes_again_without_receipt(
    device: LocalDevice, connected: Open
) -> None:
    sender, receiver = connected("a"), connected("b")
    listen(receiver)
    publish(sender, b"1")
    publish(sender, b"2")
    first = receiver.read(codec.Publish)
    again = receiver.read(codec.Publish)
    assert (first.payload, first.dup, again.payload, again.dup) == (b"1", False, b"1", True)
    assert again.packet_id == first.packet_id
    acknowledge(receiver, first)
    second = next(each for each in arrivals(receiver) if each.packet_id != first.packet_id)
    assert second.payload == b"2"
    take_the_rest(device, receiver)


@pytest.mark.azure(
    "edgeHub",
    "A message in flight when the module leaves is the first on its next connection",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/routing/"
    "ModuleEndpoint.cs",
)
def test_message_in_flight_is_first_on_the_next_connection(
    device: LocalDevice, connected: Open
) -> None:
    sender, receiver = connected("a"), connected("b")
    listen(receiver)
    publish(sender, b"1")
    publish(sender, b"2")
    receiver.read(codec.Publish)
    receiver.close()
    returned = connected("b")
    came: dict[bytes, bool] = {}
    for message in arrivals(returned):
        came.setdefault(message.payload, message.dup)
        if len(came) == 2:
            break
    assert list(came.items()) == [(b"1", True), (b"2", False)]
    take_the_rest(device, returned)


@pytest.mark.azure(
    "edgeHub",
    "One bad route refuses the whole configuration, and messages take the old routes",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/config/"
    "EdgeHubConfigParser.cs",
)
def test_one_bad_route_refuses_the_whole_configuration(
    world: CloudThread, device: LocalDevice, connected: Open
) -> None:
    good = 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/other")'
    bad = "FROM /messages/* WHERE temp > 100 INTO $upstream"
    configure(world, {"routes": {"a-b": good, "hot": bad}})
    status = world.cloud.hub.identity(DEVICE, "$edgeHub").reported["lastDesiredStatus"]
    assert status["code"] == 400
    assert "cannot compare text with number" in status["description"]
    assert bad in status["description"]
    sender, receiver = connected("a"), connected("b")
    publish(sender, b"by the old route")
    message = receiver.read(codec.Publish)
    assert "/inputs/in/" in message.topic
    acknowledge(receiver, message)
    take_the_rest(device, receiver)
    configure(world, {"routes": {**ROUTES, "hot": None}})
    status = world.cloud.hub.identity(DEVICE, "$edgeHub").reported["lastDesiredStatus"]
    assert status["code"] == 200


def test_second_device_on_a_gateway_is_refused_clearly(
    world: CloudThread, device: LocalDevice, network: LoopbackNetwork
) -> None:
    address = network.address(2)
    with pytest.raises(PortInUseError, match=f"{address}:8883 is in use; rule: .*SDK fixes"):
        world.run(world.cloud.add_device("station-2", gateway=address, images=NO_IMAGES))
    assert world.cloud.hub.query("SELECT COUNT() AS n FROM devices")[1] == [{"n": 1}]


def test_second_hub_on_an_address_is_refused_clearly(
    world: CloudThread, network: LoopbackNetwork, tmp_path: Path
) -> None:
    address = network.address(1)
    with (
        pytest.raises(PortInUseError, match=f"{address}:8443 is in use; rule: the local IoT Hub"),
        CloudThread(tmp_path, address=address),
    ):
        pass


def test_without_port_443_only_module_methods_are_missing(
    world: CloudThread, network: LoopbackNetwork
) -> None:
    address = network.address(3)
    with socket.socket() as holder:
        holder.bind((address, 443))
        holder.listen()
        added = world.run(world.cloud.add_device("station-3", gateway=address, images=NO_IMAGES))
    assert added.edgehub.is_running
    assert added.edgehub.methods_refusal == "port 443 of the gateway: Address already in use"
