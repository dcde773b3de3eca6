"""Messages of the unmodified azure-iot-device through edgeHub: sync and asyncio, own processes."""

import base64
import json

import pytest
from tests.contract.conftest import OpenModule, Pair, SdkWorld, route_between
from tests.contract.sdk_module import TIMEOUT_S, SdkError

KIB = 1024
AWKWARD = {
    "plain": "1",
    "a key&with=signs": "a&b=c",
    "path/like#+": "/x/#/+",
    "percent%20": "100 %",
    "umlaut-ä": "ß€🙂",
    "empty": "",
    "Case": "kept",
    "dots.and.dashes-": "$dollar",
}


def test_body_and_properties_arrive_as_they_were_sent(pair: Pair) -> None:
    pair.sender.send(
        json.dumps({"verdict": "PASS"}),
        message_id="m-1",
        correlation_id="c/1 &",
        user_id="press 7",
        content_type="application/json",
        content_encoding="utf-8",
        custom_properties=AWKWARD,
    )
    got = pair.receiver.messages.get(timeout=TIMEOUT_S)
    assert json.loads(base64.b64decode(got["body"])) == {"verdict": "PASS"}
    system = {name: got[name] for name in ("input", "message_id", "correlation_id", "user_id")}
    assert system == {
        "input": "in",
        "message_id": "m-1",
        "correlation_id": "c/1 &",
        "user_id": "press 7",
    }
    assert (got["content_type"], got["content_encoding"]) == ("application/json", "utf-8")
    application = {k: v for k, v in got["properties"].items() if not k.startswith("$.")}
    assert application == AWKWARD


@pytest.mark.azure(
    "edgeHub",
    "A message to an input names the module that sent it; the sender's output is not passed on",
    source="Azure/iotedge doc/edgehub-api.md",
)
def test_receiver_learns_the_sender_but_not_its_output(sdk_world: SdkWorld, pair: Pair) -> None:
    pair.sender.send("x")
    properties = pair.receiver.messages.get(timeout=TIMEOUT_S)["properties"]
    assert properties["$.cdid"] == sdk_world.device.name
    assert properties["$.cmid"] == pair.sender.name
    assert "$.on" not in properties


@pytest.mark.azure(
    "edgeHub",
    "A message without an output is routed by its module alone",
    source="learn.microsoft.com/azure/iot-edge/module-composition#source",
)
def test_message_without_an_output_takes_its_modules_route(pair: Pair) -> None:
    pair.sender.send("plain telemetry", output=None)
    assert pair.receiver.body() == "plain telemetry"


@pytest.mark.azure(
    "edgeHub",
    "A message that no route takes is acknowledged and dropped",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/Router.cs",
)
def test_message_that_no_route_takes_is_acknowledged_and_dropped(
    sdk_world: SdkWorld, pair: Pair
) -> None:
    only_wanted = route_between(pair.sender, pair.receiver).replace("/* ", "/outputs/wanted ")
    sdk_world.route(pair.sender.name, only_wanted)
    pair.sender.send("nobody wants it", output="unwanted")
    pair.sender.send("wanted", output="wanted")
    assert pair.receiver.body() == "wanted"


def test_large_message_arrives_whole(pair: Pair) -> None:
    body = bytes(range(256)) * (200 * KIB // 256)
    pair.sender.send(body)
    assert base64.b64decode(pair.receiver.messages.get(timeout=TIMEOUT_S)["body"]) == body


def test_sdk_itself_refuses_a_body_above_256_kib(pair: Pair) -> None:
    with pytest.raises(SdkError, match="256 KB") as refused:
        pair.sender.send(b"x" * (256 * KIB + 1))
    assert refused.value.kind == "ValueError"
    pair.sender.send("still connected")
    assert pair.receiver.body() == "still connected"


@pytest.mark.azure(
    "edgeHub",
    "Messages to one input keep their order",
    source="learn.microsoft.com/azure/iot-edge/iot-edge-runtime#module-communication",
)
def test_order_is_kept_from_the_sender_to_the_wire(
    flavour: str, sdk_world: SdkWorld, open_module: OpenModule
) -> None:
    # The receiver is asyncio: the synchronous client loses the order among its handler threads.
    sender, receiver = open_module(flavour), open_module("asyncio")
    receiver.listen_to_messages()
    sdk_world.route(sender.name, route_between(sender, receiver))
    for number in range(100):
        sender.send(str(number))
    assert [receiver.body() for _ in range(100)] == [str(number) for number in range(100)]


@pytest.mark.azure(
    "edgeHub",
    "A changed route takes effect while modules are connected",
    source="learn.microsoft.com/azure/iot-edge/module-composition#declare-routes",
)
def test_changed_route_takes_effect_without_a_reconnect(sdk_world: SdkWorld, pair: Pair) -> None:
    # The first is waited for: the synchronous client loses the order among its handler threads.
    pair.sender.send("first")
    first = pair.receiver.messages.get(timeout=TIMEOUT_S)
    route = route_between(pair.sender, pair.receiver).replace("/inputs/in", "/inputs/other")
    sdk_world.route(pair.sender.name, route)
    pair.sender.send("second")
    second = pair.receiver.messages.get(timeout=TIMEOUT_S)
    assert (first["input"], second["input"]) == ("in", "other")
