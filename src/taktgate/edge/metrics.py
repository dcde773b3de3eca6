"""Metrics of a module's agent: OpenTelemetry instruments behind a Prometheus endpoint."""

import logging
import os
from dataclasses import dataclass
from typing import Final
from wsgiref.simple_server import WSGIServer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import REGISTRY, start_http_server
from prometheus_client.registry import Collector

from taktgate import __version__
from taktgate.edge.clock import new_start_id

log = logging.getLogger(__name__)

METRICS_PORT: Final = "METRICS_PORT"
"""The typed reason under which a module reports that its metrics are not served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The meter to create instruments with, and the endpoint that serves them."""

    meter: Meter
    server: WSGIServer | None
    error: str = ""
    """Why nothing is served. Figures are worth less than parts: a module runs without them."""

    def collect(self, collector: Collector) -> None:
        """Serve what *collector* has counted itself, beside the meter's instruments."""
        REGISTRY.register(collector)

    def close(self) -> None:
        """Stop serving."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()


def serve_metrics(module: str, *, address: str, port: int) -> Metrics:
    """Serve the metrics of *module* at http://address:port/metrics, if the port can be had.

    Resource attributes follow the names that IoT Edge's own modules use, so that a collector can
    tell devices and starts apart.
    """
    resource = Resource.create(
        {
            "service.name": f"taktgate-{module}",
            "service.version": __version__,
            "service.instance.id": new_start_id(),
            "iothub": os.environ.get("IOTEDGE_IOTHUBHOSTNAME", ""),
            "edge_device": os.environ.get("IOTEDGE_DEVICEID", ""),
            "module_name": os.environ.get("IOTEDGE_MODULEID", module),
        }
    )
    provider = MeterProvider(resource=resource, metric_readers=[PrometheusMetricReader()])
    meter = provider.get_meter(f"taktgate.{module}", __version__)
    try:
        server, _ = start_http_server(port, addr=address)
    except OSError as error:
        fault = f"metrics endpoint {address}:{port}: {error.strerror}"
        log.error("no metrics", extra={"error": fault})
        return Metrics(meter=meter, server=None, error=fault)
    return Metrics(meter=meter, server=server)
