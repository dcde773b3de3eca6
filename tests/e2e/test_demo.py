"""The whole line, as a user starts it: real modules, real routes, real CIP, real camera frames."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

TAKTGATE = [sys.executable, "-m", "taktgate.cli"]


def demo(*arguments: str, folder: Path) -> tuple[int, dict[str, Any], str]:
    """Run `taktgate demo` with generated images; return exit code, figures and output."""
    figures = folder / "figures.json"
    done = subprocess.run(
        [*TAKTGATE, "demo", "--offline", "--json", str(figures), *arguments],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    output = done.stdout + done.stderr
    assert figures.exists(), output
    return done.returncode, json.loads(figures.read_text(encoding="utf-8")), output


@pytest.fixture
def world() -> Iterator[Path]:
    """A folder with a path short enough for the unix sockets in it."""
    with tempfile.TemporaryDirectory(prefix="tg-") as folder:
        yield Path(folder) / "w"


def leftovers(mark: str) -> list[str]:
    """Return the command lines of processes that still belong to the world at *mark*."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = " ".join(process.info["cmdline"] or []) + str(process.info["environ"] or "")
        if mark in words and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_every_part_gets_one_verdict_and_the_gate_obeys_it(tmp_path: Path) -> None:
    code, figures, output = demo("--parts", "40", "--rate", "5", folder=tmp_path)
    assert code == 0, output
    assert figures["parts"] == 40
    assert sum(figures["verdicts"].values()) == 40
    assert figures["verdicts"]["PASS"] > 0
    assert figures["unsafe_pass"] == 0
    assert figures["unexplained_gate_actions"] == 0
    assert figures["second_verdicts"] == 0
    assert figures["latency_ms"]["n"] > 0
    assert figures["lanes"]["local"] > 0
    assert figures["model"]["name"] == "weld-seam"


def test_every_process_may_be_killed_and_the_line_stays_safe(tmp_path: Path, world: Path) -> None:
    """One run, each process in turn; between two kills there is time to recover."""
    victims = [
        "inference/judge",
        "inference/runner",
        "inference/agent",
        "plc_writer/writer",
        "plc_writer/agent",
        "model_stager/stager",
        "inference",
        "plc_writer",
        "model_stager",
    ]
    faults = [f"--fault=kill:{name}@{3 + 5 * number}" for number, name in enumerate(victims)]
    code, figures, output = demo(
        *("--parts", "280", "--rate", "5", "--keep", str(world), *faults), folder=tmp_path
    )
    assert code == 0, output
    assert figures["unsafe_pass"] == 0
    assert figures["unexplained_gate_actions"] == 0
    assert figures["second_verdicts"] == 0
    assert figures["verdicts"]["PASS"] + figures["verdicts"]["FAIL"] > 100, "the line recovers"
    assert leftovers(str(world)) == []


def test_edgehub_may_stop_for_five_seconds_and_costs_no_part(tmp_path: Path) -> None:
    code, figures, output = demo(
        "--parts", "60", "--rate", "5", "--fault", "stop:edgehub@3+5", folder=tmp_path
    )
    assert code == 0, output
    assert figures["unsafe_pass"] == 0
    lost = set(figures["reasons"]) - {"UNCERTAIN"}
    assert lost == set(), output


def test_without_the_local_lane_a_stopped_edgehub_rejects(tmp_path: Path) -> None:
    code, figures, output = demo(
        *("--parts", "70", "--rate", "5", "--deadline-ms", "400", "--no-local-lane"),
        *("--fault", "stop:edgehub@4+5"),
        folder=tmp_path,
    )
    assert code == 0, output
    assert figures["unsafe_pass"] == 0
    assert figures["lanes"]["local"] == 0
    assert figures["lanes"]["edgehub"] > 0
    assert figures["gate"]["reject"] >= 15


def test_a_new_model_is_confirmed_ring_by_ring(tmp_path: Path) -> None:
    code, figures, output = demo("--canary", "--rate", "5", folder=tmp_path)
    assert code == 0, output
    assert set(figures["rollout"]["live"].values()) == {"1.1.0"}


def test_a_model_that_rejects_too_much_goes_back_by_itself(tmp_path: Path) -> None:
    code, figures, output = demo("--canary", "--bad-model", "--rate", "5", folder=tmp_path)
    assert code == 0, output
    assert set(figures["rollout"]["live"].values()) == {"1.0.0"}
    assert figures["rollout"]["layers"] == []
    assert figures["rollout"]["rollback"]["reason"] == "OVER_REJECT"
    touched = figures["stations"]["station-canary"]["parts_by_version"]["1.2.0-overreject"]
    assert touched <= 62, "60 parts to decide, 2 until the old model judges again"
    assert "1.2.0-overreject" not in figures["stations"]["station-broad"]["parts_by_version"]


def test_ctrl_c_leaves_nothing_behind(world: Path) -> None:
    process = subprocess.Popen(
        [*TAKTGATE, "demo", "--offline", "--parts", "500", "--keep", str(world)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while not list(world.glob("station-1/logs/*.log")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert leftovers(str(world)) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parts", "0"], "--parts must be 1..100000"),
        (["--rate", "50"], "--rate must be"),
        (["--bad-model"], "--bad-model needs --canary"),
        (["--fault", "kill:cloud@3"], "kill knows"),
        (["--fault", "whatever"], "must be like"),
        (["--images", "/nowhere"], "/nowhere"),
    ],
)
def test_a_bad_option_is_refused_by_name(arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [*TAKTGATE, "demo", *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_labels_file_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "seam.png").touch()
    (tmp_path / "labels.csv").write_text("file,label\nseam.png,perhaps\n", encoding="utf-8")
    done = subprocess.run(
        [*TAKTGATE, "demo", "--images", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "labels.csv" in done.stderr
    assert "perhaps" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.99.98.1", 8443))
        taken.listen()
        done = subprocess.run(
            [*TAKTGATE, "demo", "--offline", "--network", "127.99.98"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert "127.99.98.1" in done.stderr
    assert "8443" in done.stderr
    assert "Traceback" not in done.stderr
