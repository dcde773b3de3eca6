"""What station.yaml says of a runner arrives at the session that runs the model."""

from dataclasses import asdict
from pathlib import Path

import pytest

from taktgate.edge.camera_settings import NetworkCameraSettings
from taktgate.edge.places import Places
from taktgate.edge.settings import (
    ImageGateSettings,
    JudgeSettings,
    PlcSettings,
    RealtimeSettings,
    StationSettings,
)
from taktgate.inspection.control import Assignment, Load
from taktgate.inspection.judge.process import runner_terms
from taktgate.inspection.pool.pooled_model import PooledModel, StartHistory
from taktgate.inspection.pool.starter import Terms, assignment_of
from taktgate.inspection.runner.loading import session_terms

DIGEST = "sha256:" + "a" * 64
SETTINGS = StationSettings(
    station="VIS01",
    device_class="cuda",
    plc=PlcSettings(address="127.0.0.1"),
    camera=NetworkCameraSettings(address="127.0.0.1:1"),
    judge=JudgeSettings(
        threads=3, spinning=True, arena=False, provider="cuda", gpu_memory_mb=512, standby=False
    ),
    image_gate=ImageGateSettings(mean_min=12.0),
    realtime=RealtimeSettings(judge=50, runner=40),
)


@pytest.fixture
def terms(tmp_path: Path) -> Terms:
    places = Places(
        station_file=tmp_path / "station.yaml",
        config=tmp_path / "config",
        lane=tmp_path,
        private=tmp_path,
        slots=tmp_path / "slots",
        state=tmp_path,
        records=tmp_path,
        metrics_address="127.0.0.1",
        metrics_port=1,
        control_token_file=None,
    )
    return runner_terms(places, SETTINGS)


def assigned(terms: Terms) -> Assignment:
    load = Load(slot="slot-a", digest=DIGEST, golden=True, probe_limit_ms=77.0)
    model = PooledModel(
        load=load, proven_fingerprint="f", at_idle_priority=True, starts=StartHistory(due_ns=0)
    )
    return assignment_of(terms, model, at_idle_priority=True)


def test_a_session_is_run_as_the_station_says(terms: Terms) -> None:
    assert asdict(session_terms(assigned(terms))) == {
        "threads": 3,
        "spinning": True,
        "policy": "cuda",
        "gpu_memory_mb": 512,
        "arena": False,
        "memory_pattern": True,
    }


def test_a_runner_is_told_what_to_load_and_how_it_is_proven(terms: Terms) -> None:
    said = assigned(terms)

    assert (said.digest, said.device_class) == (DIGEST, "cuda")
    assert said.directory.endswith("/slots/slot-a")
    assert (said.image_gate, said.probe_limit_ms) == (SETTINGS.image_gate, 77.0)
    assert (said.proven_fingerprint, said.at_idle_priority) == ("f", True)


def test_the_pool_knows_of_standby_and_priority(terms: Terms) -> None:
    assert (terms.standby, terms.realtime) == (False, 40)
