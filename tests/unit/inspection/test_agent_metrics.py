"""The figures of inference as Prometheus gets them."""

from dataclasses import replace

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from tests.unit.inspection.models_of_a_station import commissioned, model

from taktgate.inspection.agent.metrics import AgentMetrics


def test_what_a_probe_has_found_is_shown_of_each_loaded_model() -> None:
    station, agent = commissioned()
    status = station.status()
    (held,) = status.models
    assert held.ready is not None
    ready = replace(held.ready, probe_runs=20, probe_p50_ms=8.5, probe_p99_ms=12.25)
    agent.judge_status(replace(status, models=(replace(held, ready=ready),)))
    reader = InMemoryMetricReader()
    metrics = AgentMetrics(MeterProvider([reader]).get_meter("inference"))
    metrics.state(agent, {})

    assert figures(reader, "taktgate.model.probe") == {
        (model("a").version, "golden_images"): 10.0,
        (model("a").version, "golden_worst"): 0.0,
        (model("a").version, "runs"): 20.0,
        (model("a").version, "p50_ms"): 8.5,
        (model("a").version, "p99_ms"): 12.25,
    }


def figures(reader: InMemoryMetricReader, name: str) -> dict[tuple[object, object], float]:
    """Return a gauge by version and figure."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        ((point.attributes or {})["version"], (point.attributes or {})["figure"]): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
        if isinstance(point, NumberDataPoint)
    }
