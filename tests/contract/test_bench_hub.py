"""scripts/bench hub: it measures what it says, and its exit code is honest."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def verdict(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    from benches.hub_bench import verdict

    return verdict


def block(verdict: Any, *latencies_ms: float, per_s: float | None = None) -> Any:
    return verdict.Block(latencies_ms=latencies_ms, per_s=per_s)


def test_percentile_is_a_value_that_was_measured(verdict: Any) -> None:
    samples = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert [verdict.percentile(samples, p) for p in (0, 50, 99, 100)] == [1.0, 3.0, 5.0, 5.0]


def test_figures_are_over_the_samples_of_all_blocks(verdict: Any) -> None:
    blocks = [block(verdict, 1.0, 2.0, 9.0, per_s=700.0), block(verdict, 4.0, 5.0, per_s=900.0)]
    found = verdict.figures("x", blocks)
    assert (found.samples, found.p50_ms, found.max_ms, found.per_s) == (5, 4.0, 9.0, 800.0)
    assert (found.block_p50_ms, found.block_per_s) == ((2.0, 4.0), (700.0, 900.0))


@pytest.mark.parametrize(
    ("p50_ms", "per_s", "kept"),
    [(3.0, 700.0, [True, True]), (3.01, 700.0, [False, True]), (3.0, 699.9, [True, False])],
)
def test_line_is_kept_up_to_its_figure_and_not_beyond(
    verdict: Any, p50_ms: float, per_s: float, kept: list[bool]
) -> None:
    measured = {
        "sync, 256 B, 50/s": verdict.figures("a", [block(verdict, p50_ms)]),
        "sync, 256 B, flat out": verdict.figures("b", [block(verdict, 99.0, per_s=per_s)]),
        "sync, 8 KiB, 50/s": verdict.figures("c", [block(verdict, 99.0)]),
    }
    assert [line.kept for line in verdict.lines(measured)] == kept


def test_nagle_ratio_compares_each_chain_with_its_own_other_half(verdict: Any) -> None:
    measured = {
        name: verdict.figures(name, [block(verdict, p50_ms)])
        for name, p50_ms in (
            ("chain, sync, plain", 48.0),
            ("chain, sync, nodelay", 4.0),
            ("method, sync, plain", 50.0),
        )
    }
    assert verdict.nagle_ratios(measured) == {"chain, sync": 12.0}


def test_short_run_over_real_processes_reports_all_its_samples(tmp_path: Path) -> None:
    samples = tmp_path / "samples.jsonl"
    choice = ["--messages", "10", "--rounds", "1", "--only", "chain, sync, nodelay"]
    command = [sys.executable, str(ROOT / "scripts/benches/hub.py"), *choice, "--json"]
    command += ["--samples", str(samples)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    facts = json.loads(done.stdout)
    assert (done.returncode, facts["lines"]) == (0, [])
    assert [each["samples"] for each in facts["figures"]] == [3]
    [line] = samples.read_text(encoding="utf-8").splitlines()
    assert len(json.loads(line)["latencies_ms"]) == 3
