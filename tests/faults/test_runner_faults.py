"""Runners that die or hang: the part gets no decision in time, and the line recovers by itself."""

import os
import signal
import time
from pathlib import Path

import pytest
from tests.integration.judge_station import JudgeStation, flat, is_alive, judge_station
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection import control
from taktgate.inspection.control import Happening, Load


def pid_of(station: JudgeStation, digest: str) -> int:
    station.wait(lambda: station.runner_pid(digest) is not None)
    pid = station.runner_pid(digest)
    assert pid is not None
    return pid


def wait_for_another(station: JudgeStation, digest: str, pid: int) -> None:
    """Wait until another process than *pid* serves the model."""
    station.wait(lambda: station.runner_pid(digest) not in (None, pid))
    station.wait(lambda: station.is_ready)


def test_a_runner_killed_in_mid_run_costs_its_part_and_is_replaced(tmp_path: Path) -> None:
    with judge_station(tmp_path, deadline_ms=5000) as station:
        model = station.install_tiny(Tiny(slow_steps=25), "a", confirmed=True)
        station.start_ready()
        pid = pid_of(station, model.digest)
        trigger_id = station.part(flat(0))
        time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        station.wait(lambda: station.verdict(trigger_id) is not None)
        verdict = station.verdict(trigger_id)
        assert verdict is not None
        assert (verdict.verdict, verdict.reason) == (Verdict.NO_DECISION, Reason.MODEL_ERROR)
        assert time.monotonic() - killed < 0.5, "the judge does not wait for the deadline"

        wait_for_another(station, model.digest, pid)
        assert station.judged(flat(0)).verdict is Verdict.PASS


def test_an_idle_runner_that_dies_is_replaced_without_a_part_lost_before(tmp_path: Path) -> None:
    with judge_station(tmp_path) as station:
        model = station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        pid = pid_of(station, model.digest)
        os.kill(pid, signal.SIGKILL)
        station.wait(lambda: not station.is_ready)
        assert station.judged(flat(0)).reason is Reason.NOT_READY
        wait_for_another(station, model.digest, pid)

        assert station.judged(flat(0)).verdict is Verdict.PASS
        assert len(station.happened(Happening.DIED)) == 1


def test_a_stopped_runner_times_out_at_the_decision_deadline_and_is_killed(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        model = station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        pid = pid_of(station, model.digest)
        os.kill(pid, signal.SIGSTOP)
        verdict = station.judged(flat(0))
        assert (verdict.verdict, verdict.reason) == (Verdict.NO_DECISION, Reason.TIMEOUT)
        overshoot_ns = verdict.decided_ns - (verdict.deadline_ns - 50 * MILLISECOND)
        assert 0 <= overshoot_ns < 30 * MILLISECOND

        wait_for_another(station, model.digest, pid)
        assert station.happened(Happening.KILLED)
        assert not is_alive(pid)
        assert station.judged(flat(0)).verdict is Verdict.PASS


def test_a_model_that_is_too_slow_is_late_every_time_and_never_passes(tmp_path: Path) -> None:
    with judge_station(tmp_path, deadline_ms=120) as station:
        station.install_tiny(Tiny(slow_steps=20), "a", confirmed=True)
        station.start_ready()
        for _ in range(3):
            assert station.judged(flat(0)).reason in (Reason.TIMEOUT, Reason.NOT_READY)
            station.wait_for_quiet(0.2)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_runner_outlives_its_judge(tmp_path: Path, number: signal.Signals) -> None:
    with judge_station(tmp_path) as station:
        model = station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        pid = pid_of(station, model.digest)
        assert station.process is not None
        station.process.send_signal(number)
        station.process.wait(timeout=5)

        end = time.monotonic() + 3
        while is_alive(pid) and time.monotonic() < end:
            time.sleep(0.02)
        assert not is_alive(pid)


def test_a_candidate_that_dies_while_loading_is_given_up_and_the_line_goes_on(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        live = station.install_tiny(Tiny(), "a", confirmed=True)
        other = station.install_tiny(Tiny(version="2.0.0"), "b")
        station.start_ready()
        station.command(control.KIND_LOAD, Load(slot="b", digest=other.digest, golden=True))
        killed: set[int] = set()

        def kill_and_look() -> bool:
            for model in () if station.heard.status is None else station.heard.status.models:
                if model.digest == other.digest and model.pid and model.pid not in killed:
                    killed.add(model.pid)
                    os.kill(model.pid, signal.SIGKILL)
            return bool(station.happened(Happening.REFUSED))

        station.wait(kill_and_look)
        (event,) = station.happened(Happening.REFUSED)
        assert (event.digest, event.reason) == (other.digest, "DIED")
        assert station.judged(flat(0)).model == live
