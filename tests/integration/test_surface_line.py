"""The real module with its surface under fire: no part notices, and an order takes its trial."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.judge_station import flat, is_alive
from tests.integration.test_judge_and_agent import ROOT, ModuleStation
from tests.integration.tiny_bundles import SIZE, Tiny
from tests.waiting import wait_until

from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Verdict
from taktgate.standin.azure.loopback import free_loopback_network

TOKEN = "a-token-of-this-test"
HAMMER = Path(__file__).parent / "surface_hammer.py"
PARTS = 40
WINDOW_MS = 150
"""Much for a frame, and little for 40 parts: no part may be late, however busy the machine."""
SURFACE_PORT = 9610


class SurfaceLine(ModuleStation):
    """A whole module with a surface on a port of its own."""

    surface_host = ""
    good_model: ModelRef
    wanted_model: ModelRef

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self.surface_host, SURFACE_PORT, timeout=60)
        try:
            headers = {"Content-Type": kind, "Authorization": f"Bearer {TOKEN}"}
            connection.request(method, path, body or None, headers if body else {})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def is_served(self) -> bool:
        try:
            return self.ask("GET", "/healthz")[0] == 200
        except OSError:
            return False


@contextmanager
def surface_line(folder: Path) -> Iterator[SurfaceLine]:
    host = free_loopback_network().address(1)
    surface = f"surface: {{host: {host}, port: {SURFACE_PORT}}}\n"
    station = SurfaceLine(folder, window_ms=WINDOW_MS, settings=surface)
    station.surface_host = host
    (folder / "token").write_text(TOKEN)
    station.environment["TAKTGATE_CONTROL_TOKEN_FILE"] = str(folder / "token")
    guardrails = (ROOT / "config/guardrails.yaml").read_text()
    assert "shadow_parts: 40" in guardrails
    few = guardrails.replace("shadow_parts: 40", "shadow_parts: 2")
    (folder / "config/guardrails.yaml").write_text(few)
    try:
        yield station
    finally:
        station.close()


@contextmanager
def hammer(station: SurfaceLine) -> Iterator[dict[int, int]]:
    """Have the surface asked without pause; give afterwards how often which status came."""
    answers: dict[int, int] = {}
    command = [sys.executable, str(HAMMER), station.surface_host, str(SURFACE_PORT)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield answers
        finally:
            said, _ = process.communicate(timeout=60)
            answers.update({int(status): count for status, count in json.loads(said).items()})


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurfaceLine]:
    """Give one module for all tests of this file, in their order: its start takes longest."""
    with surface_line(tmp_path_factory.mktemp("line") / "s") as station:
        station.good_model = station.install_tiny(Tiny(version="1.0.0"), "a", confirmed=True)
        station.wanted_model = station.install_tiny(Tiny(version="2.0.0"), "b")
        station.start_module()
        station.wait(lambda: station.is_ready)
        station.wait(station.is_served)
        yield station


def test_no_part_notices_a_surface_under_fire_or_its_processes_killed(line: SurfaceLine) -> None:
    runners = set(line.pids("runner.process"))
    with hammer(line) as answers:
        line.wait(lambda: bool(line.pids("surface.decoder")))
        helpers = line.pids("surface.decoder")
        helpers += [pid for pid in line.pids("runner.process") if pid not in runners]
        for pid in helpers:
            os.kill(pid, signal.SIGKILL)
        verdicts = [line.judged(flat(0)).verdict for _ in range(PARTS // 2)]
        os.kill(line.pids("agent.process")[0], signal.SIGKILL)
        verdicts += [line.judged(flat(0)).verdict for _ in range(PARTS // 2)]
    assert verdicts == [Verdict.PASS] * PARTS
    assert line.good == line.good_model
    assert 500 not in answers
    assert {0, 401} <= answers.keys()  # how many questions are answered depends on the machine


def test_operators_order_goes_through_its_trial_and_judges(line: SurfaceLine) -> None:
    line.wait(line.is_served)
    body = b'{"model_name": "tiny-2.0.0"}'
    status, answer = line.ask("POST", "/reload-model", body, "application/json")
    assert status == 202, answer
    while line.heard.beats[-1].model != line.wanted_model:
        assert line.judged(flat(0)).verdict is Verdict.PASS
    line.wait(lambda: line.disk is not None and line.disk.trial is not None)
    trial = None if line.disk is None else line.disk.trial
    assert trial is not None
    order = json.loads(answer)["order"]
    assert (trial.candidate.model, trial.candidate.order) == (line.wanted_model, order)


def test_part_that_should_not_have_passed_sends_the_model_on_trial_back(line: SurfaceLine) -> None:
    verdict = line.judged(flat(0))
    assert (verdict.verdict, verdict.model) == (Verdict.PASS, line.wanted_model)
    body = json.dumps({"trigger_id": verdict.trigger_id, "defect_class": "crack"}).encode()
    line.wait(lambda: line.ask("POST", "/report-escape", body, "application/json")[0] != 404)
    judged_by = [line.judged(flat(0)).model for _ in range(3)]
    assert judged_by[-1] == line.good_model
    assert judged_by.count(line.wanted_model) <= 2
    assert [reason for _, reason in line.blocked] == ["ESCAPE_OR_DISAGREEMENT"]
    assert line.disk is not None
    assert line.disk.trial is None

    cleared = json.dumps({"digest": line.wanted_model.digest}).encode()
    assert line.ask("POST", "/clear-model", cleared, "application/json")[0] == 200
    assert line.blocked == []


def test_no_process_of_the_surface_outlives_the_module(line: SurfaceLine) -> None:
    line.wait(line.is_served)
    path = f"/infer?width={SIZE}&height={SIZE}&channels=1"
    line.ask("POST", path, bytes(SIZE * SIZE), "application/octet-stream")
    pids = line.pids("taktgate.inspection")
    assert line.pids("surface.decoder")
    line.close()
    wait_until(lambda: not any(map(is_alive, pids)))
