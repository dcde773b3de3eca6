"""scripts/bench determinism and runner_settings, small: what they say is what was measured."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def bench(name: str, folder: Path, *options: str) -> dict[str, Any]:
    """Run one bench and return its figures."""
    to = folder / "figures.json"
    script = ROOT / f"scripts/benches/{name}.py"
    subprocess.run([sys.executable, str(script), *options, "--json", str(to)], check=True)
    figures: dict[str, Any] = json.loads(to.read_text())
    return figures


def test_scores_do_not_depend_on_threads_sessions_or_starts(tmp_path: Path) -> None:
    figures = bench("determinism", tmp_path, "--frames", "6")

    assert figures["max_difference"] <= figures["epsilon"]
    assert figures["other_verdicts"] == 0
    names = [case["case"] for case in figures["cases"]]
    assert names == ["1 thread", "1 thread, restarted", "2 threads", "2 threads, restarted"]


def test_the_settings_of_a_runner_are_given_with_their_number_of_samples(tmp_path: Path) -> None:
    options = "--rounds", "2", "--frames", "3", "--only", "default"
    (figures,) = bench("runner_settings", tmp_path, *options)["cases"].values()

    assert figures["n"] == 6
    assert 0 < figures["p50_ms"] <= figures["p99_ms"] <= figures["max_ms"]
    assert figures["rss_kb"] > 10_000
