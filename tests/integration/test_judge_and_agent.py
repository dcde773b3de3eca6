"""The whole module without edgeHub: commissioning, a canary that goes bad, the way back."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from tests.integration.judge_station import JudgeStation, flat, is_alive
from tests.integration.tiny_bundles import Tiny
from tests.waiting import WITHIN_S, wait_until

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import ContractError, decode, encode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.pulse import PULSE_FILE, JudgePulse
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.verdict import Verdict
from taktgate.standin.azure.loopback import free_loopback_network

ROOT = Path(__file__).parents[2]
METRICS_PORT = 9600
"""On a loopback address of the station's own: nobody can take it before the agent does."""
UNHURRIED = "latency: {budget_ms: 10000, probe_limit_ms: null}\n"
"""A busy machine is held against no model."""


class ModuleStation(JudgeStation):
    """A station whose whole module `inference` runs, supervisor and agent included."""

    has_agent = True

    def start_module(self) -> None:
        self.address = free_loopback_network().address(1)
        environment = {
            **self.environment,
            "TAKTGATE_METRICS_ADDRESS": self.address,
            "TAKTGATE_METRICS_PORT": str(METRICS_PORT),
        }
        with (self.folder / "judge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "modules/inference/main.py")],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.camera.accept()

    def served_metrics(self) -> bytes:
        """Return what the agent serves; nothing while it serves nothing yet."""
        connection = HTTPConnection(self.address, METRICS_PORT, timeout=WITHIN_S)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read()
        except OSError:
            return b""
        finally:
            connection.close()

    def announce(self, model: ModelRef, slot: str, order: str) -> None:
        notice = StagedModel(
            contract=CONTRACT_VERSION,
            model=model,
            order=order,
            slot=slot,
            activation=ActivationPolicy.IMMEDIATE,
        )
        (self.folder / "slots/announced.json").write_bytes(encode(notice))

    @property
    def disk(self) -> Activation | None:
        try:
            return decode(Activation, (self.folder / "state/activation.json").read_bytes())
        except (FileNotFoundError, ContractError):
            return None

    @property
    def shows_pulse(self) -> bool:
        """Tell whether the agent says how near its deadline the judge was while the line runs."""
        try:
            pulse = decode(JudgePulse, (self.folder / "state" / PULSE_FILE).read_bytes())
        except FileNotFoundError:
            return False
        is_timed = pulse.parts > 0 and 0.0 < pulse.slowest_ms <= pulse.budget_ms
        return is_timed and pulse.line_stands_s == 0.0

    @property
    def good(self) -> ModelRef | None:
        """Return last-known-good as it is on disk."""
        good = None if self.disk is None else self.disk.last_known_good
        return None if good is None else good.model

    @property
    def blocked(self) -> list[tuple[str, str]]:
        """Return order and reason of what was sent back, as on disk."""
        return (
            [] if self.disk is None else [(each.order, each.reason) for each in self.disk.blocked]
        )

    def pids(self, module: str) -> list[int]:
        """Return the processes of this station that run *module*."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes()
                    environment = (entry / "environ").read_bytes()
                except OSError:
                    continue
                if module.encode() in line and str(self.folder).encode() in environment:
                    found.append(int(entry.name))
        return found


@contextmanager
def module_station(
    folder: Path, guardrails: str = "", *, window_ms: int = 60
) -> Iterator[ModuleStation]:
    """Give a station with *guardrails*, or with those that a plant begins with."""
    station = ModuleStation(folder, window_ms=window_ms)
    shutil.copy(ROOT / "config/guardrails.yaml", folder / "config/guardrails.yaml")
    if guardrails:
        (folder / "config/guardrails.yaml").write_text(guardrails)
    try:
        yield station
    finally:
        station.close()


def test_a_station_without_edgehub_commissions_tries_and_takes_back(tmp_path: Path) -> None:
    with module_station(tmp_path, f"shadow_parts: 0\n{UNHURRIED}") as station:
        good = station.install_tiny(Tiny(version="1.0.0"), "a")
        eager = station.install_tiny(Tiny(version="2.0.0", gain=-8.0), "b")
        station.announce(good, "a", "o1")
        station.start_module()
        station.wait(lambda: station.is_ready)
        assert station.judged(flat(0)).verdict is Verdict.PASS
        station.wait(lambda: station.good == good)
        station.wait(lambda: station.shows_pulse)

        station.announce(eager, "b", "o2")
        station.wait(lambda: station.heard.beats[-1].model == eager)
        station.wait(lambda: station.disk is not None and station.disk.trial is not None)
        os.kill(station.pids("agent.process")[0], signal.SIGKILL)
        rejected = 0
        while station.heard.beats[-1].model == eager and rejected < 60:
            rejected += station.judged(flat(0)).verdict is Verdict.FAIL
        station.wait(lambda: station.heard.beats[-1].model == good)

        station.wait(lambda: station.disk is not None and station.disk.trial is None)
        assert station.disk is not None
        assert station.good == good
        assert [(each.order, each.reason) for each in station.disk.blocked] == [
            ("o2", "OVER_REJECT")
        ]
        assert station.judged(flat(0)).verdict is Verdict.PASS
        # The metrics come up after the rest.
        while b"taktgate_verdicts_total" not in station.served_metrics():
            assert station.judged(flat(0)).verdict is Verdict.PASS

        pids = station.pids("taktgate.inspection")
        assert len(pids) >= 3
        station.close()
        wait_until(lambda: not any(map(is_alive, pids)))


def test_a_candidate_that_disagrees_in_the_shadow_is_blocked_before_it_judges_a_part(
    tmp_path: Path,
) -> None:
    with module_station(tmp_path, UNHURRIED) as station:
        good = station.install_tiny(Tiny(version="1.0.0"), "a")
        contrary = station.install_tiny(Tiny(version="2.0.0", gain=-8.0), "b")
        station.announce(good, "a", "o1")
        station.start_module()
        station.wait(lambda: station.is_ready and station.good == good)

        station.announce(contrary, "b", "o2")
        parts = 0
        while not station.blocked and parts < 400:
            parts += 1
            assert station.judged(flat(0)).verdict is Verdict.PASS
        assert station.blocked == [("o2", "ESCAPE_OR_DISAGREEMENT")]
        assert station.disk is not None
        assert station.disk.blocked[0].figures["livePassShadowFail"] >= 2
        assert {each.model for each in station.heard.verdicts} == {good}


TRIAL_PARTS = 10
SHORT = f"""
shadow_parts: 0
trial_parts: {TRIAL_PARTS}
cool_down_parts: 0
{UNHURRIED}inference_failure: {{consecutive: 100}}
over_reject: {{min_parts: 50, min_baseline_parts: 10}}
escape_or_disagreement: {{min_parts: 50}}
"""


def test_a_confirmed_model_that_breaches_goes_back_within_two_parts_at_30_frames_a_second(
    tmp_path: Path,
) -> None:
    with module_station(tmp_path, SHORT, window_ms=28) as station:
        assert station.takt_s <= 1 / 30
        good = station.install_tiny(Tiny(version="1.0.0"), "a")
        later = station.install_tiny(Tiny(version="2.0.0", gain=9.0), "b")
        station.announce(good, "a", "o1")
        station.start_module()
        station.wait(lambda: station.is_ready and station.good == good)
        for number in range(40):
            station.judged(flat(255 if number % 2 else 0))

        station.announce(later, "b", "o2")
        station.wait(lambda: station.heard.beats[-1].model == later)
        while station.good != later:
            station.judged(flat(255 if station.trigger_id % 2 else 0))
        while station.heard.verdicts[-1].model == later and station.trigger_id < 500:
            station.judged(flat(255))

        assert station.blocked == [("o2", "OVER_REJECT")]
        assert station.disk is not None
        assert station.good == good
        judged = [each.model for each in station.heard.verdicts if each.score is not None]
        until_decision = TRIAL_PARTS + station.disk.blocked[0].figures["parts"]
        assert 0 <= judged.count(later) - until_decision <= 2
        assert station.judged(flat(0)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("guardrails", "code"), [("trial_parts: 60\n", 0), ("trial_parts: 3\n", 2), ("a: b\n", 2)]
)
def test_check_names_the_fault_in_guardrails_yaml(
    tmp_path: Path, guardrails: str, code: int
) -> None:
    with module_station(tmp_path) as station:
        (tmp_path / "config/guardrails.yaml").write_text(guardrails)
        done = subprocess.run(
            [sys.executable, str(ROOT / "modules/inference/main.py"), "--check"],
            env=station.environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
    assert done.returncode == code
    assert code == 0 or "guardrails.yaml: field" in done.stdout + done.stderr
    assert code == 0 or guardrails.split(":")[0] in done.stdout + done.stderr


def test_a_fault_in_guardrails_yaml_does_not_stop_the_line(tmp_path: Path) -> None:
    with module_station(tmp_path) as station:
        (tmp_path / "config/guardrails.yaml").write_text("trial_parts: 3\n")
        good = station.install_tiny(Tiny(version="1.0.0"), "a")
        station.announce(good, "a", "o1")
        station.start_module()
        station.wait(lambda: station.is_ready)

        assert station.judged(flat(0)).verdict is Verdict.PASS
