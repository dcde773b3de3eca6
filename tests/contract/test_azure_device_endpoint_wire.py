"""IoT Hub's own MQTT endpoint: what no SDK would send, and how connections end."""

import contextlib
import json
import logging
import socket
from typing import Any

import pytest
from tests.contract.hub_wire import (
    DEVICE,
    MODULE,
    TIMEOUT_S,
    connected_for_moments,
    raw_client,
    with_clients,
)

from taktgate.standin.azure.device_link import ITSELF
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.world.cloud import HUB_HOSTNAME
from taktgate.standin.azure.world.cloud_thread import CloudThread


@pytest.fixture(scope="module")
def world(world: CloudThread) -> CloudThread:
    return with_clients(world)


@pytest.mark.azure(
    "IoT Hub",
    "A connection ends when its SAS token expires; the SDK renews it by a new connection",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas",
)
def test_connection_ends_when_its_token_expires(world: CloudThread) -> None:
    # It reads for 30 s at most; the only other end, that of its keep-alive, comes after 90 s.
    with connected_for_moments(world) as peer:
        assert peer.receive() is None


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
    world: CloudThread, caplog: pytest.LogCaptureFixture, packet: codec.Packet | bytes
) -> None:
    key = world.cloud.hub.module_key(DEVICE, MODULE)
    with raw_client(world, device=f"{DEVICE}/{MODULE}", key=key) as other:
        assert other.receive() == codec.ConnAck(code=codec.ACCEPTED)
        with caplog.at_level(logging.WARNING), raw_client(world) as peer:
            peer.receive()
            with contextlib.suppress(ConnectionError):  # it may be cut before all is sent
                peer.send(packet)
            assert peer.receive() is None
        ours = [each for each in caplog.records if each.name.startswith("taktgate")]
        assert [record.message for record in ours] == ["connection closed after a protocol error"]
        other.send(codec.PingReq())
        assert other.receive() == codec.PingResp()


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
