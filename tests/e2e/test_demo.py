"""The whole line, as a user starts it: real modules, real routes, real CIP, real camera frames."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from tests.waiting import wait_until

from taktgate.cli import main
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.demo.line_run import STATION
from taktgate.standin.demo.world import longest_folder_bytes
from taktgate.standin.imagesets.port import Split
from taktgate.standin.imagesets.weld import WeldSeams

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

ROOT = Path(__file__).parents[2]
TAKTGATE = [sys.executable, "-m", "taktgate.cli"]
UNHURRIED = ("--rate", "5", "--deadline-ms", "1000")
"""Where the deadline is not the subject: what a busy machine keeps waiting is no fault of ours."""
DEMO_WITHIN_S = 450
"""Longer than anything that a demo waits for: its own words then say what did not come."""


def demo(
    *arguments: str, folder: Path, images: Sequence[str] = ("--offline",)
) -> tuple[int, dict[str, Any], str]:
    """Run `taktgate demo`, by default with generated images: exit code, figures and output."""
    figures = folder / "figures.json"
    done = subprocess.run(
        [*TAKTGATE, "demo", *images, "--json", str(figures), *arguments],
        capture_output=True,
        text=True,
        timeout=DEMO_WITHIN_S,
        check=False,
    )
    output = done.stdout + done.stderr
    assert figures.exists(), output
    return done.returncode, json.loads(figures.read_text(encoding="utf-8")), output


@pytest.fixture
def world() -> Iterator[Path]:
    """A folder with a path just short enough for the unix sockets in it."""
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        yield Path(f"{folder}/".ljust(longest_folder_bytes([STATION]), "w"))


def leftovers(mark: str) -> list[str]:
    """Return the command lines of processes that still belong to the world at *mark*."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = " ".join(process.info["cmdline"] or []) + str(process.info["environ"] or "")
        if mark in words and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def left_behind(mark: str) -> list[str]:
    """Return `leftovers`, but for what the kernel was still ending when its parent had ended."""
    deadline = time.monotonic() + 10
    while (found := leftovers(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], str]:
    """One run over 10 s, for 5 of which edgeHub stands still: that must cost nothing."""
    return demo(
        *("--parts", "25", "--rate", "2.5", "--deadline-ms", "1000"),
        *("--fault", "stop:edgehub@2+5"),
        folder=tmp_path_factory.mktemp("outage"),
    )


def test_every_part_gets_one_verdict_and_the_gate_obeys_it(
    outage: tuple[int, dict[str, Any], str],
) -> None:
    code, figures, output = outage
    assert code == 0, output
    assert figures["parts"] == 25
    assert sum(figures["verdicts"].values()) == 25
    assert figures["verdicts"]["PASS"] > 0
    assert figures["unsafe_pass"] == 0
    assert figures["unexplained_gate_actions"] == 0
    assert figures["second_verdicts"] == 0
    assert figures["latency_ms"]["n"] > 0
    assert figures["lanes"]["local"] > 0
    assert figures["model"]["name"] == "weld-seam"


def test_the_demo_of_the_readme_shows_real_images(tmp_path: Path) -> None:
    code, figures, output = demo("--parts", "12", *UNHURRIED, folder=tmp_path, images=())
    assert code == 0, output
    assert (figures["images"], figures["model"]["name"]) == ("elpv", "elpv-cells")
    assert figures["verdicts"]["PASS"] > 0
    assert figures["right"] + figures["wrong_pass"] + figures["wrong_fail"] > 0


def test_any_folder_of_images_runs_down_the_line(tmp_path: Path) -> None:
    seams = WeldSeams(Split.LINE, seed=3, size=12)
    rows = ["file,label"]
    for index in range(len(seams)):
        seam = seams.item(index)
        Image.fromarray(seam.pixels).save(tmp_path / f"{index}.png")
        rows.append(f"{index}.png,{seam.label}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8")
    code, figures, output = demo(
        *("--parts", "12", *UNHURRIED, "--images", str(tmp_path)), folder=tmp_path
    )
    assert code == 0, output
    assert figures["right"] >= 10, "the model was trained on such seams"


KILLED = {
    "inference/judge": True,
    "inference/runner": False,
    "inference/agent": False,
    "plc_writer/writer": True,
    "plc_writer/agent": False,
    "model_stager/stager": False,
    "inference": True,
    "plc_writer": True,
    "model_stager": False,
}
"""What is killed, in this order, and whether a part must be lost to it."""


def test_every_process_may_be_killed_and_the_line_stays_safe(tmp_path: Path, world: Path) -> None:
    """One run, each process in turn; the line is back from each before the next one dies."""
    code, figures, output = demo(
        *("--in-turn", *(f"--fault=kill:{name}@1" for name in KILLED)),
        *("--rate", "5", "--keep", str(world)),
        folder=tmp_path,
    )
    assert code == 0, output
    assert figures["unsafe_pass"] == 0
    assert figures["unexplained_gate_actions"] == 0
    assert figures["second_verdicts"] == 0
    assert [turn["name"] for turn in figures["turns"]] == [f"kill {name}" for name in KILLED]
    for turn, costs_a_part in zip(figures["turns"], KILLED.values(), strict=True):
        assert turn["back_s"] is not None, turn
        assert turn["lost"] > 0 or not costs_a_part, f"{turn['name']}, and no part noticed"
    assert left_behind(str(world)) == []


def test_edgehub_may_stop_for_five_seconds_and_costs_no_part(
    outage: tuple[int, dict[str, Any], str],
) -> None:
    code, figures, output = outage
    assert code == 0, output
    assert figures["unsafe_pass"] == 0
    lost = set(figures["reasons"]) - {"UNCERTAIN"}
    assert lost == set(), output


def test_without_the_local_lane_a_stopped_edgehub_rejects(tmp_path: Path) -> None:
    code, figures, output = demo(
        *("--parts", "40", *UNHURRIED, "--no-local-lane"),
        *("--fault", "stop:edgehub@2+5"),
        folder=tmp_path,
    )
    assert code == 0, output
    assert figures["unsafe_pass"] == 0
    assert figures["lanes"]["local"] == 0
    assert figures["lanes"]["edgehub"] > 0
    assert figures["gate"]["reject"] >= 15


PLC_FAULTS = ("cable-pull@1+0.8", "program-mode@2+1", "power-cycle@3+0.5", "torn-writes@4+1")


def test_the_line_stays_safe_through_plc_faults_and_comes_back_from_each(tmp_path: Path) -> None:
    code, figures, output = demo(
        *("--in-turn", *(f"--plc-fault={fault}" for fault in PLC_FAULTS)),
        *("--rate", "5"),
        folder=tmp_path,
    )
    assert code == 0, output
    assert (figures["unsafe_pass"], figures["unexplained_gate_actions"]) == (0, 0)
    cable, mode, power, torn = figures["plc_faults"]
    assert all(report["is_back"] for report in figures["plc_faults"])
    for report in (cable, mode, power):
        assert report["writer_noticed_s"] is not None, report
        assert report["plc_noticed_s"] is not None, report
        assert report["rejected"] > 0, report
    assert torn["plc_noticed_s"] is None
    for name in ("cable-pull", "program-mode", "power-cycle", "torn-writes"):
        assert name in output


def test_a_new_model_is_confirmed_ring_by_ring(tmp_path: Path) -> None:
    code, figures, output = demo("--canary", *UNHURRIED, folder=tmp_path)
    assert code == 0, output
    assert set(figures["rollout"]["live"].values()) == {"1.1.0"}


def test_a_model_that_rejects_too_much_goes_back_by_itself(tmp_path: Path) -> None:
    code, figures, output = demo("--canary", "--bad-model", *UNHURRIED, folder=tmp_path)
    assert code == 0, output
    assert set(figures["rollout"]["live"].values()) == {"1.0.0"}
    assert figures["rollout"]["layers"] == []
    assert figures["rollout"]["rollback"]["reason"] == "ESCAPE_OR_DISAGREEMENT"
    for station in figures["stations"].values():
        assert set(station["parts_by_version"]) == {"1.0.0"}, "the shadow has no way to a part"


def test_a_model_that_fails_on_the_line_is_sent_back_by_type(tmp_path: Path) -> None:
    code, figures, output = demo("--model-fault", "crash", *UNHURRIED, folder=tmp_path)
    assert code == 0, output
    assert (figures["unsafe_pass"], figures["unexplained_gate_actions"]) == (0, 0)
    fault = figures["model_fault"]
    assert fault["live"] == "1.0.0"
    assert fault["rollback"]["reason"] == "INFERENCE_FAILURE"
    assert fault["passed"] == 0
    assert fault["judged"] >= 3
    assert fault["parts_after_decision"] <= 2


def test_a_power_cut_at_any_moment_of_a_staging_leaves_a_station_that_judges(
    tmp_path: Path, world: Path
) -> None:
    code, figures, output = demo(
        *("--cut-power-during-staging", "2", "--seed", "3", "--keep", str(world)), folder=tmp_path
    )
    assert code == 0, output
    assert (figures["unsafe_pass"], figures["unexplained_gate_actions"]) == (0, 0)
    cuts = figures["power_cuts"]["cuts"]
    assert len(cuts) == 2
    for cut in cuts:
        assert cut["is_verified"], cut
        assert cut["judged_by"] in (cut["good_before"], cut["good_after"]), cut
        assert cut["rejected"] > 0, "nobody can judge without power"
    assert figures["orders_confirmed"] == ["order-2"]
    assert figures["model"]["version"] == "2.1.0"
    assert left_behind(str(world)) == []


def test_a_layer_stages_tries_and_confirms_a_model_and_the_reported_properties_tell_it(
    tmp_path: Path,
) -> None:
    """A confirmed model, a withdrawn layer, a revoked version, a rollback: one run tells all."""
    code, figures, output = demo("--story", folder=tmp_path)
    assert code == 0, output
    phases = figures["phases"]
    staging = ["fetching", "verifying", "testing", "staged"]
    assert [phase for phase in phases["order-2"] if phase != "trial"] == [*staging, "confirmed"]
    told = " ".join(row["stager"] + row["inspection"] for row in figures["timeline"])
    assert "trial" in told, "by inference, or by the stager that looks at its record"
    assert phases["order-1"][-1] == "confirmed", "the withdrawn layer lets the older order back"
    assert phases["order-3"][-1] == "failed", "revoked"
    assert phases["order-4"][-1] == "blocked", "rolled back here"
    assert figures["model"]["version"] == "1.0.0"
    assert "as the reported properties tell it" in output


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a demo takes from a checkout, to be spoilt."""
    for name in ("src", "config", "modules"):
        shutil.copytree(ROOT / name, tmp_path / "co" / name)
    shutil.copy(ROOT / "deployment.template.json", tmp_path / "co")
    return tmp_path / "co"


def mistype_a_key(checkout: Path) -> None:
    file = checkout / "config/station.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("tick_ms", "tik_ms"), encoding="utf-8")


def take_the_keys_away(checkout: Path) -> None:
    for key in (checkout / "config/trusted_keys").glob("*.pem"):
        key.unlink()


def cut_off_the_model(checkout: Path) -> None:
    bundle = checkout / "src/taktgate/standin/samples/weld-seam/weld-seam-1.0.0.bundle"
    os.truncate(bundle, bundle.stat().st_size // 2)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (mistype_a_key, ("station.yaml", "plc.tik_ms")),
        (take_the_keys_away, ("model_stager", "KEY", "trusted_keys")),
        (cut_off_the_model, ("weld-seam-1.0.0.bundle", "ARCHIVE", "cut off")),
    ],
)
def test_a_station_that_cannot_judge_says_why_and_ends(
    checkout: Path, spoil: Callable[[Path], None], words: tuple[str, ...]
) -> None:
    spoil(checkout)
    done = subprocess.run(
        [*TAKTGATE, "demo", "--offline", "--parts", "3"],
        capture_output=True,
        text=True,
        timeout=DEMO_WITHIN_S,
        check=False,
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
    )
    assert done.returncode == 2, done.stdout
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert "verdicts" not in done.stdout


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Let children hear SIGINT also where these tests run as a background job, which is deaf."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_leaves_nothing_behind(world: Path) -> None:
    with subprocess.Popen(
        [*TAKTGATE, "demo", "--offline", "--parts", "500", "--keep", str(world)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        wait_until(lambda: list(world.glob("station-1/logs/*.log")))
        time.sleep(2)  # so that it comes in the midst of their start
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=DEMO_WITHIN_S) == 130
    assert left_behind(str(world)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "0"], "--parts must be 1..100000"),
        (["--rate", "50"], "--rate must be"),
        (["--bad-model"], "--bad-model needs --canary"),
        (["--model-fault", "dizzy"], "--model-fault must be one of hang, slow, nan"),
        (["--model-fault", "nan", "--canary"], "--model-fault does not go with --canary"),
        (["--shadow"], "--shadow needs --model-fault"),
        (["--in-turn"], "--in-turn needs --fault or --plc-fault"),
        (["--in-turn", "--parts", "9"], "--parts does not go with --in-turn"),
        (["--cut-power-during-staging", "0"], "--cut-power-during-staging must be 1..100"),
        (["--story", "--canary"], "--story goes with no fault"),
        (["--cut-power-during-staging", "--canary"], "goes with no other fault"),
        (["--fault", "kill:cloud@3"], "kill knows"),
        (["--fault", "whatever"], "must be like"),
        (["--plc-fault", "cable-cut@3"], "must be one of program-mode"),
        (["--images", "/nowhere"], "/nowhere"),
    ],
)
def test_a_bad_option_is_refused_by_name(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_wrong_labels_file_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seam.png").touch()
    (tmp_path / "labels.csv").write_text("file,label\nseam.png,perhaps\n", encoding="utf-8")
    assert main(["demo", "--images", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "labels.csv" in said
    assert "perhaps" in said


def test_a_port_in_use_is_named() -> None:
    network = free_loopback_network()
    with socket.socket() as taken:
        taken.bind((network.address(1), 8443))
        taken.listen()
        done = subprocess.run(
            [*TAKTGATE, "demo", "--offline", "--network", network.prefix],
            capture_output=True,
            text=True,
            timeout=DEMO_WITHIN_S,
            check=False,
        )
    assert done.returncode == 2
    assert network.address(1) in done.stderr
    assert "8443" in done.stderr
    assert "Traceback" not in done.stderr
