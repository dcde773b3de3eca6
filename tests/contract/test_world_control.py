"""The commands to a running world reach the systems that they are for, and nothing else."""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.waiting import wait_until

from taktgate.contracts.codec import ContractError
from taktgate.standin.azure.clock import ManualClock
from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.errors import QuirkError
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.azure.quirks import QUIRKS, Measure, System
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.control import WorldControl
from taktgate.standin.azure.world.feed import TelemetryFeed

DEVICES = ("station-1", "station-2")
STATES = [quirk.name for quirk in QUIRKS.values() if quirk.measure is not Measure.ACTION]
BASE: dict[str, Any] = {
    "schemaVersion": "1.1",
    "runtime": {"type": "docker", "settings": {}},
    "systemModules": {},
    "modules": {},
}


class SteeredWorld:
    """A world in a thread, and its control."""

    def __init__(self, world: CloudThread, control: WorldControl) -> None:
        self.world = world
        self.control = control

    def do(self, command: str, **order: Any) -> Any:
        return self.world.run(self.control.carry_out(command, order))

    def status(self, device: str = DEVICES[0]) -> Any:
        (found,) = [each for each in self.do("status").devices if each.name == device]
        return found

    def active(self) -> dict[str, dict[str, float]]:
        status = self.do("status")
        devices = {each.name: dict(each.quirks) for each in status.devices}
        for each in status.devices:
            if not each.is_online:
                devices[each.name]["offline"] = 1.0
        return {"hub": dict(status.quirks), **devices}


@pytest.fixture(scope="module")
def steered(
    tmp_path_factory: pytest.TempPathFactory, network: LoopbackNetwork
) -> Iterator[SteeredWorld]:
    feed = TelemetryFeed(ManualClock())
    options: dict[str, Any] = {
        "address": network.address(1),
        "on_telemetry": feed.take,
        "evaluation_period_s": 3600.0,
    }
    with CloudThread(tmp_path_factory.mktemp("world"), **options) as world:
        for number, name in enumerate(DEVICES):
            images = ProcessImages(commands={})
            gateway = network.address(2 + number)
            world.run(world.cloud.add_device(name, gateway=gateway, images=images))
        tags = {f"light-{number}": {"kind": "light"} for number in range(3)}
        world.run(world.cloud.add_fleet(tags))
        yield SteeredWorld(world, world.call(WorldControl, world.cloud, feed))


@pytest.mark.parametrize("name", STATES)
def test_quirk_is_on_until_it_is_turned_off(steered: SteeredWorld, name: str) -> None:
    is_of_hub = QUIRKS[name].system is System.HUB
    device = {} if is_of_hub else {"device": DEVICES[0]}
    before = steered.active()
    steered.do("quirk", name=name, **device)
    during = steered.active()
    steered.do("quirk", name=name, off=True, **device)
    holder = "hub" if is_of_hub else DEVICES[0]
    assert during == {**before, holder: {**before[holder], name: QUIRKS[name].default}}
    assert steered.active() == before


def test_quirk_without_a_device_is_for_all(steered: SteeredWorld) -> None:
    effects = steered.do("quirk", name="slow-twin", value=3)
    assert [(each.where, each.what) for each in effects] == [
        (name, "slow-twin on: 3 seconds") for name in DEVICES
    ]
    assert len(steered.do("quirk", name="slow-twin", off=True)) == len(DEVICES)


@pytest.mark.parametrize(
    ("order", "rule"),
    [
        ({"name": "slow"}, "no quirk 'slow'; rule: one of"),
        ({"name": "slow-twin", "device": "nobody"}, "rule: one of station-1, station-2"),
        ({"name": "slow-twin", "value": 0}, "rule: seconds above 0"),
        ({"name": "slow-twin", "value": 1, "off": True}, "--value; rule"),
        ({"name": "slow-twin", "module": "m"}, "--module; rule"),
        ({"name": "empty-twin", "value": 1}, "--value; rule"),
        ({"name": "throttle", "device": "station-1"}, "--device; rule: the hub has it"),
        ({"name": "drop-connection", "off": True}, "cannot be turned off"),
        ({"name": "start-edgehub", "off": True}, "cannot be turned off"),
    ],
)
def test_wrong_order_is_refused_and_changes_nothing(
    steered: SteeredWorld, order: dict[str, Any], rule: str
) -> None:
    before = steered.active()
    with pytest.raises(QuirkError, match=rule):
        steered.do("quirk", **order)
    assert steered.active() == before


@pytest.mark.parametrize(
    ("command", "order"),
    [
        ("quirk", {}),
        ("quirk", {"name": "slow-twin", "value": "much"}),
        ("quirk", {"name": "slow-twin", "value": float("nan")}),
        ("quirk", {"name": "slow-twin", "when": 1}),
        ("fault", {"kind": "slow"}),
        ("fault", {"kind": "silent", "share": 2}),
        ("line", {"is_online": 3}),
        ("telemetry", {"wait_s": 1e9}),
        ("status", {"of": "me"}),
        ("down", []),
    ],
)
def test_malformed_order_is_refused_with_its_field(
    steered: SteeredWorld, command: str, order: Any
) -> None:
    with pytest.raises(ContractError, match="field"):
        steered.world.run(steered.control.carry_out(command, order))


def test_line_is_cut_and_mended_by_its_word(steered: SteeredWorld) -> None:
    steered.do("line", is_online=False, device=DEVICES[0])
    cut = [each.is_online for each in steered.do("status").devices]
    steered.do("line", is_online=True)
    assert cut == [False, True]
    assert all(each.is_online for each in steered.do("status").devices)


def test_pattern_means_light_devices_too(steered: SteeredWorld) -> None:
    cut = steered.do("line", is_online=False, device="light-[01]")
    light = steered.do("status").light
    steered.do("line", is_online=True, device="light-*")
    assert [each.where for each in cut] == ["light-0", "light-1"]
    assert (light.devices, light.online) == (3, 1)
    assert steered.do("status").light.online == 3


def test_light_device_without_a_line_comes_back(steered: SteeredWorld) -> None:
    steered.do("quirk", name="drop-connection", device="light-2")
    wait_until(lambda: steered.do("status").light.connected == 3)


def test_light_device_has_no_edgehub_of_its_own(steered: SteeredWorld) -> None:
    with pytest.raises(QuirkError, match="no IoT Edge device 'light-1' runs here"):
        steered.do("quirk", name="slow-twin", device="light-1")


def test_fault_of_light_devices_holds_until_it_is_taken_back(steered: SteeredWorld) -> None:
    first = steered.do("fault", kind="rolled-back", version="1.2.0", share=0.5)
    both = steered.do("fault", kind="silent", device="light-2")
    left = steered.do("fault", kind="silent", off=True)
    assert first == left == ["rolled-back: version 1.2.0 on 50% of all devices"]
    assert both == ["silent: any version on 1 devices", *first]
    assert steered.do("status").light.faults == tuple(first)
    assert steered.do("fault", off=True) == []


@pytest.mark.parametrize(
    ("order", "rule"),
    [({}, "rule: one of not-found"), ({"kind": "silent", "device": "x*"}, "no light device 'x")],
)
def test_fault_of_nothing_is_refused(
    steered: SteeredWorld, order: dict[str, Any], rule: str
) -> None:
    with pytest.raises(QuirkError, match=rule):
        steered.do("fault", **order)


def test_edgehub_stops_and_starts(steered: SteeredWorld) -> None:
    steered.do("quirk", name="stop-edgehub", device=DEVICES[0])
    stopped = steered.status().is_edgehub_running
    steered.do("quirk", name="start-edgehub", device=DEVICES[0])
    assert (stopped, steered.status().is_edgehub_running) == (False, True)


def test_cut_of_nothing_says_so(steered: SteeredWorld) -> None:
    all_of_one = steered.do("quirk", name="drop-connection", device=DEVICES[0])
    one = steered.do("quirk", name="expire-sas", device=DEVICES[0], module="m")
    assert [each.what for each in all_of_one] == ["no module is connected: nothing done"]
    assert [(each.where, each.what) for each in one] == [
        ("station-1/m", "is not connected: nothing done")
    ]


@pytest.mark.azure(
    "edgeHub",
    "After a change of the CA a client that keeps the old trust bundle cannot connect",
    source="learn.microsoft.com/azure/iot-edge/how-to-manage-device-certificates",
)
def test_changed_ca_locks_out_the_old_trust_bundle(
    steered: SteeredWorld, network: LoopbackNetwork
) -> None:
    old = steered.world.cloud.ca_file
    steered.do("quirk", name="change-ca", device=DEVICES[0])
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(network.address(2), old)
    assert "change-ca" in steered.status().quirks
    shake_hands(network.address(3), old)
    steered.do("quirk", name="change-ca", device=DEVICES[0], off=True)
    shake_hands(network.address(2), old)


@pytest.mark.azure(
    "workload API",
    "A module that starts after a change of the CA is given the new trust bundle",
    source="learn.microsoft.com/azure/iot-edge/how-to-manage-device-certificates",
)
def test_new_trust_bundle_comes_with_the_new_ca(
    steered: SteeredWorld, network: LoopbackNetwork, tmp_path: Path
) -> None:
    device = steered.world.cloud.devices[DEVICES[0]]
    steered.world.run(device.environment("m"))
    steered.do("quirk", name="change-ca", device=DEVICES[0])
    try:
        bundle = tmp_path / "bundle.pem"
        text = steered.world.run(trust_bundle(device.workload_sockets["m"]))
        bundle.write_text(text, encoding="ascii")
        shake_hands(network.address(2), bundle)
    finally:
        steered.do("quirk", name="change-ca", device=DEVICES[0], off=True)


async def trust_bundle(socket: Path) -> str:
    """Ask the workload API for the trust bundle."""
    connector = aiohttp.UnixConnector(str(socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        url = "http://workload/trust-bundle?api-version=2019-01-30"
        async with session.get(url) as response:
            return str((await response.json())["certificate"])


@pytest.mark.azure(
    "deployments",
    "A new deployment reaches a device when the hub next evaluates, not at once",
    source="learn.microsoft.com/azure/iot-edge/module-deployment-monitoring",
)
def test_deployment_waits_for_the_next_evaluation(steered: SteeredWorld) -> None:
    document = {
        "id": "base",
        "priority": 1,
        "targetCondition": "*",
        "content": {"modulesContent": {"$edgeAgent": {"properties.desired": BASE}}},
    }
    steered.world.run(steered.world.cloud.create_deployment(document))
    before = steered.status().applied
    evaluated = steered.do("evaluate")
    assert (before, steered.status().applied) == ((), ("base",))
    assert (evaluated.deployments, evaluated.devices) == (1, 5)
    wait_until(lambda: steered.status().agent.code == 200)


def test_telemetry_is_waited_for(steered: SteeredWorld) -> None:
    async def story() -> Any:
        reading = asyncio.create_task(steered.control.carry_out("telemetry", {"wait_s": 10}))
        await asyncio.sleep(0)
        steered.world.cloud.hub.take_telemetry(
            Telemetry(
                device="d", module="m", output="o", payload=b'{"a":1}', properties={}, system={}
            )
        )
        return await reading

    page = steered.world.run(story())
    assert [each.body for each in page.messages] == [{"a": 1}]
    assert steered.do("status").telemetry == 1


def test_world_is_asked_to_end(steered: SteeredWorld) -> None:
    steered.do("down")
    assert steered.control.ended.is_set()


def shake_hands(address: str, ca_file: Path) -> None:
    """Open a TLS connection to edgeHub as a client that trusts *ca_file*."""

    async def connect() -> None:
        context = ssl.create_default_context(cafile=ca_file)
        _, writer = await asyncio.open_connection(address, 8883, ssl=context)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    asyncio.run(connect())
