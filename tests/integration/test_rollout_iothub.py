"""`taktgate rollout` with Microsoft's own SDK against the local IoT Hub."""

import argparse
import asyncio
import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from taktgate.contracts.codec import encode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import InspectionPhase, InspectionReported, TypedError
from taktgate.rollout.cli import add_commands
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud import LocalCloud

RINGS = """
layer_priority: 30
poll_s: 0.1
errors_max: 3
rings:
  - {name: canary, target: "tags.ring='canary'", time_limit_s: 60}
  - {name: broad, target: "tags.ring='broad' AND tags.hold='no'", time_limit_s: 60}
"""
BASE = {
    "id": "base-1",
    "priority": 10,
    "targetCondition": "tags.app='qc'",
    "content": {
        "modulesContent": {
            "$edgeAgent": {
                "properties.desired": {
                    "schemaVersion": "1.1",
                    "runtime": {"type": "docker", "settings": {}},
                    "systemModules": {},
                    "modules": {},
                }
            },
            "model_stager": {
                "properties.desired": {
                    "model": {"name": "weld-seam", "version": "1.0.0", "order": "base"},
                    "repository": "https://models.example",
                }
            },
        }
    },
}
Ended = tuple[int, dict[str, Any]]
STATIONS = {"vis-canary": "canary", "vis-broad-1": "broad", "vis-broad-2": "broad"}


def in_local_cloud(tmp_path: Path, story: Callable[[LocalCloud], Awaitable[None]]) -> None:
    async def tell() -> None:
        network = free_loopback_network()
        async with LocalCloud(tmp_path / "cloud", address=network.address(1)) as cloud:
            for name, ring in STATIONS.items():
                cloud.hub.put_device(name, {"capabilities": {"iotEdge": True}})
                cloud.hub.change_twin(
                    name, None, {"tags": {"app": "qc", "ring": ring, "hold": "no"}}
                )
                for module in ("inference", "model_stager"):
                    cloud.hub.put_module(name, module, {})
            await cloud.create_deployment(BASE)
            await asyncio.wait_for(story(cloud), 90)

    asyncio.run(tell())


def report(cloud: LocalCloud, device: str, **inspection: Any) -> None:
    reported = InspectionReported(
        contract="1.0", code="1", phase=InspectionPhase.LIVE, **inspection
    )
    patch = {"inspection": json.loads(encode(reported))}
    cloud.hub.patch_reported(device, "inference", patch)


def model(version: str) -> ModelRef:
    return ModelRef(name="weld-seam", version=version, digest="sha256:" + "0" * 64)


def judging(version: str) -> dict[str, ModelRef]:
    return {"lastKnownGood": model(version), "live": model(version)}


def ordered_version(cloud: LocalCloud, device: str) -> str:
    desired = cloud.hub.twin_properties(device, "model_stager").desired
    return str(desired["model"]["version"])


def arguments_for(cloud: LocalCloud, tmp_path: Path, verb: str, *more: str) -> list[str]:
    (tmp_path / "rings.yaml").write_text(RINGS)
    return [
        "rollout", verb, "--json", "--login", cloud.service_connection_string,
        "--rings", str(tmp_path / "rings.yaml"), "--state", str(tmp_path / "state.json"),
        "--model", "weld-seam", "--version", "2.0.0", "--order", "o2", *more,
    ]  # fmt: skip


async def rollout(cloud: LocalCloud, tmp_path: Path, verb: str, *more: str) -> Ended:
    """Run the command in a thread, since the hub runs in this one; return exit code and JSON."""
    parser = argparse.ArgumentParser()
    add_commands(parser.add_subparsers())
    arguments = parser.parse_args(arguments_for(cloud, tmp_path, verb, *more))
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(cloud.ca_file))
        code = await asyncio.to_thread(arguments.run, arguments)
    return code, json.loads(out.getvalue())


async def rollout_process(cloud: LocalCloud, tmp_path: Path, verb: str) -> Ended:
    """Run the command as a process of its own, as a person would."""
    code = (
        "import argparse, sys; from taktgate.rollout.cli import add_commands;"
        "p = argparse.ArgumentParser(prog='taktgate'); add_commands(p.add_subparsers());"
        "a = p.parse_args(); sys.exit(a.run(a))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, *arguments_for(cloud, tmp_path, verb),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={"PATH": "", "REQUESTS_CA_BUNDLE": str(cloud.ca_file)},
    )  # fmt: skip
    out, err = await process.communicate()
    assert out, err.decode()
    assert process.returncode is not None
    return process.returncode, json.loads(out)


def test_a_confirmed_canary_is_widened_until_all_rings_have_it(tmp_path: Path) -> None:
    async def story(cloud: LocalCloud) -> None:
        running = asyncio.create_task(rollout_process(cloud, tmp_path, "run"))
        await until(lambda: ordered_version(cloud, "vis-canary") == "2.0.0")
        assert ordered_version(cloud, "vis-broad-1") == "1.0.0"
        report(cloud, "vis-canary", confirmedOrder="o2", **judging("2.0.0"))
        await until(lambda: ordered_version(cloud, "vis-broad-1") == "2.0.0")
        for device in ("vis-broad-1", "vis-broad-2"):
            report(cloud, device, confirmedOrder="o2", **judging("2.0.0"))
        code, document = await running
        assert code == 0, document
        assert document["stage"] == "done"
        assert document["assessment"]["figures"]["confirmed"] == 3
        for device, phase in zip(STATIONS, ("staged", "trial", "confirmed"), strict=True):
            staging = {"stager": {"order": "o2", "phase": phase}}
            cloud.hub.patch_reported(device, "model_stager", staging)
        layer = cloud.hub.configurations.get(document["layer"])
        assert layer.to_json(lambda query: cloud.hub.query(query)[1])["metrics"]["results"] == {
            "staged": 3, "confirmed": 3, "rolledBack": 0, "failed": 0, "refused": 0,
        }  # fmt: skip

    in_local_cloud(tmp_path, story)


def test_a_station_that_rolls_back_takes_the_layer_with_it(tmp_path: Path) -> None:
    async def story(cloud: LocalCloud) -> None:
        running = asyncio.create_task(rollout(cloud, tmp_path, "run"))
        await until(lambda: ordered_version(cloud, "vis-canary") == "2.0.0")
        rollback = {
            "digest": "sha256:" + "0" * 64,
            "order": "o2",
            "reason": "REJECT_RATE",
            "figures": {"parts": 41.0},
            "message": "five times the baseline",
            "at": "2026-11-22T00:00:00Z",
        }
        patch = {"inspection": {"contract": "1.0", "code": "1", "phase": "rolledBack"}}
        patch["inspection"]["lastRollback"] = rollback  # type: ignore[assignment]
        cloud.hub.patch_reported("vis-canary", "inference", patch)
        code, document = await running
        assert code == 3, document
        assert "five times the baseline" in document["reason"]
        assert ordered_version(cloud, "vis-canary") == "1.0.0"
        assert [its.deployment.id for its in cloud.hub.configurations.all()] == ["base-1"]

    in_local_cloud(tmp_path, story)


def test_a_station_that_refuses_the_model_takes_the_layer_with_it(tmp_path: Path) -> None:
    async def story(cloud: LocalCloud) -> None:
        _, document = await rollout(cloud, tmp_path, "start")
        error = TypedError(reason="GOLDEN", message="score 0.9, must be 0.1", order="o2")
        report(cloud, "vis-canary", lastKnownGood=model("1.0.0"), lastError=error)
        layer = cloud.hub.configurations.get(document["layer"])
        metrics = layer.to_json(lambda query: cloud.hub.query(query)[1])["metrics"]["results"]
        assert (metrics["refused"], metrics["confirmed"]) == (1, 0)
        code, document = await rollout(cloud, tmp_path, "run")
        assert code == 3, document
        assert "GOLDEN: score 0.9" in document["reason"]

    in_local_cloud(tmp_path, story)


@pytest.mark.parametrize("good", ["1.0.0", "2.0.0"], ids=["order used before", "stand-in judges"])
def test_an_order_whose_model_does_not_judge_confirms_no_station(tmp_path: Path, good: str) -> None:
    async def story(cloud: LocalCloud) -> None:
        told = judging("1.0.0") | {"lastKnownGood": model(good)}
        report(cloud, "vis-canary", confirmedOrder="o2", **told)
        code, document = await rollout(cloud, tmp_path, "run", "--timeout-s", "1")
        assert (code, document["ring"]) == (4, "canary")
        assert document["assessment"]["figures"]["confirmed"] == 0
        layer = cloud.hub.configurations.get(document["layer"])
        metrics = layer.to_json(lambda query: cloud.hub.query(query)[1])["metrics"]["results"]
        assert metrics["confirmed"] == 0

    in_local_cloud(tmp_path, story)


def test_a_second_withdrawal_takes_back_what_was_created_again(tmp_path: Path) -> None:
    async def story(cloud: LocalCloud) -> None:
        _, document = await rollout(cloud, tmp_path, "start")
        layer = cloud.hub.configurations.get(document["layer"]).to_json(lambda _: [])
        await rollout(cloud, tmp_path, "withdraw")
        await cloud.create_deployment(layer)
        code, document = await rollout(cloud, tmp_path, "withdraw")
        assert (code, document["stage"]) == (0, "withdrawn")
        assert [its.deployment.id for its in cloud.hub.configurations.all()] == ["base-1"]

    in_local_cloud(tmp_path, story)


def test_start_status_and_withdraw_do_one_thing_each(tmp_path: Path) -> None:
    async def story(cloud: LocalCloud) -> None:
        code, document = await rollout(cloud, tmp_path, "start")
        assert (code, document["stage"]) == (0, "running")
        assert ordered_version(cloud, "vis-canary") == "2.0.0"
        code, document = await rollout(cloud, tmp_path, "status")
        assert (code, document["assessment"]["outcome"]) == (4, "inconclusive")
        code, document = await rollout(cloud, tmp_path, "run", "--timeout-s", "0.5")
        assert (code, document["stage"]) == (4, "running")
        code, document = await rollout(cloud, tmp_path, "withdraw")
        assert (code, document["stage"]) == (0, "withdrawn")
        assert ordered_version(cloud, "vis-canary") == "1.0.0"
        code, document = await rollout(cloud, tmp_path, "run")
        assert (code, document["reason"]) == (3, "withdrawn by hand")

    in_local_cloud(tmp_path, story)


@pytest.mark.parametrize("change", [{"targetCondition": "tags.app='qc'"}, None])
def test_what_somebody_else_did_to_the_layer_is_respected(
    tmp_path: Path, change: dict[str, str] | None
) -> None:
    async def story(cloud: LocalCloud) -> None:
        _, document = await rollout(cloud, tmp_path, "start")
        await rollout(cloud, tmp_path, "run", "--timeout-s", "0.1")
        layer = document["layer"]
        if change is None:
            cloud.hub.delete_configuration(layer)
        else:
            known = cloud.hub.configurations.get(layer).to_json(lambda _: [])
            cloud.hub.put_configuration(layer, known | change, "*")
        code, document = await rollout(cloud, tmp_path, "run")
        assert "somebody else" in document["reason"]
        assert code == (3 if change is None else 4)

    in_local_cloud(tmp_path, story)


def test_a_wrong_key_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(cloud: LocalCloud) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.ca_file))
        (tmp_path / "rings.yaml").write_text(RINGS)
        login = cloud.service_connection_string.rpartition("Key=")[0] + "Key=d3Jvbmc="
        parser = argparse.ArgumentParser()
        add_commands(parser.add_subparsers())
        options = ["--model", "m", "--version", "1", "--order", "o"]
        options += ["--login", login, "--rings", str(tmp_path / "rings.yaml")]
        arguments = parser.parse_args(["rollout", "status", *options])
        assert await asyncio.to_thread(arguments.run, arguments) == 1

    in_local_cloud(tmp_path, story)
    (line,) = capsys.readouterr().err.splitlines()
    assert "401" in line
    assert "d3Jvbmc" not in line
