"""edgeHub's built-in metrics, with its own names and labels, in Prometheus' text format.

Names and labels: learn.microsoft.com/azure/iot-edge/how-to-access-built-in-metrics and
Azure/iotedge doc/BuiltInMetrics.md; `ms_telemetry` as in the sources (MetricsConstants).
"""

import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import CollectorRegistry

from taktgate.standin.azure.edgehub.message import RoutedMessage, StoredMessage
from taktgate.standin.azure.edgehub.message_queue import MessageQueue

QUANTILES = (0.1, 0.5, 0.9, 0.99)
_SAMPLES_KEPT = 1000
_SOURCE = "edge_hub"
_UPSTREAM = "upstream"


@dataclass(slots=True, kw_only=True)
class _Counter:
    help: str
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], float] = field(default_factory=dict)

    def add(self, *labels: str) -> None:
        self.values[labels] = self.values.get(labels, 0.0) + 1


@dataclass(slots=True)
class _Observations:
    count: int = 0
    total: float = 0.0
    last: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES_KEPT))

    def quantile(self, share: float) -> float:
        ordered = sorted(self.last)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@dataclass(slots=True, kw_only=True)
class _Summary:
    help: str
    labels: tuple[str, ...]
    values: dict[tuple[str, ...], _Observations] = field(default_factory=dict)

    def observe(self, value: float, *labels: str) -> None:
        seen = self.values.get(labels)
        if seen is None:
            seen = self.values[labels] = _Observations()
        seen.count += 1
        seen.total += value
        seen.last.append(value)


def _counters() -> dict[str, _Counter]:
    table = (
        ("gettwin", "Get twin calls", ("source", "id")),
        ("messages_received", "Messages received from clients", ("route_output", "id")),
        (
            "messages_sent",
            "Messages sent to clients or upstream",
            ("from", "to", "from_route_output", "to_route_input", "priority"),
        ),
        ("reported_properties", "Reported properties update calls", ("target", "id")),
        ("direct_methods", "Direct methods routed through edgeHub", ("from", "to")),
        ("messages_dropped", "Messages dropped", ("reason", "from", "from_route_output")),
        ("messages_unack", "Messages not acknowledged", ("reason", "from", "from_route_output")),
        ("offline_count", "Times edgeHub went offline", ("id",)),
        ("operation_retry", "Operation retries", ("id", "operation")),
        ("client_connect_failed", "Client connection failures", ("id", "reason")),
        ("client_connect_success", "Successful client connections", ("id",)),
        ("client_disconnect", "Client disconnections", ("id",)),
    )
    return {name: _Counter(help=text, labels=labels) for name, text, labels in table}


def _summaries() -> dict[str, _Summary]:
    table = (
        ("message_size_bytes", "Size of messages received by edgeHub", ("id",)),
        ("gettwin_duration_seconds", "Time taken to get a twin", ("source", "id")),
        (
            "message_send_duration_seconds",
            "Time taken to send a message",
            ("from", "to", "from_route_output", "to_route_input"),
        ),
        (
            "message_process_duration_seconds",
            "Time taken to process a message from the queue",
            ("from", "to", "priority"),
        ),
        (
            "reported_properties_update_duration_seconds",
            "Time taken to update reported properties",
            ("target", "id"),
        ),
        ("direct_method_duration_seconds", "Time taken to call a direct method", ("from", "to")),
        ("offline_duration_seconds", "Time edgeHub was offline", ("id",)),
    )
    return {name: _Summary(help=text, labels=labels) for name, text, labels in table}


class EdgeHubMetrics:
    """The metrics of one run of edgeHub: a restart begins anew, with another `instance_number`."""

    def __init__(self, *, hub_hostname: str, device: str, date_s: Callable[[], float]) -> None:
        """Prepare metrics that are all 0.

        Args:
            hub_hostname: The label `iothub`.
            device: The label `edge_device`.
            date_s: The world's date in seconds, as messages are stamped with it.
        """
        self._device = device
        self._date_s = date_s
        self._common = {
            "iothub": hub_hostname,
            "edge_device": device,
            "instance_number": str(uuid.uuid4()),
            "ms_telemetry": "True",
        }
        self._counters = _counters()
        self._summaries = _summaries()
        self._offline_since_s: float | None = None
        self.queues: Callable[[], Iterable[MessageQueue]] = lambda: ()
        self.connected_clients: Callable[[], int] = lambda: 0
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def now_s(self) -> float:
        """Return the seconds of the clock by which durations are measured."""
        return time.perf_counter()

    def exposition(self) -> bytes:
        """Return the text that `:9600/metrics` serves."""
        return generate_latest(self._registry)

    def received(self, message: RoutedMessage) -> None:
        """Count a message that a module has sent."""
        sender = self._id(message.sender)
        self._counters["messages_received"].add(message.output, sender)
        self._summaries["message_size_bytes"].observe(message.size_bytes, sender)

    def sent_to_module(
        self, stored: StoredMessage, *, module: str, input_name: str, began_s: float
    ) -> None:
        """Count a message that the module has acknowledged."""
        message = stored.message
        sender, target = self._id(message.sender), self._id(module)
        route = (sender, target, message.output, input_name)
        self._counters["messages_sent"].add(*route, str(stored.priority))
        duration_s = self.now_s() - began_s
        self._summaries["message_send_duration_seconds"].observe(duration_s, *route)
        self._processed(stored, sender, target, without_s=duration_s)

    def sent_upstream(self, stored: StoredMessage) -> None:
        """Count a message that the hub has."""
        message = stored.message
        sender = self._id(message.sender)
        route = (sender, _UPSTREAM, message.output, "")
        self._counters["messages_sent"].add(*route, str(stored.priority))
        self._processed(stored, sender, _UPSTREAM, without_s=0.0)

    def dropped(self, reason: str, message: RoutedMessage) -> None:
        """Count a message that no route takes, that has expired, or that had to make room."""
        labels = (reason, self._id(message.sender), message.output)
        self._counters["messages_dropped"].add(*labels)

    def unacknowledged(self, message: RoutedMessage) -> None:
        """Count a message that could not be stored."""
        labels = ("storage_failure", self._id(message.sender), message.output)
        self._counters["messages_unack"].add(*labels)

    def got_twin(self, module: str, began_s: float) -> None:
        """Count a twin GET that was answered."""
        labels = (_SOURCE, self._id(module))
        self._counters["gettwin"].add(*labels)
        self._summaries["gettwin_duration_seconds"].observe(self.now_s() - began_s, *labels)

    def reported(self, module: str, began_s: float) -> None:
        """Count an update of reported properties that was taken."""
        labels = (_SOURCE, self._id(module))
        self._counters["reported_properties"].add(*labels)
        duration = self._summaries["reported_properties_update_duration_seconds"]
        duration.observe(self.now_s() - began_s, *labels)

    def called(self, caller: str, module: str, began_s: float) -> None:
        """Count a direct method between modules."""
        labels = (self._id(caller), self._id(module))
        self._counters["direct_methods"].add(*labels)
        duration = self._summaries["direct_method_duration_seconds"]
        duration.observe(self.now_s() - began_s, *labels)

    def retried(self, endpoint: str) -> None:
        """Count another attempt to reach an endpoint."""
        self._counters["operation_retry"].add(endpoint, "send")

    def connected(self, module: str) -> None:
        """Count a client that was let in."""
        self._counters["client_connect_success"].add(self._id(module))

    def disconnected(self, module: str) -> None:
        """Count a client that has left."""
        self._counters["client_disconnect"].add(self._id(module))

    def connect_failed(self, client_id: str, reason: str) -> None:
        """Count a client that was not let in."""
        self._counters["client_connect_failed"].add(client_id, reason)

    def line_changed(self, *, is_online: bool) -> None:
        """Take note that the line to the hub was cut or mended."""
        own_id = self._id("$edgeHub")
        if not is_online:
            self._counters["offline_count"].add(own_id)
            self._offline_since_s = self._date_s()
        elif self._offline_since_s is not None:
            duration_s = self._date_s() - self._offline_since_s
            self._summaries["offline_duration_seconds"].observe(duration_s, own_id)
            self._offline_since_s = None

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, for Prometheus' registry."""
        for name, counter in self._counters.items():
            family = CounterMetricFamily(f"edgehub_{name}", counter.help)
            for labels, value in counter.values.items():
                family.add_sample(
                    f"edgehub_{name}_total", self._with(counter.labels, labels), value
                )
            yield family
        for name, summary in self._summaries.items():
            yield self._summary_family(f"edgehub_{name}", summary)
        yield from self._gauges()

    def _summary_family(self, name: str, summary: _Summary) -> Metric:
        family = Metric(name, summary.help, "summary")
        for values, seen in summary.values.items():
            labels = self._with(summary.labels, values)
            for share in QUANTILES:
                quantile = {**labels, "quantile": str(share)}
                family.add_sample(name, quantile, seen.quantile(share))
            family.add_sample(f"{name}_count", labels, seen.count)
            family.add_sample(f"{name}_sum", labels, seen.total)
        return family

    def _gauges(self) -> Iterator[Metric]:
        lengths = GaugeMetricFamily(
            "edgehub_queue_length", "Messages that wait to be processed for the endpoint"
        )
        for queue in self.queues():
            labels = self._with(("endpoint", "priority"), (queue.endpoint, str(queue.priority)))
            lengths.add_sample("edgehub_queue_length", labels, len(queue))
        yield lengths
        clients = GaugeMetricFamily("edgehub_connected_clients", "Clients that are connected")
        clients.add_sample("edgehub_connected_clients", self._common, self.connected_clients())
        yield clients

    def _processed(
        self, stored: StoredMessage, sender: str, target: str, *, without_s: float
    ) -> None:
        waited_s = max(self._date_s() - stored.stored_at_s - without_s, 0.0)
        duration = self._summaries["message_process_duration_seconds"]
        duration.observe(waited_s, sender, target, str(stored.priority))

    def _id(self, module: str) -> str:
        return f"{self._device}/{module}"

    def _with(self, names: tuple[str, ...], values: tuple[str, ...]) -> dict[str, str]:
        return {**dict(zip(names, values, strict=True)), **self._common}
