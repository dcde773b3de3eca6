"""Runners that die, hang or dawdle: a part gets no decision in time, and the next one is judged."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from tests.integration.judge_station import (
    JudgeStation,
    children,
    flat,
    is_alive,
    judge_station,
    offspring,
)
from tests.integration.tiny_bundles import Tiny
from tests.waiting import WITHIN_S, wait_until

from taktgate.contracts.codec import encode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection import control
from taktgate.inspection.activation_file import PROVEN
from taktgate.inspection.control import Drop, Happening, Load, LoadedModel, Proof, RunnerState
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.runner.onnx_session import CPU, RUNTIME_VERSION

ALONE = "judge: {standby: false}\n"
NEXT = Tiny(version="2.0.0", gain=9.0)
RESERVE_NS, HELD_UP_NS = 1000 * MILLISECOND, 100 * MILLISECOND
"""From the decision deadline to the PLC's; and what a busy machine may take of it."""
A_RUN_BEGUN_S = 0.025
"""Of processor time: a tenth of the slow run, and far more than a runner needs that waits."""
NO_LINE = "no line state from the PLC writer"
"""What a test that is held up itself makes a judge say."""


def install(station: JudgeStation, tiny: Tiny) -> ModelRef:
    """Put a model into the station that is confirmed and proven: its start needs no probe."""
    model = station.install_tiny(tiny, "a", confirmed=True)
    fingerprint = runtime_fingerprint(runtime_version=RUNTIME_VERSION, provider=CPU)
    proof = Proof(digest=model.digest, fingerprint=fingerprint)
    (station.folder / "state" / PROVEN).write_bytes(encode(proof))
    return model


def loaded(station: JudgeStation, digest: str) -> LoadedModel | None:
    status = station.heard.status
    models = () if status is None else status.models
    return next((model for model in models if model.digest == digest), None)


def pid_of(station: JudgeStation, digest: str) -> int:
    station.wait(lambda: station.runner_pid(digest) is not None)
    pid = station.runner_pid(digest)
    assert pid is not None
    return pid


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used."""
    used = psutil.Process(pid).cpu_times()
    return used.user + used.system


def wait_for_standby(station: JudgeStation, digest: str) -> int:
    """Wait until the model's standby is warm; return its process id."""

    def standby_pid() -> int | None:
        model = loaded(station, digest)
        is_warm = model is not None and model.standby is RunnerState.READY
        return model.standby_pid if model is not None and is_warm else None

    station.wait(lambda: standby_pid() is not None)  # it loads at idle priority
    pid = standby_pid()
    assert pid is not None
    return pid


def wait_for_another(station: JudgeStation, digest: str, pid: int) -> None:
    """Wait until another process than *pid* serves the model."""
    station.wait(lambda: station.runner_pid(digest) not in (None, pid))
    station.wait(lambda: station.is_ready)


def test_a_runner_killed_in_mid_run_costs_its_part_alone(tmp_path: Path) -> None:
    with judge_station(tmp_path, deadline_ms=9000) as station:
        model = install(station, Tiny(slow_steps=24))
        station.start_ready()
        pid, standby = pid_of(station, model.digest), wait_for_standby(station, model.digest)
        before_s = cpu_s(pid)
        trigger_id = station.part(flat(0))
        wait_until(lambda: cpu_s(pid) > before_s + A_RUN_BEGUN_S)
        os.kill(pid, signal.SIGKILL)
        station.wait(lambda: station.verdict(trigger_id) is not None)
        verdict = station.verdict(trigger_id)
        assert verdict is not None
        assert (verdict.verdict, verdict.reason) == (Verdict.NO_DECISION, Reason.MODEL_ERROR)
        assert verdict.decided_ns < verdict.deadline_ns - 3 * SECOND, "it does not wait for it"

        assert station.judged(flat(0)).verdict is Verdict.PASS, "by the standby, with no pause"
        station.wait(lambda: station.runner_pid(model.digest) == standby)


def test_an_idle_runner_that_dies_costs_no_part_and_a_new_standby_is_loaded(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        model = install(station, Tiny())
        station.start_ready()
        pid, standby = pid_of(station, model.digest), wait_for_standby(station, model.digest)
        os.kill(pid, signal.SIGKILL)
        station.wait(lambda: bool(station.happened(Happening.DIED)))
        assert station.judged(flat(0)).verdict is Verdict.PASS
        assert station.runner_pid(model.digest) == standby

        station.wait(lambda: wait_for_standby(station, model.digest) not in (pid, standby))
        assert not is_alive(pid)
        reasons = {beat.reason for beat in station.heard.beats if beat.model == model}
        assert reasons <= {"", NO_LINE}


def test_without_a_standby_a_runner_that_dies_is_started_anew(tmp_path: Path) -> None:
    with judge_station(tmp_path, settings=ALONE) as station:
        model = install(station, Tiny())
        station.start_ready()
        pid = pid_of(station, model.digest)
        assert station.process is not None
        (spawner,) = children(station.process.pid)
        os.kill(spawner, signal.SIGSTOP)  # the next one shall not be up before the part comes
        os.kill(pid, signal.SIGKILL)
        station.wait(lambda: bool(station.happened(Happening.DIED)))
        assert station.judged(flat(0)).reason is Reason.NOT_READY
        os.kill(spawner, signal.SIGCONT)
        wait_for_another(station, model.digest, pid)

        assert station.judged(flat(0)).verdict is Verdict.PASS
        assert len(station.happened(Happening.DIED)) == 1


def test_a_stopped_runner_times_out_at_the_decision_deadline_and_is_relieved(
    tmp_path: Path,
) -> None:
    reserve = f"judge: {{decision_reserve_ms: {RESERVE_NS // MILLISECOND}}}\n"
    with judge_station(tmp_path, settings=reserve) as station:
        model = install(station, Tiny())
        station.start_ready()
        pid, standby = pid_of(station, model.digest), wait_for_standby(station, model.digest)
        os.kill(pid, signal.SIGSTOP)
        verdict = station.judged(flat(0))
        assert (verdict.verdict, verdict.reason) == (Verdict.NO_DECISION, Reason.TIMEOUT)
        overshoot_ns = verdict.decided_ns - (verdict.deadline_ns - RESERVE_NS)
        assert 0 <= overshoot_ns < HELD_UP_NS

        station.wait(lambda: bool(station.happened(Happening.KILLED)))
        assert station.judged(flat(0)).verdict is Verdict.PASS
        assert station.runner_pid(model.digest) == standby
        station.wait(lambda: not is_alive(pid))


def test_a_model_that_is_too_slow_is_ended_in_time_every_time_and_its_runner_lives_on(
    tmp_path: Path,
) -> None:
    """Its run would go on until far beyond the moment at which a hanging runner is killed."""
    with judge_station(tmp_path, deadline_ms=300, settings=ALONE) as station:
        model = install(station, Tiny(slow_steps=60))
        station.start_ready()
        pid = pid_of(station, model.digest)
        for _ in range(3):
            assert station.judged(flat(0)).reason is Reason.TIMEOUT
            station.wait_for_quiet(0.2)

        assert station.runner_pid(model.digest) == pid
        assert not station.happened(Happening.KILLED)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_runner_outlives_its_judge(tmp_path: Path, number: signal.Signals) -> None:
    with judge_station(tmp_path) as station:
        model = install(station, Tiny())
        station.start_ready()
        runners = {pid_of(station, model.digest), wait_for_standby(station, model.digest)}
        assert station.process is not None
        pids = offspring(station.process.pid)
        assert runners < set(pids), "they, and the spawner"
        station.process.send_signal(number)
        station.process.wait(timeout=WITHIN_S)
        wait_until(lambda: not any(map(is_alive, pids)))


def test_a_candidate_that_dies_while_loading_is_given_up_and_the_line_goes_on(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        live = install(station, Tiny())
        other = station.install_tiny(replace(NEXT, slow_steps=8), "b")  # loading takes a while
        station.start_ready()
        station.command(control.KIND_LOAD, Load(slot="b", digest=other.digest, golden=True))
        killed: set[int] = set()

        def kill_and_look() -> bool:
            model = loaded(station, other.digest)
            if model is not None and model.pid and model.pid not in killed:
                killed.add(model.pid)
                os.kill(model.pid, signal.SIGKILL)
            return bool(station.happened(Happening.REFUSED))

        station.wait(kill_and_look)
        (event,) = station.happened(Happening.REFUSED)
        assert (event.digest, event.reason) == (other.digest, "DIED")
        assert station.judged(flat(0)).model == live


def test_a_candidate_is_proven_between_parts_and_refused_when_it_is_too_slow_here(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        live = install(station, Tiny())
        good, slow = station.install_tiny(NEXT, "b"), station.install_tiny(Tiny(version="3"), "c")
        station.start_ready()
        pid = pid_of(station, live.digest)
        station.command(control.KIND_LOAD, Load(slot="b", digest=good.digest, golden=True))
        while station.runner_pid(good.digest) is None:
            assert station.judged(flat(0)).verdict is Verdict.PASS
            station.wait_for_quiet(0.13)
        ready = station.ready_of(good.digest)
        assert (ready.probe_runs, ready.golden_images) == (20, 10)

        order = Load(slot="c", digest=slow.digest, golden=True, probe_limit_ms=0.001)
        station.command(control.KIND_LOAD, order)
        station.wait(lambda: bool(station.happened(Happening.REFUSED)))
        (event,) = station.happened(Happening.REFUSED)
        assert event.reason == "TOO_SLOW"
        assert "p99" in event.message
        assert station.judged(flat(0)).model == live
        assert station.runner_pid(live.digest) == pid


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_models_that_come_and_go_leave_no_process_and_no_descriptor_behind(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        live = install(station, Tiny())
        other = station.install_tiny(NEXT, "b")
        station.start_ready()
        pids = {pid_of(station, live.digest), wait_for_standby(station, live.digest)}
        assert station.process is not None
        judge = station.process.pid
        (spawner,) = children(judge)
        before = [descriptors(judge), descriptors(spawner)]
        for is_awaited in (False, True, False):
            station.command(control.KIND_LOAD, Load(slot="b", digest=other.digest, golden=False))
            if is_awaited:
                pid_of(station, other.digest)
            station.wait_for_quiet(0.1)
            station.command(control.KIND_DROP, Drop(digest=other.digest))
            station.wait(lambda: loaded(station, other.digest) is None)

        station.wait(lambda: {*offspring(judge)} == {*pids, spawner})
        station.wait(lambda: [descriptors(judge), descriptors(spawner)] == before)
