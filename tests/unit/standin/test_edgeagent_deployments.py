"""edgeAgent and a deployment: status codes, order of steps, update modes, retries."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.standin.edgeagent_bench import (
    AgentBench,
    broken,
    forward,
    pulls,
    run,
    version,
    wanted,
)

GOOD = {"a": wanted("a:1")}


@pytest.mark.azure(
    "edgeAgent",
    "A device without a deployment reports status 417",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/Agent.cs",
)
def test_device_without_a_deployment_reports_417(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        await bench.settle()
        code, text = bench.status
        assert code == 417
        assert "empty configuration" in text
        assert bench.runtime.done == []

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A deployment that is carried out reports status 200 and its version",
    source="learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub",
)
def test_deployment_that_is_carried_out_reports_200(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        assert bench.status == (200, "")
        assert bench.reported["lastDesiredVersion"] == version(bench)
        assert bench.module("a")["runtimeStatus"] == "running"

    run(tmp_path, job)


@pytest.mark.parametrize(
    ("desired", "code", "text"),
    [
        pytest.param(
            broken(status="sometimes"),
            400,
            "modules.a.status 'sometimes'; rule",
            marks=pytest.mark.azure(
                "edgeAgent",
                "A deployment that breaks the schema reports status 400 and changes nothing",
                source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.IoTHub/"
                "EdgeAgentConnection.cs",
            ),
        ),
        (broken(status=None), 400, "modules.a.status None; rule"),
        (broken(restartPolicy="often"), 400, "modules.a.restartPolicy 'often'; rule"),
        (broken(imagePullPolicy="daily"), 400, "modules.a.imagePullPolicy 'daily'; rule"),
        (
            broken(settings={"image": "a:1", "createOptions": '{"HostConfig": []}'}),
            400,
            "createOptions.HostConfig; rule: an object",
        ),
        (broken(settings={}), 400, "modules.a.settings.image; rule"),
        ({"schemaVersion": "1.1", "modules": []}, 400, "modules; rule: an object"),
        (
            {"schemaVersion": "1.1", "runtime": {"type": "snap"}},
            400,
            "runtime.type 'snap'; rule: docker",
        ),
        (
            {"schemaVersion": "1.1", "systemModules": {"edgeHub": {"type": "docker"}}},
            400,
            "systemModules.edgeHub.settings.image; rule",
        ),
        (
            {
                "schemaVersion": "1.1",
                "systemModules": {
                    "edgeAgent": wanted("i", env={"ModuleUpdateMode": {"value": "Rush"}})
                },
            },
            400,
            "ModuleUpdateMode 'Rush'; rule: NonBlocking or WaitForAllPulls",
        ),
        (
            {
                "schemaVersion": "1.1",
                "systemModules": {
                    "edgeAgent": wanted("i", env={"MaxRestartCount": {"value": "0"}})
                },
            },
            400,
            "MaxRestartCount '0'; rule",
        ),
        pytest.param(
            {"schemaVersion": "2.0", "modules": {}},
            412,
            "schemaVersion '2.0'; rule: 1.0 or 1.1",
            marks=pytest.mark.azure(
                "edgeAgent",
                "A deployment of another major schema version reports status 412",
                source="Azure/iotedge edge-util/src/Microsoft.Azure.Devices.Edge.Util/"
                "SchemaVersionHelper.cs",
            ),
        ),
        ({"schemaVersion": 1.1}, 412, "schemaVersion 1.1; rule"),
        ({"schemaVersion": "one"}, 412, "schemaVersion 'one'; rule"),
    ],
)
def test_refused_deployment_changes_nothing(
    tmp_path: Path, desired: dict[str, Any], code: int, text: str
) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        good, done = version(bench), list(bench.runtime.done)
        bench.deploy_raw(desired)
        await bench.settle()
        assert (bench.status[0], text in bench.status[1]) == (code, True), bench.status
        assert bench.reported["lastDesiredVersion"] == good
        assert bench.runtime.done == done
        assert bench.module("a")["runtimeStatus"] == "running"

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "Another minor schema version is let through",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.IoTHub/"
    "EdgeAgentConnection.cs",
)
def test_another_minor_schema_version_is_let_through(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy_raw({"schemaVersion": "1.7", "modules": GOOD})
        await bench.settle()
        assert bench.status == (200, "")

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A module whose image cannot be pulled fails its own step only: status 500",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/planrunners/"
    "OrdererdRetryPlanRunner.cs",
)
def test_failed_pull_is_500_and_the_other_modules_go_on(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:9"), "b": wanted("b:1")})
        await bench.settle()
        code, text = bench.status
        assert code == 500
        assert "Could not pull image a:9" in text
        assert bench.reported["lastDesiredVersion"] == version(bench)
        assert list(bench.reported["modules"]) == ["b"]

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "An update whose image cannot be pulled leaves the old module running",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Edgelet/"
    "commandfactories/StandardCommandFactory.cs",
)
def test_failed_pull_of_an_update_leaves_the_old_module_running(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        bench.deploy({"a": wanted("a:9")})
        await bench.settle()
        assert bench.status[0] == 500
        assert bench.module("a")["settings"]["image"] == "a:1"
        assert bench.module("a")["runtimeStatus"] == "running"

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A failed step waits twice as long each time; meanwhile the status is 406",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/Agent.cs",
)
def test_failed_step_is_tried_again_later(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:9")})
        await bench.settle()
        assert pulls(bench) == 1
        await forward(bench, 10)
        assert (pulls(bench), bench.status[0]) == (1, 406)
        bench.runtime.registry.add("a:9")
        await forward(bench, 15)
        assert (pulls(bench), bench.status[0]) == (2, 200)

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A step that failed MaxRestartCount times is not tried again in this deployment",
    source="Azure/iotedge#6971",
)
def test_step_that_failed_too_often_waits_for_another_deployment(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        limits = {"MaxRestartCount": "2"}
        bench.deploy({"a": wanted("a:9")}, env=limits)
        await forward(bench, 60)
        assert (pulls(bench), bench.status[0]) == (2, 406)
        bench.runtime.registry.add("a:9")
        await forward(bench, 3600)
        assert pulls(bench) == 2
        bench.deploy({"a": wanted("a:9"), "b": wanted("b:1")}, env=limits)
        await bench.settle()
        assert bench.runtime.done.count("pull a:9") == 3
        assert bench.status[0] == 200

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A module that may never pull fails without its image, and does with it",
    source="learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub",
)
def test_policy_never_pulls_nothing(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1", imagePullPolicy="never")})
        await bench.settle()
        assert bench.status == (500, "One or more errors occurred. (No such image: a:1)")
        bench.runtime.local.add("a:1")
        await forward(bench, 25)
        assert bench.status[0] == 200
        assert pulls(bench) == 0

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "Modules are attempted in startupOrder",
    source="learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub",
)
def test_modules_are_attempted_in_startup_order(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1"), "b": wanted("b:1", startupOrder=3)})
        await bench.settle()
        starts = [each for each in bench.runtime.done if each.startswith("create")]
        assert starts == ["create b", "create a"]

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "NonBlocking: each module changes as soon as its own image is there",
    source="learn.microsoft.com/azure/iot-edge/production-checklist",
)
def test_non_blocking_changes_module_by_module(tmp_path: Path) -> None:
    order = update_of_two(tmp_path, mode="NonBlocking")
    assert order == ["pull a:2", "stop a", "create a", "pull b:2", "stop b", "create b"]


@pytest.mark.azure(
    "edgeAgent",
    "WaitForAllPulls: no module is stopped before all images are there",
    source="Azure/iotedge doc/EnvironmentVariables.md",
)
def test_wait_for_all_pulls_stops_nothing_before_all_images_are_there(tmp_path: Path) -> None:
    order = update_of_two(tmp_path, mode="WaitForAllPulls")
    assert order == ["pull a:2", "pull b:2", "stop a", "create a", "stop b", "create b"]


@pytest.mark.azure(
    "edgeAgent",
    "WaitForAllPulls: one failed pull keeps all modules as they are",
    source="Azure/iotedge#6508",
)
def test_wait_for_all_pulls_changes_nothing_after_a_failed_pull(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        mode = {"ModuleUpdateMode": "WaitForAllPulls"}
        bench.deploy({"a": wanted("a:1"), "b": wanted("b:1")}, env=mode)
        await bench.settle()
        bench.deploy({"a": wanted("a:2"), "b": wanted("b:9")}, env=mode)
        await bench.settle()
        assert bench.status[0] == 500
        images = [bench.module(name)["settings"]["image"] for name in ("a", "b")]
        assert images == ["a:1", "b:1"]

    run(tmp_path, job)


def update_of_two(tmp_path: Path, *, mode: str) -> list[str]:
    async def job(bench: AgentBench) -> None:
        env = {"ModuleUpdateMode": mode}
        bench.deploy({"a": wanted("a:1", startupOrder=1), "b": wanted("b:1")}, env=env)
        await bench.settle()
        bench.runtime.done.clear()
        bench.deploy({"a": wanted("a:2", startupOrder=1), "b": wanted("b:2")}, env=env)
        await bench.settle()
        order.extend(each for each in bench.runtime.done if each.split()[0] in telling)

    order: list[str] = []
    telling = {"pull", "stop", "create"}
    run(tmp_path, job)
    return order


def test_slow_pull_delays_only_images_that_are_not_there(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.agent.quirks.turn_on("slow-pull", 60)
        bench.deploy(GOOD)
        await forward(bench, 50)
        assert pulls(bench) == 0
        await forward(bench, 20)
        assert bench.module("a")["runtimeStatus"] == "running"
        bench.deploy({"a": wanted("a:1", env={"NEW": {"value": "1"}})})
        await bench.settle()
        assert pulls(bench) == 2

    run(tmp_path, job)


def test_failed_pull_by_quirk_is_repaired_by_the_next_attempt(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.agent.quirks.turn_on("fail-pull", 1)
        bench.deploy(GOOD)
        await bench.settle()
        assert bench.status[0] == 500
        await forward(bench, 25)
        assert bench.status[0] == 200

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "A change of status alone starts or stops a module; any other field makes it anew",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/DockerModule.cs",
)
@pytest.mark.parametrize(
    ("change", "makes_anew"),
    [
        ({}, False),
        ({"status": "stopped"}, False),
        ({"version": "2"}, True),
        ({"restartPolicy": "never"}, True),
        ({"imagePullPolicy": "never"}, True),
        ({"startupOrder": 7}, True),
        ({"env": {"A": {"value": "1"}}}, True),
        ({"settings": {"image": "a:2"}}, True),
        ({"settings": {"image": "a:1", "createOptions": '{"User": "1"}'}}, True),
    ],
)
def test_only_a_field_that_matters_makes_a_module_anew(
    tmp_path: Path, change: dict[str, Any], makes_anew: bool
) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy(GOOD)
        await bench.settle()
        bench.runtime.done.clear()
        bench.deploy({"a": wanted("a:1", **change)})
        await bench.settle()
        assert ("create a" in bench.runtime.done) is makes_anew

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "The identity of a module that the deployment lists no more is given back, at a stop it is not",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.IoTHub/"
    "ModuleIdentityLifecycleManager.cs",
)
def test_module_that_is_listed_no_more_gives_its_identity_back(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({**GOOD, "b": wanted("b:1")})
        await bench.settle()
        bench.deploy(GOOD)
        await bench.settle()
        assert bench.identities.released == ["b"]
        await bench.agent.stop()
        assert bench.identities.released == ["b"]

    run(tmp_path, job)
