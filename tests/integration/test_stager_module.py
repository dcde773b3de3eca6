"""The real module under the local edgeAgent: a layer comes and goes, slots and twin follow."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
from tests.integration.tiny_bundles import Tiny, write_bundle
from tests.waiting import until

from taktgate.bundle.signing import SigningKey
from taktgate.contracts import routes
from taktgate.contracts.codec import decode, parse
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagerReported, StagingPhase
from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud import LocalCloud
from taktgate.standin.sample_registry import SampleRegistry

REPOSITORY = Path(__file__).parents[2]
STATION = """
station: VIS01
device_class: cpu
plc: {address: 127.0.0.1}
camera: {address: "127.0.0.1:3960"}
"""


class Station:
    """A device with a stager alone; its notices go to the cloud, where the test reads them."""

    def __init__(self, cloud: LocalCloud, notices: list[StagedModel]) -> None:
        self.cloud = cloud
        self.notices = notices

    def reported(self) -> StagerReported | None:
        twin = self.cloud.hub.twin_properties("vis-01", "model_stager")
        stager = twin.reported.get("stager")
        return None if stager is None else parse(StagerReported, stager)

    async def phase(self, phase: StagingPhase, order: str | None) -> StagerReported:
        def is_there() -> bool:
            reported = self.reported()
            return reported is not None and (reported.phase, reported.order) == (phase, order)

        await until(is_there)
        reported = self.reported()
        assert reported is not None
        return reported


def run(tmp_path: Path, story: Callable[[Station], Awaitable[None]]) -> None:
    config = tmp_path / "config"
    key = SigningKey.generate()
    (config / "trusted_keys").mkdir(parents=True)
    (config / "trusted_keys" / "t.pub.pem").write_bytes(key.public_pem())
    (config / "station.yaml").write_text(STATION)
    matrix = "device_compatibility_matrix.yaml"
    (config / matrix).write_bytes((REPOSITORY / "config" / matrix).read_bytes())
    registry = SampleRegistry(tmp_path / "registry", keys=tmp_path / "registry-keys")
    registry.trust_in(config)
    for version in ("1.0.0", "2.0.0"):
        registry.release(write_bundle(tmp_path, Tiny(version=version), key))
    notices: list[StagedModel] = []

    def take(telemetry: Telemetry) -> None:
        assert telemetry.output == routes.STAGED.output
        notices.append(decode(StagedModel, telemetry.payload))

    async def tell() -> None:
        network = free_loopback_network()
        async with LocalCloud(
            tmp_path / "cloud",
            address=network.address(1),
            hub_port=0,
            repository_directory=tmp_path / "registry",
            on_telemetry=take,
        ) as cloud:
            main = str(REPOSITORY / "modules" / "model_stager" / "main.py")
            await cloud.add_device(
                "vis-01",
                gateway=network.address(2),
                images=ProcessImages(commands={"model_stager": [sys.executable, main]}),
                tags={"app": "qc", "ring": "canary"},
                environment={"model_stager": environment(tmp_path)},
                restart_backoff_s=0.1,
            )
            await cloud.create_deployment(base(cloud.repository_url))
            await asyncio.wait_for(story(Station(cloud, notices)), 90)

    asyncio.run(tell())


def environment(tmp_path: Path) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return {
        "PATH": os.environ["PATH"],
        "TAKTGATE_STATION_FILE": str(tmp_path / "config" / "station.yaml"),
        "TAKTGATE_CONFIG_DIR": str(tmp_path / "config"),
        "TAKTGATE_PRIVATE_DIR": str(tmp_path / "private"),
        "TAKTGATE_SLOTS_DIR": str(tmp_path / "slots"),
        "TAKTGATE_STATE_DIR": str(tmp_path / "state"),
        "TAKTGATE_METRICS_ADDRESS": "127.0.0.1",
        "TAKTGATE_METRICS_PORT": str(port),
    }


def base(repository: str) -> dict[str, Any]:
    image = {"image": "registry.example/model_stager:0.1.0", "createOptions": "{}"}
    system = {"type": "docker", "settings": {"image": "mcr/azureiotedge:1.6", "createOptions": ""}}
    hub = {**system, "status": "running", "restartPolicy": "always"}
    route = f"FROM /messages/modules/model_stager/outputs/{routes.STAGED.output} INTO $upstream"
    return {
        "id": "base-1",
        "priority": 10,
        "targetCondition": "tags.app='qc'",
        "content": {
            "modulesContent": {
                "$edgeAgent": {
                    "properties.desired": {
                        "schemaVersion": "1.1",
                        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
                        "systemModules": {"edgeAgent": system, "edgeHub": hub},
                        "modules": {
                            "model_stager": {
                                "version": "1.0",
                                "type": "docker",
                                "status": "running",
                                "restartPolicy": "always",
                                "settings": image,
                            }
                        },
                    }
                },
                "$edgeHub": {
                    "properties.desired": {
                        "schemaVersion": "1.2",
                        "routes": {"staged": {"route": route}},
                        "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
                    }
                },
                "model_stager": {
                    "properties.desired": {
                        "model": {"name": "tiny", "version": "1.0.0", "order": "base"},
                        "repository": repository,
                    }
                },
            }
        },
    }


def layer(model: object) -> dict[str, Any]:
    return {
        "id": "layer-1",
        "priority": 30,
        "targetCondition": "tags.ring='canary'",
        "content": {"modulesContent": {"model_stager": {"properties.desired.model": model}}},
    }


def test_a_layer_comes_and_goes_and_the_base_is_staged_again(tmp_path: Path) -> None:
    async def story(station: Station) -> None:
        first = await station.phase(StagingPhase.STAGED, "base")
        await until(lambda: len(station.notices) == 1)
        await station.cloud.create_deployment(
            layer({"name": "tiny", "version": "2.0.0", "order": "o2"})
        )
        second = await station.phase(StagingPhase.STAGED, "o2")
        assert second.slot != first.slot
        await until(lambda: len(station.notices) == 2)
        station.cloud.hub.delete_configuration("layer-1")
        assert (await station.phase(StagingPhase.STAGED, "base")).slot == first.slot
        await until(lambda: len(station.notices) == 3)
        announced = json.loads((tmp_path / "slots" / "announced.json").read_bytes())
        assert announced["slot"] == first.slot
        assert [notice.slot for notice in station.notices] == [
            first.slot,
            second.slot,
            first.slot,
        ]

    run(tmp_path, story)


def test_bad_input_in_a_layer_is_reported_and_changes_nothing(tmp_path: Path) -> None:
    async def story(station: Station) -> None:
        await station.phase(StagingPhase.STAGED, "base")
        await station.cloud.create_deployment(layer({"name": "tiny", "version": "2.0.0"}))
        await until(lambda: reason(station) == "BAD_TWIN")
        reported = await station.phase(StagingPhase.STAGED, "base")
        assert reported.lastError is not None
        assert "'model.order'" in reported.lastError.message
        station.cloud.hub.delete_configuration("layer-1")
        await until(lambda: reason(station) is None)
        await station.cloud.create_deployment(
            layer({"name": "tiny", "version": "9.0.0", "order": "o9"})
        )
        await station.phase(StagingPhase.FAILED, "o9")
        assert reason(station) == "NOT_FOUND"

    run(tmp_path, story)


def test_killed_processes_come_back_and_say_the_same(tmp_path: Path) -> None:
    async def story(station: Station) -> None:
        before = await station.phase(StagingPhase.STAGED, "base")
        for _ in range(2):
            (process,) = stagers(tmp_path)
            os.kill(process, signal.SIGKILL)
            await until(lambda dead=process: stagers(tmp_path) not in ([], [dead]))  # type: ignore[misc]
        station.cloud.hub.patch_reported("vis-01", "model_stager", {"stager": None})
        await station.cloud.create_deployment(
            layer({"name": "tiny", "version": "2.0.0", "order": "o2"})
        )
        after = await station.phase(StagingPhase.STAGED, "o2")
        assert after.slot != before.slot
        assert len(stagers(tmp_path)) == 1

    run(tmp_path, story)


def reason(station: Station) -> str | None:
    reported = station.reported()
    return reported.lastError.reason if reported and reported.lastError else None


def stagers(tmp_path: Path) -> list[int]:
    """Return the stager processes of this test's station."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "environ"]):
        if "taktgate.staging.stager_process" in (process.info["cmdline"] or ()) and (
            process.info["environ"] or {}
        ).get("TAKTGATE_SLOTS_DIR") == str(tmp_path / "slots"):
            found.append(process.info["pid"])
    return found
