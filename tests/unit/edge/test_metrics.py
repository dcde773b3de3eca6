"""Figures are served where they can be; a taken port costs figures and nothing else."""

import socket
import urllib.request

from tests.waiting import WITHIN_S

from taktgate.edge.metrics import serve_metrics


def test_what_is_counted_can_be_scraped() -> None:
    metrics = serve_metrics("scraped", address="127.0.0.1", port=0)
    assert metrics.server is not None
    url = f"http://127.0.0.1:{metrics.server.server_port}/metrics"
    try:
        metrics.meter.create_counter("taktgate_parts").add(3, {"verdict": "PASS"})
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            text = answer.read().decode()
    finally:
        metrics.close()
    assert metrics.error == ""
    assert any(
        line.startswith("taktgate_parts_total{")
        and 'verdict="PASS"' in line
        and line.endswith("3.0")
        for line in text.splitlines()
    )


def test_a_taken_port_is_named_and_counting_goes_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        metrics = serve_metrics("refused", address="127.0.0.1", port=port)
    assert f"127.0.0.1:{port}: Address already in use" in metrics.error
    metrics.meter.create_counter("parts").add(1)
    metrics.close()
