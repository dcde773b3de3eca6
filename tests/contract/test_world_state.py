"""A kept world goes on where it was: keys, twins, deployments, messages that waited."""

from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubModuleClient
from tests.waiting import wait_until

from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.loopback import LoopbackNetwork, free_loopback_network
from taktgate.standin.azure.world.cloud_thread import CloudThread

DEVICE = "station-1"
MODULE = "probe"
BASE: dict[str, Any] = {
    "id": "base",
    "priority": 10,
    "targetCondition": "tags.ring='canary'",
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
            "$edgeHub": {
                "properties.desired": {
                    "schemaVersion": "1.1",
                    "routes": {"up": "FROM /messages/modules/* INTO $upstream"},
                    "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
                }
            },
            MODULE: {"properties.desired": {"greeting": "hello"}},
        }
    },
}


class KeptWorld:
    """One run of a world in a folder."""

    def __init__(self, folder: Path, network: LoopbackNetwork) -> None:
        self.arrived: list[Telemetry] = []
        self._network = network
        options: dict[str, Any] = {
            "address": network.address(1),
            "on_telemetry": self.arrived.append,
            "keeps_state": True,
        }
        self.thread = CloudThread(folder, **options)

    def add_device(self, tags: dict[str, Any] | None = None) -> Any:
        images = ProcessImages(commands={})
        cloud = self.thread.cloud
        gateway = self._network.address(2)
        return self.thread.run(cloud.add_device(DEVICE, gateway=gateway, images=images, tags=tags))

    def facts(self) -> dict[str, Any]:
        """Return what a client of the hub can see of the device."""
        return self.thread.call(self._facts)

    def _facts(self) -> dict[str, Any]:
        cloud = self.thread.cloud
        module = cloud.hub.identity(DEVICE, MODULE)
        return {
            "connection string": cloud.service_connection_string,
            "CA": cloud.trust_bundle,
            "tags": cloud.hub.identity(DEVICE).tags,
            "key": module.key,
            "generation": module.generation_id,
            "desired": (module.desired, module.desired_version),
            "deployments": [each.deployment.id for each in cloud.hub.configurations.all()],
        }


@pytest.fixture
def network() -> LoopbackNetwork:
    return free_loopback_network()


def test_kept_world_has_the_same_hub(tmp_path: Path, network: LoopbackNetwork) -> None:
    first = KeptWorld(tmp_path, network)
    with first.thread as thread:
        first.add_device({"ring": "canary"})
        thread.run(thread.cloud.create_deployment(BASE))
        before = first.facts()
    second = KeptWorld(tmp_path, network)
    with second.thread:
        second.add_device()
        assert second.facts() == before


@pytest.mark.azure(
    "edgeHub",
    "What a module sent while the device was offline reaches the hub after a restart of the device",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities",
)
def test_messages_that_waited_reach_the_hub_of_the_next_run(
    tmp_path: Path, network: LoopbackNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = KeptWorld(tmp_path, network)
    with first.thread as thread:
        device = first.add_device({"ring": "canary"})
        thread.run(thread.cloud.create_deployment(BASE))
        thread.call(device.set_online, False)
        for name, value in thread.run(device.environment(MODULE)).items():
            monkeypatch.setenv(name, value)
        client = IoTHubModuleClient.create_from_edge_environment(connection_retry=False)
        for number in range(3):
            client.send_message_to_output(str(number), "out")
        client.shutdown()
    assert first.arrived == []
    second = KeptWorld(tmp_path, network)
    with second.thread:
        second.add_device()
        wait_until(lambda: len(second.arrived) == 3)
    assert [each.payload for each in second.arrived] == [b"0", b"1", b"2"]


def test_device_of_another_kind_is_not_run(tmp_path: Path, network: LoopbackNetwork) -> None:
    world = KeptWorld(tmp_path, network)
    with world.thread as thread:
        thread.call(thread.cloud.hub.put_device, DEVICE, {"capabilities": {"iotEdge": False}})
        with pytest.raises(HubRequestError, match="no IoT Edge device"):
            world.add_device()


def test_device_that_the_hub_knows_keeps_its_tags(tmp_path: Path, network: LoopbackNetwork) -> None:
    world = KeptWorld(tmp_path, network)
    with world.thread as thread:
        thread.call(thread.cloud.hub.put_device, DEVICE, {"capabilities": {"iotEdge": True}})
        thread.call(thread.cloud.hub.change_twin, DEVICE, None, {"tags": {"a": "1"}})
        world.add_device({"ring": "canary"})
        assert thread.cloud.hub.identity(DEVICE).tags == {"a": "1", "ring": "canary"}
