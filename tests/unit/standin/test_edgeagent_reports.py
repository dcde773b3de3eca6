"""What edgeAgent reports, what it keeps over a restart, and how it ends."""

import json
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.standin.edgeagent_bench import (
    AGENT,
    DEVICE,
    AgentBench,
    broken,
    forward,
    run,
    turn_over,
    wanted,
)

from taktgate.standin.azure.edgeagent.deployment.backup import DeploymentBackup, VersionedDeployment
from taktgate.standin.azure.edgeagent.manifest import parse_deployment

GOOD = {"a": wanted("a:1")}


@pytest.mark.azure(
    "edgeAgent",
    "A module that is not in the deployment any more is removed and reported as null",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.IoTHub/reporters/"
    "IoTHubReporter.cs",
)
def test_removed_module_leaves_the_report(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({**GOOD, "b": wanted("b:1")})
        await bench.settle()
        bench.deploy(GOOD)
        await bench.settle()
        assert list(bench.reported["modules"]) == ["a"]
        assert bench.identities.open == {"a"}

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "Started offline, edgeAgent runs the last good deployment from its backup",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/configsources/"
    "FileBackupConfigSource.cs",
)
def test_offline_start_runs_the_last_good_deployment(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        bench.deploy_raw(broken(status="sometimes"))
        await bench.settle()
        await bench.agent.stop()
        bench.link.set_online(False)
        bench.runtime.registry.clear()
        second = bench.new_agent()
        await second.start()
        await bench.settle()
        assert second.modules["a"].status == "running"
        bench.link.set_online(True)
        await bench.settle()
        assert bench.status[0] == 400
        assert bench.module("a")["runtimeStatus"] == "running"
        await second.stop()

    run(tmp_path, job)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 1, "desired": {}}']
)
def test_unreadable_backup_is_no_deployment(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "backup.json").write_bytes(content)
    assert DeploymentBackup(tmp_path).load() is None


def test_backup_gives_back_what_was_saved(tmp_path: Path) -> None:
    desired = {"schemaVersion": "1.1", "modules": GOOD}
    config = VersionedDeployment(version=7, desired=desired, deployment=parse_deployment(desired))
    DeploymentBackup(tmp_path).save(config)
    assert DeploymentBackup(tmp_path).load() == config


def test_disk_that_refuses_the_backup_costs_only_the_backup(tmp_path: Path) -> None:
    (tmp_path / "agent").write_text("no directory")

    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        assert bench.status == (200, "")

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "An edgeAgent that ends reports status 406 and its modules as unknown",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/Agent.cs",
)
def test_edgeagent_that_ends_says_so(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()

    bench = run(tmp_path, job)
    assert bench.status == (406, "Agent is not running")
    assert bench.module("a")["runtimeStatus"] == "unknown"


@pytest.mark.azure(
    "edgeAgent",
    "Reported properties have the fields of edgeAgent's schema",
    source="learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub",
)
def test_reported_properties_have_all_fields(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        options = json.dumps({"Env": ["X=" + "y" * 600]})
        settings = {"image": "a:1", "createOptions": options}
        env = {"A": {"value": "1"}}
        bench.deploy({"a": wanted("a:1", settings=settings, env=env, version="1.2")})
        await bench.settle()
        found = bench.module("a")
        chunks = found["settings"].pop("createOptions"), found["settings"].pop("createOptions01")
        assert json.loads("".join(chunks)) == json.loads(options)
        assert len(chunks[0]) == 512
        assert found == {
            "type": "docker",
            "version": "1.2",
            "status": "running",
            "restartPolicy": "always",
            "imagePullPolicy": "on-create",
            "startupOrder": 4294967295,
            "settings": {"image": "a:1", "imageHash": "sha256:1"},
            "env": env,
            "runtimeStatus": "running",
            "statusDescription": "running",
            "exitCode": 0,
            "lastStartTimeUtc": "2026-01-01T00:00:00Z",
            "lastExitTimeUtc": "0001-01-01T00:00:00Z",
            "restartCount": 0,
            "lastRestartTimeUtc": "0001-01-01T00:00:00Z",
        }
        assert bench.reported["runtime"] == {
            "type": "docker",
            "settings": {"minDockerVersion": "v1.25", "loggingOptions": ""},
            "platform": {"os": "linux", "architecture": "x86_64", "version": "24.0.7"},
        }
        agent = bench.reported["systemModules"]["edgeAgent"]
        assert agent["settings"]["image"] == "agent:1.6"
        assert agent["runtimeStatus"] == "running"
        assert bench.reported["schemaVersion"] == "1.0"

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "Only what has changed is reported, and nothing while offline",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.IoTHub/reporters/"
    "IoTHubReporter.cs",
)
def test_only_changes_are_reported(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({**GOOD, "b": wanted("b:1")})
        await bench.settle()
        before = bench.hub.identity(DEVICE, AGENT).reported_version
        await forward(bench, 60)
        assert bench.hub.identity(DEVICE, AGENT).reported_version == before
        bench.link.set_online(False)
        bench.runtime.end("a", 3)
        await bench.settle()
        assert bench.module("a")["runtimeStatus"] == "running"
        bench.link.set_online(True)
        await bench.settle()
        assert bench.module("a")["runtimeStatus"] == "backoff"
        assert bench.module("a")["exitCode"] == 3

    run(tmp_path, job)


def test_report_that_breaks_a_limit_says_at_least_that(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        env = {"A": {"value": "x" * 400}}
        bench.deploy({f"a{number}": wanted("a:1", env=env) for number in range(45)})
        await bench.settle()
        assert bench.status[0] == 500
        assert "rule: at most 32768" in bench.status[1]
        assert bench.agent.modules["a1"].status == "running"

    run(tmp_path, job)


def test_reports_keep_their_distance(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await turn_over()
        assert bench.reported == {}
        bench.clock.advance(timedelta(seconds=1).total_seconds())
        await turn_over()
        assert bench.reported["modules"]

    run(tmp_path, job)


@pytest.mark.parametrize(
    ("ended_with", "reported"), [(-signal.SIGKILL, 137), (-signal.SIGTERM, 143), (3, 3)]
)
def test_end_by_a_signal_is_reported_as_docker_says_it(
    tmp_path: Path, ended_with: int, reported: int
) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        bench.runtime.end("a", ended_with)
        await bench.settle()
        assert bench.module("a")["exitCode"] == reported

    run(tmp_path, job)
