"""A module with bad settings says which, and does not start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "config" / "station.yaml").read_text(encoding="utf-8")


def start(module: str, folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "station.yaml").write_text(text, encoding="utf-8")
    places = {
        "TAKTGATE_STATION_FILE": folder / "station.yaml",
        "TAKTGATE_CONFIG_DIR": ROOT / "config",
        "TAKTGATE_LANE_DIR": folder / "lane",
        "TAKTGATE_PRIVATE_DIR": folder / "private",
        "TAKTGATE_SLOTS_DIR": folder / "slots",
        "TAKTGATE_STATE_DIR": folder / "state",
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "modules" / module / "main.py")],
        env={**os.environ, **{name: str(path) for name, path in places.items()}},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("module", ["inference", "plc_writer", "model_stager"])
@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD + "colour: red\n", "colour"),
        (GOOD.replace("tick_ms: 10", "tick_ms: 0"), "plc.tick_ms"),
        ("station: [", "not YAML"),
    ],
)
def test_a_module_refuses_bad_settings_by_name(
    tmp_path: Path, module: str, text: str, field: str
) -> None:
    done = start(module, tmp_path, text)
    assert done.returncode == 2
    assert "refusing to start" in done.stdout
    assert field in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
