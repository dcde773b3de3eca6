"""The direct methods of edgeAgent: names, arguments, answers and refusals."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.unit.standin.edgeagent_bench import AgentBench, run, wanted

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgeagent.runtime import LogLine

REQUESTS = "Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/requests/"
V1 = {"schemaVersion": "1.0"}
ITEM = {"items": [{"id": "a"}]}


def answers(tmp_path: Path, *calls: tuple[str, Any]) -> list[MethodResult]:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1"), "b": wanted("b:1", status="stopped")})
        await bench.settle()
        bench.runtime.lines["a"] = [LogLine(stamped_s=1.0, stream="stderr", text="<3> hot\n")]
        results.extend([await bench.agent.invoke(name, payload) for name, payload in calls])

    results: list[MethodResult] = []
    run(tmp_path, job)
    return results


@pytest.mark.azure(
    "edgeAgent",
    "Method names are compared without regard to case",
    source=REQUESTS + "RequestManager.cs",
)
def test_names_are_compared_without_case(tmp_path: Path) -> None:
    found = answers(tmp_path, ("ping", None), ("PING", None), ("restartmodule", {**V1, "id": "a"}))
    assert [each.status for each in found] == [200, 200, 200]


@pytest.mark.azure(
    "edgeAgent",
    "An unknown method gets 400 and the names of those that there are",
    source=REQUESTS + "RequestManager.cs",
)
def test_unknown_method_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    (found,) = answers(tmp_path, ("Reboot", {}))
    assert found.status == 400
    message = found.payload["message"]
    assert message.startswith("Command 'Reboot' not found. The supported commands are - ping,")
    assert "GetModuleLogs" in message


@pytest.mark.azure(
    "edgeAgent",
    "RestartModule restarts a running module; another gets 500 and a message",
    source=REQUESTS + "RestartRequestHandler.cs",
)
@pytest.mark.parametrize(
    ("payload", "status", "message"),
    [
        ({**V1, "id": "a"}, 200, None),
        ({**V1, "id": "x"}, 500, "Module x not found in the current environment"),
        ({**V1, "id": "b"}, 500, "Module b cannot be restarted since it is not running"),
        ({**V1}, 400, "id None; rule: a text"),
        ({"id": "a"}, 400, "schemaVersion None; rule: a text"),
        ({"schemaVersion": "2.0", "id": "a"}, 500, "version 2.0 is not compatible"),
        ({"schemaVersion": "one", "id": "a"}, 500, "version one is not compatible"),
        (None, 400, "Request payload not found"),
        ([], 400, "Error parsing command payload"),
        ("a", 400, "Error parsing command payload"),
    ],
)
def test_restart_module(tmp_path: Path, payload: Any, status: int, message: str | None) -> None:
    (found,) = answers(tmp_path, ("RestartModule", payload))
    assert found.status == status
    assert message is None or message in found.payload["message"]


def test_restart_counts_no_restart_and_starts_once(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1")})
        await bench.settle()
        both: list[Coroutine[Any, Any, MethodResult]] = [
            bench.agent.invoke("RestartModule", {**V1, "id": "a"}) for _ in range(2)
        ]
        await asyncio.gather(*both)
        await bench.settle()
        assert bench.module("a")["runtimeStatus"] == "running"
        assert bench.module("a")["restartCount"] == 0
        assert bench.runtime.containers["a"].runs == 3

    run(tmp_path, job)


@pytest.mark.azure(
    "edgeAgent",
    "GetModuleLogs answers one entry for each module that fits",
    source="learn.microsoft.com/azure/iot-edge/how-to-retrieve-iot-edge-logs",
)
def test_get_module_logs(tmp_path: Path) -> None:
    found, nobody = answers(
        tmp_path,
        ("GetModuleLogs", {**V1, "items": [{"id": "all"}]}),
        ("GetModuleLogs", {**V1, "items": [{"id": "^x$"}]}),
    )
    payloads = {each["id"]: each["payload"] for each in found.payload}
    assert payloads.pop("edgeAgent").startswith("<6> 2026-01-01 00:00:00.000 +00:00 [INF] - ")
    assert payloads == {"a": "<3> hot\n", "b": ""}
    assert (nobody.status, nobody.payload) == (200, [])


def test_edgeagents_own_log_says_what_it_did_and_what_failed(tmp_path: Path) -> None:
    async def job(bench: AgentBench) -> None:
        bench.deploy({"a": wanted("a:1"), "b": wanted("b:9")})
        await bench.settle()
        items = [{"id": "edgeAgent", "filter": {"regex": "module b", "loglevel": 3}}]
        (found,) = (await bench.agent.invoke("GetModuleLogs", {**V1, "items": items})).payload
        assert found["payload"].count("\n") == 1
        assert "Failure when running command Create module b: Could not pull" in found["payload"]

    run(tmp_path, job)


def test_wrong_log_request_is_refused(tmp_path: Path) -> None:
    (found,) = answers(tmp_path, ("GetModuleLogs", {**V1, "items": [{"id": "("}]}))
    assert found.status == 400
    assert "items[0].id" in found.payload["message"]


@pytest.mark.azure(
    "edgeAgent",
    "Uploads begin as tasks whose failure only GetTaskStatus tells",
    source=REQUESTS + "ModuleLogsUploadRequestHandler.cs",
)
@pytest.mark.parametrize("name", ["UploadModuleLogs", "UploadSupportBundle"])
def test_upload_is_a_task_that_fails_here(tmp_path: Path, name: str) -> None:
    async def job(bench: AgentBench) -> None:
        payload = {**V1, **ITEM, "sasUrl": "https://x.example/c?sig=1"}
        begun = (await bench.agent.invoke(name, payload)).payload
        assert (begun["status"], begun["message"]) == ("Running", "")
        query = {**V1, "correlationId": begun["correlationId"]}
        ended = (await bench.agent.invoke("GetTaskStatus", query)).payload
        assert ended["status"] == "Failed"
        assert "the local Azure has no blob storage" in ended["message"]

    run(tmp_path, job)


@pytest.mark.parametrize("name", ["UploadModuleLogs", "UploadSupportBundle"])
def test_upload_without_a_place_is_refused(tmp_path: Path, name: str) -> None:
    (found,) = answers(tmp_path, (name, {**V1, **ITEM}))
    assert (found.status, "sasUrl None; rule" in found.payload["message"]) == (400, True)


def test_status_of_a_task_that_nobody_began_is_unknown(tmp_path: Path) -> None:
    (found,) = answers(tmp_path, ("GetTaskStatus", {**V1, "correlationId": "7"}))
    assert found.payload == {"status": "Unknown", "message": "", "correlationId": "7"}
