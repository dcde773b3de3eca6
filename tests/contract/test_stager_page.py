"""The stager's page names every setting with its default, every phase and every typed reason."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import generate_latest
from pydantic_core import PydanticUndefined

from taktgate.bundle.errors import BundleError
from taktgate.contracts.twins import StagingPhase
from taktgate.edge.settings import StagingSettings
from taktgate.staging.errors import DistrustError, NotFoundError, StagingError
from taktgate.staging.fetch.download_file import CHUNK_BYTES
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.instruments import Instruments, show_pace
from taktgate.staging.registry.reasons import Distrust
from taktgate.staging.smoke.findings import Finding

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "modules/model_stager/README.md").read_text(encoding="utf-8")
NEVER_REPORTED = {"STAGING", "BUNDLE", "DISTRUST", "HELD", "SUPERSEDED", "BUG", "GOLDEN"}
"""Bases; what is no error of an order; and GOLDEN, which the smoke test says in its message."""


def reasons(error: type[Any]) -> Iterator[str]:
    yield error.reason
    for kind in error.__subclasses__():
        if kind.__module__.startswith("taktgate.") and kind is not DistrustError:
            yield from reasons(kind)


def test_every_setting_is_there_with_its_default() -> None:
    rows = re.findall(r"^\| `staging\.(\w+)` \| (\S+) \|", PAGE, flags=re.MULTILINE)
    wanted = {}
    for name, field in StagingSettings.model_fields.items():
        assert field.default is not PydanticUndefined
        words = {None: "null", True: "true", False: "false", (): "always"}
        value = field.default
        if isinstance(value, str):
            wanted[name] = value
        else:
            wanted[name] = words[value] if value in words and value != 0 else f"{value:g}"
    assert dict(rows) == wanted


@pytest.mark.parametrize("phase", StagingPhase)
def test_every_phase_is_there(phase: StagingPhase) -> None:
    assert f"`{phase}`" in PAGE


@pytest.mark.parametrize(
    "reason",
    sorted({*reasons(StagingError), *reasons(BundleError), *Distrust} - NEVER_REPORTED),
)
def test_every_reason_is_there(reason: str) -> None:
    assert f"`{reason}`" in PAGE.partition("## When X fails")[2]


@pytest.mark.parametrize("finding", Finding)
def test_every_finding_of_the_smoke_test_is_there(finding: Finding) -> None:
    assert f"`{finding}`" in PAGE


def test_what_a_kill_costs_is_the_size_of_a_chunk() -> None:
    assert f"synced every {CHUNK_BYTES >> 20} MiB" in PAGE


def test_every_metric_is_there_by_the_name_that_a_scrape_gives_it() -> None:
    reader = PrometheusMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    meter = provider.get_meter("test")
    instruments = Instruments(meter, phase=lambda: StagingPhase.IDLE)
    show_pace(meter, Pace())
    instruments.fetched(1)
    instruments.attempted(1.0, NotFoundError("no such bundle"))
    instruments.collected(1)
    scraped = set(
        re.findall(r"^# TYPE (model_stager_\w+)", generate_latest().decode(), re.MULTILINE)
    )
    provider.shutdown()
    named = set(re.findall(r"`(model_stager_\w+)", PAGE.partition("| metric |")[2]))
    assert named == scraped
