"""The power goes, the disk is full: at every single call that changes the slots volume."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.errors import DiskError
from taktgate.standin.staging import (
    FaultyFileSystem,
    MemoryRegistry,
    PowerCutError,
    StagerRig,
    cut_power,
    fill_disk,
    tiny_bundle,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A station on which 1.0.0 is staged, to be copied, and what it needs to go on."""

    station: Path
    registry: MemoryRegistry
    keys: TrustedKeys
    old: StagedModel
    calls: int
    """How often staging 2.0.0 there touches the disk."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    key = SigningKey.generate()
    file = folder / "test.pub.pem"
    file.write_bytes(key.public_pem())
    keys = TrustedKeys.load(file)
    registry = MemoryRegistry()
    for version in ("1.0.0", "2.0.0"):
        registry.add("weld-seam", version, tiny_bundle(folder, key, version=version))
    station = folder / "station"
    rig = StagerRig(station, registry=registry, keys=keys)
    rig.order("1.0.0", "o1")
    rig.work()
    old = rig.announced()
    assert old is not None
    disk = FaultyFileSystem()
    shutil.copytree(station, folder / "counted")
    counted = StagerRig(folder / "counted", registry=registry, keys=keys, files=disk)
    stage_new(counted)
    assert counted.announced() != old
    return World(station=station, registry=registry, keys=keys, old=old, calls=disk.calls)


def stage_new(rig: StagerRig) -> None:
    """Start as the process does, get the order, work."""
    rig.stager.recover()
    rig.order("2.0.0", "o2")
    rig.work()


def assert_old_or_new(rig: StagerRig, world: World) -> None:
    announced = rig.announced()
    assert announced is not None
    assert announced == world.old or announced.order == "o2"
    assert rig.announced_verifies()
    for name in rig.slots.names():
        assert rig.slots.verified(name) is not None, f"{name} looks like a slot and is none"


def each_call(world: World) -> range:
    assert 15 < world.calls < 60
    return range(world.calls)


@pytest.mark.parametrize("torn", [False, True])
def test_power_cut_never_leaves_a_slot_that_does_not_verify(
    world: World, tmp_path: Path, torn: bool
) -> None:
    for number in each_call(world):
        station = shutil.copytree(world.station, tmp_path / str(number))
        disk = FaultyFileSystem(at=number, torn=torn)
        with pytest.raises(PowerCutError):
            stage_new(StagerRig(station, registry=world.registry, keys=world.keys, files=disk))
        restarted = StagerRig(station, registry=world.registry, keys=world.keys)
        assert_old_or_new(restarted, world)
        restarted.stager.recover()
        assert_old_or_new(restarted, world)
        assert not list(restarted.slots_root.glob(".*")), f"left behind by a cut at {number}"
        stage_new(restarted)
        assert restarted.desk.report().phase is StagingPhase.STAGED
        announced = restarted.announced()
        assert announced is not None
        assert announced.order == "o2"
        assert_old_or_new(restarted, world)


def test_power_cut_twice_is_no_worse_than_once(world: World, tmp_path: Path) -> None:
    for number in each_call(world):
        station = shutil.copytree(world.station, tmp_path / str(number))
        for at in (number, number // 2):
            disk = FaultyFileSystem(at=at, torn=True)
            with suppress(PowerCutError):
                stage_new(StagerRig(station, registry=world.registry, keys=world.keys, files=disk))
        assert_old_or_new(StagerRig(station, registry=world.registry, keys=world.keys), world)


@pytest.mark.parametrize("torn", [False, True])
def test_a_disk_that_is_full_once_delays_and_breaks_nothing(
    world: World, tmp_path: Path, torn: bool
) -> None:
    for number in each_call(world):
        rig = rig_with(world, tmp_path / str(number), number, fill_disk, torn=torn)
        with suppress(DiskError):
            rig.stager.recover()
        rig.order("2.0.0", "o2")
        rig.work()
        assert_old_or_new(rig, world)
        for _ in range(5):
            rig.work(seconds=60)
        assert rig.desk.report().phase is StagingPhase.STAGED, f"stuck after call {number}"
        assert rig.desk.report().lastError is None
        assert_old_or_new(rig, world)


def test_a_disk_that_stays_full_is_reported_and_keeps_the_old_model(
    world: World, tmp_path: Path
) -> None:
    station = shutil.copytree(world.station, tmp_path / "station")
    disk = AlwaysFullDisk()
    rig = StagerRig(station, registry=world.registry, keys=world.keys, files=disk)
    rig.order("2.0.0", "o2")
    for _ in range(5):
        rig.work(seconds=60)
    report = rig.desk.report()
    assert report.lastError is not None
    assert report.lastError.reason == "DISK_FULL"
    assert rig.announced() == world.old
    assert rig.announced_verifies()


class AlwaysFullDisk(FaultyFileSystem):
    def _is_due(self) -> bool:
        return True

    def __init__(self) -> None:
        super().__init__(fail=fill_disk)


def rig_with(
    world: World, station: Path, at: int, fail: Callable[[], None], *, torn: bool
) -> StagerRig:
    shutil.copytree(world.station, station)
    disk = FaultyFileSystem(at=at, fail=fail, torn=torn)
    return StagerRig(station, registry=world.registry, keys=world.keys, files=disk)


def test_cutting_the_power_is_not_caught_by_anyone() -> None:
    assert not issubclass(PowerCutError, Exception)
    with pytest.raises(PowerCutError):
        cut_power()
