"""Each step between order and announcement is there for a reason: what happens without it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.targets import bundle_path
from taktgate.bundle.verification import VerifiedBundle
from taktgate.contracts.activation import Activation, Rollback, SlotRef
from taktgate.contracts.codec import encode
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.activation import bar_of
from taktgate.staging.errors import DistrustError, SmokeError, UnreachableError
from taktgate.staging.journal import Journal
from taktgate.staging.slots.disk import Disk
from taktgate.standin.faulty_files import Fault, FaultyFileSystem
from taktgate.standin.staging import DEVICE_CLASS, MemoryRegistry, MemorySmokeTest, StagerRig

PATH = bundle_path("weld-seam", "1.0.0", DEVICE_CLASS)


def reason(rig: StagerRig) -> str | None:
    error = rig.desk.report().lastError
    return None if error is None else error.reason


def rollback(digest: str, order: str) -> Rollback:
    return Rollback(digest=digest, order=order, reason="X", figures={}, message="m", at="")


def signs(registry: MemoryRegistry, **changes: Any) -> None:
    """Let the registry's metadata say *changes* of version 1.0.0."""
    registry.facts[PATH] = registry.facts[PATH].model_copy(update=changes)


@pytest.mark.parametrize(
    "change", [{"ort": "0.0.1"}, {"opset": 99}, {"ir_version": 99}, {"device_class": "jetson"}]
)
def test_what_this_device_cannot_run_is_refused_before_it_is_fetched(
    rig: StagerRig, registry: MemoryRegistry, change: dict[str, Any]
) -> None:
    signs(registry, **change)
    rig.order("1.0.0")
    rig.work()
    assert (reason(rig), registry.downloads) == ("INCOMPATIBLE", [])


@pytest.mark.parametrize("change", [{"opset": 17}, {"source_digest": "sha256:" + "0" * 64}])
def test_a_bundle_that_is_not_what_its_signed_facts_say_is_refused(
    rig: StagerRig, registry: MemoryRegistry, change: dict[str, Any]
) -> None:
    signs(registry, **change)
    rig.order("1.0.0")
    rig.work()
    assert (reason(rig), rig.announced()) == ("FACTS", None)


def test_metadata_that_is_not_trusted_any_more_permits_no_download(
    rig: StagerRig, registry: MemoryRegistry, tmp_path: Path, keys: TrustedKeys
) -> None:
    smoke = MemorySmokeTest(error=SmokeError("no"))
    rig = StagerRig(tmp_path, registry=registry, keys=keys, smoke=smoke)
    rig.order("1.0.0")
    rig.work()
    registry.error, downloads = DistrustError("FREEZE", "x"), len(registry.downloads)
    rig.order("1.0.0", "o2")
    rig.work()
    assert PATH in registry.heard
    assert (reason(rig), len(registry.downloads)) == ("FREEZE", downloads)


def test_a_held_station_without_a_network_is_held(rig: StagerRig, registry: MemoryRegistry) -> None:
    registry.error = UnreachableError("x")
    rig.hold("audit")
    rig.order("1.0.0")
    rig.work()
    assert (rig.desk.report().phase, reason(rig)) == (StagingPhase.HELD, None)


def test_what_is_rolled_back_while_it_is_tested_is_not_announced(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    class Meanwhile(MemorySmokeTest):
        def run(self, bundle: VerifiedBundle, check: Callable[[], None]) -> None:
            blocked = (rollback(bundle.digest, "o1"),)
            rig.activate(Activation(contract="1.2", generation=2, blocked=blocked))

    rig = StagerRig(tmp_path, registry=registry, keys=keys, smoke=Meanwhile())
    rig.order("1.0.0")
    rig.work()
    assert (rig.desk.report().phase, rig.announced()) == (StagingPhase.BLOCKED, None)


@pytest.mark.parametrize("at", range(8, 60, 4))
def test_wherever_a_volume_becomes_read_only_the_order_goes_on_when_it_can_be_written_again(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys, at: int
) -> None:
    files = FaultyFileSystem(fault=Fault.READ_ONLY, at=at)
    rig = StagerRig(tmp_path, registry=registry, keys=keys, files=files)
    rig.order("1.0.0")
    for _ in range(5):
        rig.work(seconds=10)
    files.lift()
    rig.work(seconds=300)
    assert rig.announced_verifies()
    assert rig.desk.report().phase is StagingPhase.STAGED


def test_a_slot_that_was_renamed_holds_nothing(rig: StagerRig) -> None:
    rig.order("1.0.0")
    rig.work()
    announced = rig.announced()
    assert announced is not None
    (rig.slots_root / announced.slot).rename(rig.slots_root / "slot-0123456789abcdef")
    assert rig.slots.bundle_in("slot-0123456789abcdef") is None


def test_a_new_order_does_not_inherit_the_pauses_of_the_last(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    registry.error = UnreachableError("x")
    rig.order("1.0.0")
    for _ in range(2000):
        rig.work(seconds=0.5)
    rig.order("1.0.0", "o2")
    rig.work()
    registry.error = None
    rig.work(seconds=1)
    assert rig.announced_verifies()


def test_nothing_is_told_of_a_download_that_is_over(rig: StagerRig) -> None:
    told = []
    rig.order("1.0.0")
    rig.work(check=lambda: told.append(rig.desk.report().progress))
    assert any(told)
    assert rig.desk.report().progress is None


def test_a_document_of_a_contract_that_we_do_not_know_counts_for_nothing(rig: StagerRig) -> None:
    rig.order("1.0.0")
    rig.work()
    record = replace(rig.journal.record, contract="9.0")
    (rig.slots_root / "staging.json").write_bytes(encode(record))
    assert Journal(rig.slots_root, disk=Disk()).record.phase is StagingPhase.IDLE


def test_what_is_last_known_good_is_barred_by_no_older_rollback(rig: StagerRig) -> None:
    rig.order("1.0.0")
    rig.work()
    announced = rig.announced()
    assert announced is not None
    digest = announced.model.digest
    good = SlotRef(model=announced.model, order="o1", slot=announced.slot)
    before = Activation(contract="1.2", generation=1, blocked=(rollback(digest, "o1"),))
    assert bar_of(before, digest=digest, order="o1") is not None
    assert bar_of(replace(before, last_known_good=good), digest=digest, order="o1") is None
