"""From a module to its endpoints, in simulated time: order, back-off, restarts, methods."""

import asyncio
from typing import Any

import pytest
from tests.unit.standin.edgehub_bench import (
    TO_B,
    FakeHub,
    Peer,
    StoreBench,
    names,
    routes,
    run,
    soon,
    started,
)

from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.edgehub.message import StoredMessage
from taktgate.standin.azure.edgehub.pump import EndpointPump, PumpPolicy
from taktgate.standin.azure.edgehub.routes.language import DEFAULT_PRIORITY
from taktgate.standin.azure.mqtt import codec

FSM = (
    "Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/endpoints/"
    "statemachine/EndpointExecutorFsm.cs"
)
EXECUTOR = (
    "Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/endpoints/"
    "StoringAsyncEndpointExecutor.cs"
)


@pytest.mark.azure(
    "edgeHub",
    "Failed deliveries are tried again after 1, 2, 4 ... at most 60 seconds, without end",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Service/modules/"
    "RoutingModule.cs",
)
def test_back_off_doubles_from_one_second_to_sixty() -> None:
    waits = [PumpPolicy().wait_s(failures) for failures in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.azure(
    "edgeHub",
    "After a module reconnects, delivery waits for the rest of the present back-off",
    source=FSM,
)
def test_delivery_to_a_module_that_returns_waits_for_the_back_off() -> None:
    async def main() -> None:
        edge = await started(FakeHub(edgehub=routes(r=TO_B.format("out", "in"))))
        sender = Peer(edge, "a")
        await soon()
        sender.publish("1")
        sender.publish("2")
        await asyncio.sleep(8)  # tried at 0, 1, 3 and 7 s; the next attempt is at 15 s
        receiver = Peer(edge, "b")
        receiver.subscribe()
        await asyncio.sleep(6)
        assert receiver.bodies == []
        await asyncio.sleep(2)
        assert receiver.bodies == ["1", "2"]
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "The back-off begins anew once a delivery was through",
    source=FSM,
)
def test_back_off_begins_anew_after_a_delivery() -> None:
    async def main() -> None:
        edge = await started(FakeHub(edgehub=routes(r=TO_B.format("out", "in"))))
        sender, receiver = Peer(edge, "a"), Peer(edge, "b")
        await soon()
        sender.publish("1")
        await asyncio.sleep(5)
        receiver.subscribe()
        await asyncio.sleep(5)
        receiver.leave()
        await soon()
        sender.publish("2")
        await soon()
        returned = Peer(edge, "b")
        await asyncio.sleep(1)
        assert (receiver.bodies, returned.bodies) == (["1"], ["2"])
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "A new configuration ends a back-off at once",
    source=EXECUTOR,
)
def test_new_configuration_ends_the_back_off() -> None:
    async def main() -> None:
        hub = FakeHub(edgehub=routes(r=TO_B.format("out", "in")))
        edge = await started(hub)
        sender = Peer(edge, "a")
        await soon()
        sender.publish("1")
        await asyncio.sleep(20)
        receiver = Peer(edge, "b")
        receiver.subscribe()
        await soon()
        hub.change_desired(
            "$edgeHub", routes(r=TO_B.format("out", "in"), more="FROM /x INTO $upstream")
        )
        await soon()
        assert receiver.bodies == ["1"]
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "One message is in flight per module, over all its inputs, until its receipt or 30 seconds",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/device/"
    "DeviceMessageHandler.cs",
)
def test_one_message_is_in_flight_over_all_inputs() -> None:
    async def main() -> None:
        hub = FakeHub(edgehub=routes(x=TO_B.format("x", "x"), y=TO_B.format("y", "y")))
        edge = await started(hub)
        sender, receiver = Peer(edge, "a"), Peer(edge, "b")
        receiver.gives_receipts = False
        receiver.subscribe()
        await soon()
        sender.publish("1", output="x")
        sender.publish("2", output="y")
        await asyncio.sleep(29)
        assert receiver.bodies == ["1"]
        await asyncio.sleep(2)
        assert receiver.bodies == ["1", "2"]
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "A message without a receipt comes again, before any later one of its input",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/routing/"
    "ModuleEndpoint.cs",
)
def test_message_without_receipt_comes_again_first() -> None:
    async def main() -> None:
        edge = await started(FakeHub(edgehub=routes(r=TO_B.format("out", "in"))))
        sender, receiver = Peer(edge, "a"), Peer(edge, "b")
        receiver.gives_receipts = False
        receiver.subscribe()
        await soon()
        sender.publish("1")
        sender.publish("2")
        await asyncio.sleep(30.5)
        receiver.gives_receipts = True
        await asyncio.sleep(1)
        assert receiver.bodies == ["1", "1", "2"]
        first, again, _ = receiver.of_kind(codec.Publish)
        assert (first.dup, again.dup, again.packet_id) == (False, True, first.packet_id)
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "The best priority is sent first, and asked for again after each batch of ten",
    source=EXECUTOR,
)
def test_better_priority_comes_first_again_after_each_batch() -> None:
    sent: list[str] = []
    bench = StoreBench()

    class LateArrival:
        async def send(self, messages: Any, delivered: Any) -> list[StoredMessage]:
            sent.append(f"{messages[0].priority}:{len(messages)}")
            for each in messages:
                delivered(each)
            if len(sent) == 1:
                bench.put("late", queue=bench.queue(priority=0))
            return []

    async def main() -> None:
        low = bench.queue(priority=7)
        bench.put(*map(str, range(25)), queue=low)
        pump = EndpointPump(LateArrival(), policy=PumpPolicy(), clock=bench.clock)
        pump.add(low)
        pump.add(bench.queue(priority=0))
        task = asyncio.create_task(pump.run())
        await soon()
        task.cancel()

    run(main())
    assert sent == ["7:10", "0:1", "7:10", "7:5"]


@pytest.mark.azure(
    "edgeHub",
    "An endpoint that failed for good is dead for 30 seconds: what is read is dropped",
    source=FSM,
)
def test_endpoint_that_fails_for_good_is_dead_for_thirty_seconds() -> None:
    sent: list[str] = []
    bench = StoreBench()

    class Broken:
        is_broken = True

        async def send(self, messages: Any, delivered: Any) -> list[StoredMessage]:
            if self.is_broken:
                raise RuntimeError("not a passing failure")
            sent.extend(names(messages))
            for each in messages:
                delivered(each)
            return []

    async def main() -> None:
        sender = Broken()
        pump = EndpointPump(sender, policy=PumpPolicy(), clock=bench.clock)
        pump.add(bench.queue())
        task = asyncio.create_task(pump.run())
        bench.put("dropped")
        await soon()
        sender.is_broken = False
        bench.advance(29)
        bench.put("dropped too")
        await soon()
        bench.advance(1)
        bench.put("sent")
        await soon()
        task.cancel()

    run(main())
    assert (sent, len(bench.queue())) == (["sent"], 0)


@pytest.mark.azure(
    "edgeHub",
    "A message that no route takes is acknowledged and dropped",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/Evaluator.cs",
)
def test_message_without_a_route_is_acknowledged_and_dropped() -> None:
    async def main() -> None:
        edge = await started(FakeHub(edgehub=routes(r=TO_B.format("out", "in"))))
        sender = Peer(edge, "a")
        await soon()
        sender.publish("1", output="elsewhere")
        await soon()
        assert [each.packet_id for each in sender.of_kind(codec.PubAck)] == [1]
        assert 'edgehub_messages_dropped_total{edge_device="d",from="d/a"' in edge.metrics_text()
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "An endpoint that no route names any more loses its queue of the default priority",
    source=EXECUTOR,
)
def test_queue_of_an_endpoint_without_a_route_is_deleted() -> None:
    async def main() -> None:
        first = TO_B.format("out", "in")
        hub = FakeHub(edgehub=routes(r=first, best={"route": first, "priority": 0}))
        edge = await started(hub)
        sender = Peer(edge, "a")
        await soon()
        sender.publish("kept")
        await soon()
        hub.change_desired("$edgeHub", routes(r=first))
        sender.publish("deleted")
        await soon()
        assert edge.queue_lengths["b"] == 2
        hub.change_desired("$edgeHub", routes(r="FROM /x INTO $upstream"))
        await soon()
        assert edge.queue_lengths["b"] == 1
        hub.change_desired("$edgeHub", routes(r=first))
        receiver = Peer(edge, "b")
        receiver.subscribe()
        await asyncio.sleep(60)
        assert receiver.bodies == ["kept"]
        await edge.stop()

    run(main())


def test_message_goes_once_to_each_endpoint_that_its_routes_name() -> None:
    async def main() -> None:
        twice = TO_B.format("out", "in")
        hub = FakeHub(
            edgehub=routes(
                one=twice, two={"route": twice, "priority": 3}, up="FROM /messages/* INTO $upstream"
            )
        )
        edge = await started(hub)
        sender, receiver = Peer(edge, "a"), Peer(edge, "b")
        receiver.subscribe()
        await soon()
        sender.publish("1")
        await soon()
        assert receiver.bodies == ["1"]
        assert [each.payload for each in hub.telemetry] == [b"1"]
        assert 'priority="3"' in edge.metrics_text()
        assert f'priority="{DEFAULT_PRIORITY}"' in edge.metrics_text()
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "Messages for the hub wait while the device is offline and are sent in order after",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities",
)
def test_upstream_messages_wait_for_the_line() -> None:
    async def main() -> None:
        hub = FakeHub(edgehub=routes(up="FROM /messages/* INTO $upstream"))
        edge = await started(hub)
        sender = Peer(edge, "a")
        await soon()
        hub.link.set_online(False)
        for number in range(30):
            sender.publish(str(number), packet_id=number + 1)
        await asyncio.sleep(100)
        assert edge.queue_lengths["$upstream"] == 30
        hub.link.set_online(True)
        await asyncio.sleep(60)
        assert [each.payload.decode() for each in hub.telemetry] == [str(n) for n in range(30)]
        await edge.stop()

    run(main())


@pytest.mark.azure(
    "edgeHub",
    "A line that breaks within a batch makes the batch come again: at least once, in order",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/routing/"
    "CloudEndpoint.cs",
)
def test_batch_in_which_the_line_breaks_comes_again() -> None:
    async def main() -> None:
        hub = FakeHub(edgehub=routes(up="FROM /messages/* INTO $upstream"))
        edge = await started(hub)
        sender = Peer(edge, "a")
        await soon()
        hub.link.set_online(False)
        for number in range(15):
            sender.publish(str(number), packet_id=number + 1)
        await soon()

        def cut_within_the_second_piece(_: Telemetry) -> None:
            if len(hub.telemetry) == 13:
                hub.link.set_online(False)

        hub.on_telemetry = cut_within_the_second_piece
        hub.link.set_online(True)
        await asyncio.sleep(5)
        hub.link.set_online(True)
        await asyncio.sleep(60)
        arrived = [int(each.payload) for each in hub.telemetry]
        assert arrived == [*range(13), *range(10, 15)]
        await edge.stop()

    run(main())
