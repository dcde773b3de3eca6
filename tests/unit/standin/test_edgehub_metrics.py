"""edgeHub's metrics: its own names and labels, in Prometheus' format."""

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.standin.edgehub_bench import FakeHub, Peer, edgehub

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.mqtt import codec

BUILT_IN = "learn.microsoft.com/azure/iot-edge/how-to-access-built-in-metrics"
ROUTES = {
    "r": 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/in")',
    "up": "FROM /messages/modules/a/outputs/up INTO $upstream",
}


def samples(text: str) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


@pytest.fixture(scope="module")
def scraped() -> dict[str, list[Any]]:
    """Return the samples after a bit of everything."""

    async def main() -> str:
        hub = FakeHub(edgehub={"schemaVersion": "1.2", "routes": ROUTES})
        edge = edgehub(hub)
        await edge.start()
        sender, receiver = Peer(edge, "a"), Peer(edge, "b")
        receiver.subscribe()
        await asyncio.sleep(0.1)
        sender.publish("1", output="up")
        sender.send(codec.Publish(topic="$iothub/twin/GET/?$rid=1", payload=b" "))
        reported = "$iothub/twin/PATCH/properties/reported/?$rid=2"
        sender.send(codec.Publish(topic=reported, payload=b'{"a":1}'))
        await asyncio.sleep(0.1)
        hub.link.set_online(False)
        sender.publish("2", output="up")
        await asyncio.sleep(10)
        hub.link.set_online(True)
        hub.link.set_online(False)
        receiver.leave()
        await asyncio.sleep(0.1)
        text = edge.metrics_text()
        await edge.stop()
        return text

    return samples(simulated_time.run(main()))


@pytest.mark.azure("edgeHub", "Its metrics have Azure's names and labels", source=BUILT_IN)
@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("edgehub_messages_received_total", {"id": "d/a", "route_output": "up"}, 2),
        (
            "edgehub_messages_sent_total",
            {"from": "d/a", "to": "d/b", "from_route_output": "up", "to_route_input": "in"},
            2,
        ),
        ("edgehub_messages_sent_total", {"to": "upstream", "to_route_input": ""}, 1),
        ("edgehub_gettwin_total", {"source": "edge_hub", "id": "d/a"}, 1),
        ("edgehub_reported_properties_total", {"target": "edge_hub", "id": "d/a"}, 1),
        ("edgehub_message_size_bytes_count", {"id": "d/a"}, 2),
        ("edgehub_messages_dropped_total", {"reason": "no_route", "from": "d/$edgeHub"}, 1),
        ("edgehub_queue_length", {"endpoint": "iothub"}, 1),
        ("edgehub_queue_length", {"endpoint": "d/b/in"}, 0),
        ("edgehub_offline_count_total", {"id": "d/$edgeHub"}, 2),
        ("edgehub_offline_duration_seconds_sum", {"id": "d/$edgeHub"}, 10),
        ("edgehub_operation_retry_total", {"id": "iothub"}, 3),
        ("edgehub_connected_clients", {}, 1),
        ("edgehub_client_connect_success_total", {"id": "d/b"}, 1),
        ("edgehub_client_disconnect_total", {"id": "d/b"}, 1),
    ],
)
def test_metric_has_its_value(
    scraped: dict[str, list[Any]], name: str, labels: dict[str, str], value: float
) -> None:
    common = {"iothub": "hub.azure-devices.net", "edge_device": "d", "ms_telemetry": "True"}
    wanted = {**labels, **common}
    (sample,) = [s for s in scraped[name] if wanted.items() <= s.labels.items()]
    assert sample.value == pytest.approx(value, abs=0.1)
    assert len(sample.labels["instance_number"]) == 36


@pytest.mark.azure(
    "edgeHub", "Its summaries have the quantiles 0.1, 0.5, 0.9 and 0.99", source=BUILT_IN
)
@pytest.mark.parametrize(
    "name",
    [
        "edgehub_gettwin_duration_seconds",
        "edgehub_message_send_duration_seconds",
        "edgehub_message_process_duration_seconds",
        "edgehub_reported_properties_update_duration_seconds",
    ],
)
def test_summary_has_its_quantiles(scraped: dict[str, list[Any]], name: str) -> None:
    quantiles = {sample.labels["quantile"] for sample in scraped[name]}
    assert quantiles == {"0.1", "0.5", "0.9", "0.99"}
    assert scraped[f"{name}_count"]
