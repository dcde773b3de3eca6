"""The writer's figures as a Prometheus server reads them."""

import urllib.request
from collections.abc import Iterator
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from tests.unit.plc.agent.status import STATUS
from tests.waiting import WITHIN_S

from taktgate.edge.clock import MILLISECOND
from taktgate.edge.metrics import serve_metrics
from taktgate.plc.agent.metrics import WriterMetrics
from taktgate.plc.agent.timing_metrics import TimingCollector
from taktgate.plc.contract.tags import StatusError
from taktgate.plc.writer.timing import BOUNDS_US, Stopwatch


def families(collector: TimingCollector) -> dict[str, HistogramMetricFamily]:
    return {family.name: family for family in collector.collect()}


def test_a_silent_writer_has_no_durations() -> None:
    assert families(TimingCollector(lambda: None)) == {}


def test_buckets_are_cumulated_and_bounded_as_the_writer_counts() -> None:
    stopwatch = Stopwatch()
    for milliseconds in (1, 4, 7, 700):
        stopwatch.write.add(milliseconds * MILLISECOND)
    status = replace(STATUS, timings=stopwatch.timings())
    [exchange] = [
        family
        for name, family in families(TimingCollector(lambda: status)).items()
        if name == "taktgate_plc_exchange_milliseconds"
    ]
    buckets = {
        sample.labels["le"]: sample.value
        for sample in exchange.samples
        if sample.name.endswith("_bucket") and sample.labels["of"] == "write"
    }
    assert len(buckets) == len(BOUNDS_US) + 1
    assert (buckets["0.5"], buckets["1"], buckets["5"], buckets["10"]) == (0, 1, 2, 3)
    assert (buckets["250"], buckets["+Inf"]) == (3, 4)


@pytest.fixture
def page() -> Iterator[str]:
    stopwatch = Stopwatch()
    stopwatch.lateness.add(3 * MILLISECOND)
    status = replace(
        STATUS,
        timings=stopwatch.timings(),
        is_realtime=False,
        rights={"scheduling": True, "memory": False},
        losses=2,
        last_loss="reply cut off",
        error_code=StatusError.TAGS,
    )
    collector = TimingCollector(lambda: status)
    metrics = serve_metrics("plc_writer", address="127.0.0.1", port=0)
    WriterMetrics(metrics.meter, status=lambda: status, losses=dict)
    metrics.collect(collector)
    assert metrics.server is not None
    url = f"http://127.0.0.1:{metrics.server.server_port}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            yield answer.read().decode()
    finally:
        metrics.close()
        REGISTRY.unregister(collector)


def test_what_a_person_has_to_mend_is_shown_although_no_tag_says_it(page: str) -> None:
    found = {family.name: family for family in text_string_to_metric_families(page)}
    assert [each.value for each in found["taktgate_plc_error_code"].samples] == [10]


def test_prometheus_reads_them_as_histograms(page: str) -> None:
    found = {family.name: family for family in text_string_to_metric_families(page)}
    lateness = found["taktgate_plc_tick_lateness_milliseconds"]
    assert lateness.type == "histogram"
    values = {(each.name, each.labels.get("le")): each.value for each in lateness.samples}
    assert values["taktgate_plc_tick_lateness_milliseconds_count", None] == 1
    assert values["taktgate_plc_tick_lateness_milliseconds_sum", None] == 3


def values(page: str, name: str) -> dict[str, float]:
    """Return the samples of *name* by the label that tells them apart, or by none."""
    return {
        sample.labels.get("of") or sample.labels.get("cause") or "": sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    }


def test_each_real_time_right_has_its_own_figure(page: str) -> None:
    assert values(page, "taktgate_plc_realtime") == {"": 0}
    assert values(page, "taktgate_plc_realtime_right") == {"scheduling": 1, "memory": 0}


def test_losses_are_counted_and_the_last_one_has_its_cause(page: str) -> None:
    assert values(page, "taktgate_plc_losses_total") == {"": 2}
    assert values(page, "taktgate_plc_last_loss") == {"reply cut off": 1}
