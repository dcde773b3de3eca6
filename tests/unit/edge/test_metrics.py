"""Figures are served where they can be; a taken port costs figures and nothing else."""

import socket
import urllib.request

from taktgate.edge.metrics import serve_metrics


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_is_counted_can_be_scraped() -> None:
    port = free_port()
    metrics = serve_metrics("scraped", address="127.0.0.1", port=port)
    try:
        metrics.meter.create_counter("taktgate_parts").add(3, {"verdict": "PASS"})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
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
