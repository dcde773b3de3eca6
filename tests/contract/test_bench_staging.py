"""scripts/bench staging: it measures what it says, and its exit code is honest."""

import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.waiting import WITHIN_S

from taktgate.bundle.signing import SigningKey
from taktgate.staging.fetch.download_file import CHUNK_BYTES
from taktgate.standin.heavy_bundle import write_heavy

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))


def bench(name: str) -> ModuleType:
    return import_module(f"benches.staging_bench.{name}")


def light_bundle(to: Path) -> Path:
    """Write what the bench stages, without most of its weight."""
    models, ballast = (import_module(f"benches.inspect_bench.{n}") for n in ("model", "ballast"))
    write_heavy(
        models.SAMPLES / "weld-seam/weld-seam-1.0.0.bundle",
        version=ballast.VERSION,
        ballast_bytes=300_000,
        key=SigningKey.load(models.KEY),
        to=to,
    )
    return to


def test_rates_are_those_of_real_downloads_and_installs(tmp_path: Path) -> None:
    bundle = light_bundle(tmp_path / "b")
    found = bench("rate").measure(
        tmp_path / "rate", bundle, ROOT / "config", rounds=2, say=lambda _: None
    )
    assert found.size_bytes == bundle.stat().st_size
    assert {case: len(found.seconds[case]) for case in found.seconds} == dict.fromkeys(
        bench("rate").CASES, 2
    )
    assert list((tmp_path / "rate").iterdir()) == []


@pytest.mark.parametrize(
    ("download_s", "install_s", "kept"),
    [(1.6, 3.3, [True, True]), (1.7, 3.3, [False, True]), (1.6, 3.4, [True, False])],
)
def test_a_download_is_held_against_the_way_to_the_disk_and_an_install_against_both_ways(
    download_s: float, install_s: float, kept: list[bool]
) -> None:
    rate = bench("rate")
    seconds = {
        rate.DISK: [1.0] * 3,
        rate.BACK: [2.0] * 3,
        rate.DOWNLOAD: [download_s] * 3,
        rate.INSTALL: [install_s] * 3,
    }
    lines = rate.lines(rate.Rates(size_bytes=200_000_000, seconds=seconds))
    assert [line.kept for line in lines] == kept


@pytest.mark.parametrize(("again", "kept"), [(CHUNK_BYTES, True), (CHUNK_BYTES + 1, False)])
def test_the_worst_kill_may_cost_a_chunk_and_no_byte_more(again: int, kept: bool) -> None:
    kill = bench("resume").Kill
    kills = [
        kill(handed_over_bytes=7, on_disk_bytes=5, taken_up_at_bytes=5),
        kill(
            handed_over_bytes=3 * CHUNK_BYTES,
            on_disk_bytes=CHUNK_BYTES + again,
            taken_up_at_bytes=CHUNK_BYTES,
        ),
    ]
    assert bench("resume").line(kills).kept is kept


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"reason": ""}, False),
        ({"limit_bytes": 100}, True),
        ({"limit_bytes": 99}, False),
        ({"limit_s": 0.5, "seconds": 2.4}, True),
        ({"limit_s": 0.5, "seconds": 2.6}, False),
    ],
)
def test_a_refusal_counts_within_its_limits_only(changes: dict[str, Any], kept: bool) -> None:
    facts = {"case": "c", "reason": "R", "message": "", "sent_bytes": 500, "seconds": 1.0}
    assert bench("limits").Refusal(**(facts | {"taken_bytes": 100} | changes)).kept is kept


def beside(staging_us: float, unjudged: int = 0) -> list[bool]:
    """Return which lines are kept where quiet blocks have a p99 of 1000 and 1100 us."""
    module = bench("beside")
    times = {module.QUIET: 1000.0, module.QUIET_AGAIN: 1100.0, module.STAGING: staging_us}
    found = module.Beside(
        times_us={case: [[us] * 5] * 4 for case, us in times.items()},
        unjudged=dict.fromkeys(module.CASES, 0) | {module.STAGING: unjudged},
        stagings=1,
        fetched_mb=200.0,
    )
    return [line.kept for line in module.lines(found)]


def test_the_judge_beside_staging_is_held_against_the_noise_of_quiet_blocks() -> None:
    assert beside(1100.0) == [True, True]
    assert beside(1101.0) == [False, True]
    assert beside(1000.0, unjudged=1) == [True, False]


def test_hostile_servers_are_refused_within_their_limits(tmp_path: Path) -> None:
    """How soon after its limit each attack ends is the bench's own line, not this test's."""
    to = tmp_path / "figures.json"
    code = bench("__main__").main(["--quick", "--only", "limits", "--json", str(to)])
    figures = json.loads(to.read_text())
    assert code == int(not figures["verdict"]["met"])
    assert figures["limits_are_real"] is False
    for each in figures["limits"]:
        if each["limit_bytes"] is not None:
            assert each["taken_bytes"] <= each["limit_bytes"]
        else:
            assert each["limit_s"] <= each["seconds"] < each["limit_s"] + WITHIN_S
    reasons = {each["case"]: each["reason"] for each in figures["limits"]}
    assert reasons == {
        "10 GB for timestamp metadata": "ENDLESS_DATA",
        "10 GB for targets metadata": "ENDLESS_DATA",
        "10 GB for a bundle of 200 MB": "ENDLESS_DATA",
        "metadata drips": "SLOW_RETRIEVAL",
        "metadata never begins": "TIMEOUT",
        "a bundle drips": "TIMEOUT",
        "a bundle never begins": "TIMEOUT",
    }


def test_what_cannot_be_measured_here_is_not_kept_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench("boot"), "FAKETIME", tmp_path / "none.so")
    assert bench("__main__").main(["--quick", "--only", "boot"]) == 1
    assert "apt-get install faketime" in capsys.readouterr().out


def test_wrong_usage_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        bench("__main__").main(["--only", "everything"])
    assert end.value.code == 2
    assert "rate" in capsys.readouterr().err
