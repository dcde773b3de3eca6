"""edgeHub's clients in simulated time: sessions, methods, tokens, reports, a full disk."""

import asyncio
from pathlib import Path

import pytest
from tests.unit.standin.edgehub_bench import (
    DEVICE,
    TO_B,
    FakeHub,
    Peer,
    routes,
    run,
    soon,
    started,
)

from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt import codec, topics


@pytest.mark.azure(
    "edgeHub",
    "Subscriptions of clean_session=0 outlive edgeHub's process",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Mqtt/"
    "SessionStatePersistenceProvider.cs",
)
def test_module_need_not_subscribe_again_after_edgehub_was_killed(tmp_path: Path) -> None:
    async def main() -> None:
        hub = FakeHub(edgehub=routes(r=TO_B.format("out", "in")))
        edge = await started(hub, store_file=tmp_path / "edgehub.db")
        receiver = Peer(edge, "b")
        receiver.subscribe()
        sender = Peer(edge, "a")
        await soon()
        receiver.leave()
        await soon()
        sender.publish("kept")
        await soon()
        await edge.kill()
        edge = await started(hub, store_file=tmp_path / "edgehub.db")
        receiver = Peer(edge, "b")
        await asyncio.sleep(3)
        assert receiver.of_kind(codec.ConnAck)[0].session_present
        assert receiver.bodies == ["kept"]
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "A method that waits for its module is called three seconds after the module subscribes",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "InvokeMethodHandler.cs",
)
def test_waiting_method_is_called_three_seconds_after_the_subscription() -> None:
    async def main() -> None:
        edge = await started(FakeHub())
        call = MethodRequest(name="m", connect_timeout_s=20, response_timeout_s=5)
        answer = asyncio.create_task(edge.invoke("b", call))
        await asyncio.sleep(5)
        module = Peer(edge, "b")
        module.subscribe(topics.METHODS)
        await asyncio.sleep(2.9)
        assert module.of_kind(codec.Publish) == []
        await asyncio.sleep(0.2)
        (packet,) = module.of_kind(codec.Publish)
        assert packet.payload == b"null"
        module.send(codec.Publish(topic="$iothub/methods/res/201/?$rid=1", payload=b"[1]"))
        result = await answer
        assert (result.status, result.payload) == (201, [1])
        await edge.stop()

    run(main())


@pytest.mark.parametrize(
    ("subscribes", "status", "words", "after_s"),
    [
        (False, 404, f"Client {DEVICE}/b not found", 7),
        (True, 504, "Timed out waiting for device to respond to method request", 5),
    ],
)
def test_method_without_module_or_answer_ends_with_its_timeout(
    subscribes: bool, status: int, words: str, after_s: float
) -> None:
    async def main() -> None:
        edge = await started(FakeHub())
        module = Peer(edge, "b")
        if subscribes:
            module.subscribe(topics.METHODS)
        await soon()
        began_s = asyncio.get_running_loop().time()
        call = MethodRequest(name="m", connect_timeout_s=7, response_timeout_s=5)
        with pytest.raises(HubRequestError, match=words) as refused:
            await edge.invoke("b", call)
        assert refused.value.status == status
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(after_s)
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "Tokens of connected modules are checked every five minutes; a bad one ends the connection",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "ConnectionReauthenticator.cs",
)
def test_connection_ends_at_the_first_check_after_its_token_went_bad(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        hub = FakeHub()
        edge = await started(hub)
        module = Peer(edge, "b")
        await soon()
        monkeypatch.setattr(hub, "module_key", lambda device, module: b"a new key")
        await asyncio.sleep(299)
        assert not module.is_lost
        await asyncio.sleep(2)
        assert module.is_lost
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "At most 100 clients are connected",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/"
    "ConnectionManager.cs",
)
def test_one_client_too_many_is_not_let_in() -> None:
    async def main() -> None:
        edge = await started(FakeHub(), settings=EdgeHubSettings(max_connected_clients=2))
        peers = [Peer(edge, name) for name in ("x", "y", "z")]
        await soon()
        codes = [peer.of_kind(codec.ConnAck)[0].code for peer in peers]
        assert codes == [codec.ACCEPTED, codec.ACCEPTED, codec.UNAVAILABLE]
        again = Peer(edge, "y")
        await soon()
        assert again.of_kind(codec.ConnAck)[0].code == codec.ACCEPTED
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "A report is routed as a twin change from $edgeHub, with the patch as its body",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/device/"
    "DeviceMessageHandler.cs",
)
def test_report_is_routed_as_a_twin_change() -> None:
    async def main() -> None:
        route = (
            "FROM /twinChangeNotifications WHERE $connectionModuleId = '$edgeHub' "
            "AND $messageSchema = 'twinChangeNotification' AND $rpSenderModuleId = 'a' "
            'INTO BrokeredEndpoint("/modules/b/inputs/twins")'
        )
        edge = await started(FakeHub(edgehub=routes(r=route)))
        reporter, watcher = Peer(edge, "a"), Peer(edge, "b")
        watcher.subscribe()
        await soon()
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=7"
        reporter.send(codec.Publish(topic=topic, payload=b'{"phase":"live"}', qos=1, packet_id=1))
        await soon()
        assert watcher.bodies == ['{"phase":"live"}']
        assert "/inputs/twins/" in watcher.of_kind(codec.Publish)[0].topic
        assert "%24.cmid=%24edgeHub" in watcher.of_kind(codec.Publish)[0].topic
        assert reporter.of_kind(codec.Publish)[0].topic.startswith("$iothub/twin/res/204/?$rid=7")
        await edge.stop()

    run(main())


def test_full_disk_costs_the_sender_its_connection_and_nobody_else() -> None:
    async def main() -> None:
        edge = await started(FakeHub(edgehub=routes(r=TO_B.format("out", "in"))))
        sender, other = Peer(edge, "a"), Peer(edge, "b")
        await soon()
        edge.quirks.turn_on("disk-full")
        sender.publish("1")
        await soon()
        assert (sender.is_lost, sender.of_kind(codec.PubAck), other.is_lost) == (True, [], False)
        assert "edgehub_messages_unack_total" in edge.metrics_text()
        edge.quirks.turn_off("disk-full")
        sender = Peer(edge, "a")
        await soon()
        sender.publish("1")
        await soon()
        assert len(sender.of_kind(codec.PubAck)) == 1
        await edge.stop()

    run(main())
