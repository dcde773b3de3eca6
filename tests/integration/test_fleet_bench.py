"""`scripts/bench`: the figures, the raw samples, and an exit code that says what they mean."""

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_bench_fleet_measures_each_device_in_each_round(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    ended = subprocess.run(
        [
            sys.executable, SCRIPTS / "benches/fleet.py", "--devices", "3", "--rounds", "2",
            "--json", "--samples", samples,
        ],
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    assert (figures["devices"], figures["connections"], figures["beyond"]) == (3, 12, [])
    assert [each["desired"]["n"] for each in figures["rounds"]] == [3, 3]
    rows = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(rows) == 6
    for row in rows:
        assert 0 < row["desired_s"] < row["reported_s"] < 30
        assert row["desired_s"] < row["confirmed_s"] < 30


def test_bench_without_a_name_lists_what_can_be_measured() -> None:
    ended = subprocess.run([SCRIPTS / "bench"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "fleet" in ended.stderr
