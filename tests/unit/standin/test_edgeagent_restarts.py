"""A module under edgeAgent: when it is started again, how late, how often, and what is reported."""

from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.standin.edgeagent_bench import AgentBench, run, turn_over, wanted

from taktgate.standin.azure.edgeagent.deployment.retries import StepRetries
from taktgate.standin.azure.edgeagent.manifest import RestartPolicy
from taktgate.standin.azure.edgeagent.module_status import (
    TRANSITIONS,
    IllegalTurnError,
    RuntimeStatus,
    Turn,
    advance,
)
from taktgate.standin.azure.edgeagent.restart_policy import BackOff, status_after_exit

SOURCE = "Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/"


@pytest.mark.parametrize(("status", "turn"), list(product(RuntimeStatus, Turn)))
def test_every_turn_is_in_the_table_or_refused(status: RuntimeStatus, turn: Turn) -> None:
    if (status, turn) in TRANSITIONS:
        assert advance(status, turn) is TRANSITIONS[status, turn]
    else:
        with pytest.raises(IllegalTurnError, match=f"{turn} while {status}"):
            advance(status, turn)


def test_unknown_is_nothing_that_a_module_becomes() -> None:
    assert RuntimeStatus.UNKNOWN not in TRANSITIONS.values()


@given(
    policy=st.sampled_from(RestartPolicy),
    exit_code=st.integers(-64, 255),
    restarts=st.integers(0, 40),
)
def test_a_module_backs_off_only_below_the_limit_and_never_against_its_policy(
    policy: RestartPolicy, exit_code: int, restarts: int
) -> None:
    status = status_after_exit(policy, exit_code=exit_code, restarts=restarts, max_restarts=20)
    if status is RuntimeStatus.BACKOFF:
        assert restarts < 20
        assert policy is RestartPolicy.ALWAYS or (
            exit_code != 0 and policy is not RestartPolicy.NEVER
        )
    else:
        assert status in (RuntimeStatus.STOPPED, RuntimeStatus.FAILED)


@pytest.mark.azure(
    "edgeAgent",
    "always restarts after any end; on-failure and on-unhealthy after a failure; never not at all",
    source="learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub",
)
@pytest.mark.parametrize(
    ("policy", "exit_code", "then"),
    [
        ("always", 0, "backoff"),
        ("always", 1, "backoff"),
        ("on-failure", 0, "stopped"),
        ("on-failure", 1, "backoff"),
        ("on-unhealthy", 0, "stopped"),
        ("on-unhealthy", 1, "backoff"),
        ("never", 0, "stopped"),
        ("never", 1, "failed"),
    ],
)
def test_policy_decides_what_an_end_means(
    tmp_path: Path, policy: str, exit_code: int, then: str
) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1", restartPolicy=policy)})
        await bench.settle()
        bench.runtime.end("a", exit_code)
        await bench.settle()
        assert (bench.module("a")["runtimeStatus"], bench.module("a")["exitCode"]) == (
            then,
            exit_code,
        )

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "Restarts come 10 s * 2^n after the end, at most 300 s",
    source=SOURCE + "RestartPolicyManager.cs",
)
def test_restarts_come_later_each_time(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        waits = []
        for _ in range(7):
            waits.append(await wait_for_next_run(bench))
        assert waits == [10, 20, 40, 80, 160, 300, 300]
        await bench.settle()
        assert bench.module("a")["restartCount"] == 7

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "After 20 restarts a module has failed",
    source=SOURCE + "RestartPolicyManager.cs",
)
def test_module_is_given_up_after_twenty_restarts(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")}, env={"CoolOffTimeUnitInSeconds": "0"})
        await bench.settle()
        for _ in range(20):
            await wait_for_next_run(bench)
        bench.runtime.end("a", 1)
        await bench.settle()
        assert bench.module("a")["runtimeStatus"] == "failed"
        assert bench.module("a")["restartCount"] == 20

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A module that has run for 10 minutes has a clean record",
    source=SOURCE + "planners/HealthRestartPlanner.cs",
)
def test_ten_good_minutes_clear_the_record(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        await wait_for_next_run(bench)
        await bench.settle(580)
        assert bench.module("a")["restartCount"] == 1
        await bench.settle(30)
        await bench.settle()
        assert bench.module("a")["restartCount"] == 0
        assert bench.module("a")["lastRestartTimeUtc"] == "0001-01-01T00:00:00Z"
        assert await wait_for_next_run(bench) == 10

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "CoolOffTimeUnitInSeconds, MaxRestartCount and IntensiveCareTimeInMinutes set the limits",
    source="Azure/iotedge doc/EnvironmentVariables.md",
)
def test_limits_come_from_edgeagents_environment(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(
            {"a": wanted("a:1")},
            env={
                "CoolOffTimeUnitInSeconds": "3",
                "MaxRestartCount": "2",
                "IntensiveCareTimeInMinutes": "1",
            },
        )
        await bench.settle()
        assert await wait_for_next_run(bench) == 3
        await bench.settle(61)
        assert [await wait_for_next_run(bench), await wait_for_next_run(bench)] == [3, 6]
        bench.runtime.end("a", 1)
        await bench.settle()
        assert bench.module("a")["runtimeStatus"] == "failed"

    run(tmp_path, job)


def test_module_that_waits_to_be_started_again_can_be_stopped(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        bench.runtime.end("a", 1)
        await bench.settle()
        bench.deploy({"a": wanted("a:1", status="stopped")})
        await bench.settle(600)
        assert bench.runtime.containers["a"].runs == 1
        assert bench.module("a")["runtimeStatus"] == "stopped"
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        assert bench.module("a")["runtimeStatus"] == "running"
        assert bench.module("a")["restartCount"] == 0

    run(tmp_path, job)


def test_module_that_is_removed_while_it_restarts_stays_removed(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        module = bench.agent.modules["a"]
        bench.deploy({})
        await bench.settle()
        await module.restart()
        await bench.settle()
        assert not module.is_supervised
        assert bench.runtime.containers == {}

    run(tmp_path, job)


def test_module_lost_from_sight_is_started_again_when_the_engine_is_back(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        bench.runtime.is_gone = True
        bench.runtime.end("a", 0)
        await bench.settle()
        assert (bench.module("a")["runtimeStatus"], bench.module("a")["exitCode"]) == (
            "backoff",
            255,
        )
        bench.runtime.is_gone = False
        await bench.settle(30)
        assert bench.agent.modules["a"].status == "running"

    run(tmp_path, job)


def test_module_that_cannot_be_ended_does_not_keep_edgeagent_from_ending(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1"), "b": wanted("b:1")})
        await bench.settle()
        bench.runtime.is_gone = True

    assert run(tmp_path, job).status[0] == 406


@given(st.lists(st.tuples(st.sampled_from("xy"), st.floats(0, 400)), max_size=30))
def test_a_step_is_never_due_before_its_cool_off(
    attempts: list[tuple[str, float]],
) -> None:
    retries, back_off = StepRetries(), BackOff(max_restarts=5)
    failed: dict[str, list[float]] = {"x": [], "y": []}
    now_s = 0.0
    for key, pause_s in attempts:
        now_s += pause_s
        if not retries.is_due(key, now_s=now_s, back_off=back_off):
            continue
        if failed[key]:
            assert now_s - failed[key][-1] >= back_off.delay_s(len(failed[key]))
        retries.failed(key, now_s=now_s)
        failed[key].append(now_s)
    assert all(len(times) <= 5 for times in failed.values())


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"base_s": -1.0}, "base_s"), ({"base_s": 301.0}, "base_s"), ({"max_restarts": 0}, "max")],
)
def test_back_off_that_makes_no_sense_cannot_be_built(changes: dict[str, float], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        BackOff(**changes)  # type: ignore[arg-type]


async def wait_for_next_run(bench: AgentBench) -> int:
    """End the module and return after how many seconds it runs again."""
    container = bench.runtime.containers["a"]
    runs = container.runs
    bench.runtime.end("a", 1)
    await turn_over()
    for second in range(1, 400):
        bench.clock.advance(1)
        await turn_over()
        if container.runs > runs:
            return second
    raise AssertionError("the module was not started again")
