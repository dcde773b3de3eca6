"""Metrics of a module's agent: OpenTelemetry instruments behind a Prometheus endpoint."""

import os
from dataclasses import dataclass
from wsgiref.simple_server import WSGIServer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import Meter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import start_http_server

from taktgate import __version__
from taktgate.edge.clock import new_start_id


class MetricsPortError(RuntimeError):
    """The metrics endpoint could not be bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The meter to create instruments with, and the endpoint that serves them."""

    meter: Meter
    server: WSGIServer

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self.server.server_close()


def serve_metrics(module: str, *, address: str, port: int) -> Metrics:
    """Serve the metrics of *module* at http://address:port/metrics.

    Resource attributes follow the names that IoT Edge's own modules use, so that a collector can
    tell devices and starts apart.

    Raises:
        MetricsPortError: the port is taken or not ours to bind.
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
    try:
        server, _ = start_http_server(port, addr=address)
    except OSError as error:
        raise MetricsPortError(f"metrics endpoint {address}:{port}: {error.strerror}") from error
    return Metrics(meter=provider.get_meter(f"taktgate.{module}", __version__), server=server)
