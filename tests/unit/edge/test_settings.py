"""Settings: a mistake refuses the start and names field and rule."""

from pathlib import Path

import pytest

from taktgate.edge.places import SettingsError, places_from
from taktgate.edge.settings import load_station

GOOD = """
station: VIS01
device_class: cpu
plc: {address: "127.0.0.1:44818"}
camera: {address: "127.0.0.1:3960"}
"""


def station_file(folder: Path, text: str) -> Path:
    path = folder / "station.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_station_file_is_valid() -> None:
    load_station(Path(__file__).parents[3] / "config" / "station.yaml")


def test_defaults_fill_what_a_plant_need_not_say(tmp_path: Path) -> None:
    assert load_station(station_file(tmp_path, GOOD)).plc.tick_ms == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("plcs: {}\n", "plcs"),
        ("judge: {threads: 0}\n", r"judge\.threads"),
        ("lanes: {local: perhaps}\n", r"lanes\.local"),
        ("realtime: {writer: 99}\n", r"realtime\.writer"),
        ("realtime: {judge: 40, runner: 40}\n", r"realtime\.runner.*below realtime\.judge"),
        ("realtime: {runner: 1}\n", r"realtime\.runner.*below realtime\.judge"),
        ("judge: {gpu_memory_mb: 1}\n", r"judge\.gpu_memory_mb"),
    ],
)
def test_a_bad_key_is_named(tmp_path: Path, change: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_station(station_file(tmp_path, GOOD + change))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: No such file"):
        load_station(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not YAML"):
        load_station(station_file(tmp_path, "station: [\n"))


@pytest.mark.parametrize("port", ["0", "65536", "ninety", "-1"])
def test_a_bad_metrics_port_is_named(port: str) -> None:
    with pytest.raises(SettingsError, match="TAKTGATE_METRICS_PORT"):
        places_from({"TAKTGATE_METRICS_PORT": port})
