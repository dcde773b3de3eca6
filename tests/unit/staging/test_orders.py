import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.contracts.activation import Activation, Rollback, SlotRef, Trial
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.activation import ActivationFile
from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    SupersededError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from taktgate.standin.staging import MemoryRegistry, StagerRig, tiny_bundle

EMPTY = Activation(contract="1.0", generation=1)


def staged(rig: StagerRig, version: str, order: str = "o1") -> StagedModel:
    rig.order(version, order)
    rig.work(seconds=60)
    announced = rig.announced()
    assert announced is not None
    assert announced.model.version == version
    return announced


def slot_of(announced: StagedModel) -> SlotRef:
    return SlotRef(model=announced.model, order=announced.order, slot=announced.slot)


def rollback(announced: StagedModel) -> Rollback:
    return Rollback(
        digest=announced.model.digest,
        order=announced.order,
        reason="REJECT_RATE",
        figures={},
        message="five times the baseline",
        at="2026-11-22T00:00:00Z",
    )


def trial_of(candidate: SlotRef, last_known_good: SlotRef | None = None) -> Activation:
    trial = Trial(candidate=candidate, attempts=1)
    return replace(EMPTY, last_known_good=last_known_good, trial=trial)


def test_an_order_becomes_a_verified_announced_slot(rig: StagerRig) -> None:
    announced = staged(rig, "1.0.0")
    assert rig.announced_verifies()
    assert announced.activation is ActivationPolicy.IMMEDIATE
    report = rig.desk.report()
    assert (report.phase, report.order, report.lastError) == (StagingPhase.STAGED, "o1", None)
    assert report.staged == announced.model
    assert announced.slot == "slot-" + announced.model.digest.removeprefix("sha256:")[:16]
    assert not [path.name for path in rig.slots_root.glob(".*")]


def test_the_same_twin_again_is_no_work(rig: StagerRig, registry: MemoryRegistry) -> None:
    staged(rig, "1.0.0")
    staged(rig, "1.0.0")
    assert len(registry.fetched) == 1


def test_a_withdrawn_layer_restages_the_older_order_without_a_download(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    first = staged(rig, "1.0.0", "base")
    staged(rig, "2.0.0", "layer")
    assert staged(rig, "1.0.0", "base") == first
    assert len(registry.fetched) == 2


def test_a_slot_that_is_gone_is_downloaded_again(rig: StagerRig, registry: MemoryRegistry) -> None:
    first = staged(rig, "1.0.0", "base")
    staged(rig, "2.0.0", "layer")
    shutil.rmtree(rig.slots_root / first.slot)
    assert staged(rig, "1.0.0", "base") == first
    assert len(registry.fetched) == 3
    assert rig.announced_verifies()


def test_a_slot_that_rotted_is_replaced(rig: StagerRig, registry: MemoryRegistry) -> None:
    first = staged(rig, "1.0.0", "base")
    staged(rig, "2.0.0", "layer")
    (rig.slots_root / first.slot / "model.onnx").write_bytes(b"rot")
    assert staged(rig, "1.0.0", "base") == first
    assert len(registry.fetched) == 3
    assert rig.announced_verifies()


@pytest.mark.parametrize("document", [{}, {"model": None}, {"repository": "https://x"}])
def test_no_model_asks_for_nothing_and_unstages_nothing(
    rig: StagerRig, document: dict[str, object]
) -> None:
    announced = staged(rig, "1.0.0")
    rig.desk.take(document)
    rig.work()
    report = rig.desk.report()
    assert (report.phase, report.order, report.staged) == (
        StagingPhase.IDLE,
        None,
        announced.model,
    )
    assert rig.announced() == announced


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": {"name": "weld-seam", "version": "1.0.0"}}, "model.order"),
        ({"model": {"name": "../x", "version": "1", "order": "o"}}, "model.name"),
        ({"model": {"name": "x", "version": "../1", "order": "o"}}, "model.version"),
        ({"model": 7}, "model"),
        ({"modle": {}}, "modle"),
        ({"repository": "ftp://x"}, "repository"),
        ({"repository": None}, "repository"),
        ({"repository": "http://[x"}, "repository"),
        ({"repository": "https://a..b"}, "repository"),
        ({"repository": "http://127.0.0.1:99999"}, "repository"),
        ({"repository": "https://user:pw@host:bad/"}, "repository"),
        ({"repository": "http://127.0.0.1:1/modèles"}, "repository"),
        ({"repository": "http://127.0.0.1:1/a b"}, "repository"),
        ({"repository": "file:///a%00b"}, "repository"),
        ({"repository": "http://"}, "repository"),
    ],
)
def test_a_malformed_twin_is_reported_with_field_and_rule_and_changes_nothing(
    rig: StagerRig, changes: dict[str, object], field: str
) -> None:
    announced = staged(rig, "1.0.0")
    rig.order("2.0.0", "o2", **changes)
    rig.work()
    report = rig.desk.report()
    assert (report.phase, report.order) == (StagingPhase.STAGED, "o1")
    assert report.lastError is not None
    assert report.lastError.reason == "BAD_TWIN"
    assert f"field '{field}'" in report.lastError.message
    assert rig.announced() == announced
    rig.order("1.0.0")
    rig.work()
    assert rig.desk.report().lastError is None


def test_a_malformed_repository_is_not_quoted_since_it_may_hold_a_secret(rig: StagerRig) -> None:
    rig.order("1.0.0", repository="https://me:geheim@models.example")
    error = rig.desk.report().lastError
    assert error is not None
    assert error.reason == "BAD_TWIN"
    assert "must not hold a user or password" in error.message
    assert "geheim" not in error.message


@pytest.mark.parametrize("error", [NotFoundError("x"), DeniedError("x"), TooLargeError("x")])
def test_what_the_registry_refuses_fails_and_is_not_tried_again_under_this_order(
    rig: StagerRig, registry: MemoryRegistry, error: Exception
) -> None:
    registry.error = error
    rig.order("1.0.0")
    rig.work()
    registry.error = None
    rig.work(seconds=3600)
    report = rig.desk.report()
    assert report.phase is StagingPhase.FAILED
    assert report.lastError is not None
    assert (report.lastError.order, len(registry.fetched)) == ("o1", 1)
    staged(rig, "1.0.0", "o2")


@pytest.mark.parametrize("error", [UnreachableError("x"), TooSlowError("x")])
def test_an_unreachable_registry_is_asked_again_with_growing_pauses(
    rig: StagerRig, registry: MemoryRegistry, error: Exception
) -> None:
    registry.error = error
    rig.order("1.0.0")
    moments = []
    for _ in range(1200):
        before = len(registry.fetched)
        rig.work(seconds=0.1)
        if len(registry.fetched) > before:
            moments.append(rig.now_s)
    pauses = [round(b - a, 1) for a, b in itertools.pairwise(moments)]
    assert pauses[:7] == pytest.approx([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0], abs=0.11)
    report = rig.desk.report()
    assert report.phase is StagingPhase.FETCHING
    assert report.lastError is not None
    registry.error = None
    staged(rig, "1.0.0")
    assert rig.desk.report().lastError is None


def test_a_bundle_by_another_key_is_refused(
    rig: StagerRig, registry: MemoryRegistry, tmp_path: Path
) -> None:
    stranger = SigningKey.generate()
    registry.add("weld-seam", "3.0.0", tiny_bundle(tmp_path, stranger, version="3.0.0"))
    rig.order("3.0.0")
    rig.work()
    assert_refused(rig, "SIGNATURE")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "9.9.9"}, "OTHER_MODEL"),
        ({"name": "other"}, "OTHER_MODEL"),
        ({"device_class": "jetson"}, "INCOMPATIBLE"),
        ({"opset": 99}, "INCOMPATIBLE"),
    ],
)
def test_a_sound_bundle_that_does_not_fit_is_refused(
    rig: StagerRig,
    registry: MemoryRegistry,
    key: SigningKey,
    tmp_path: Path,
    change: dict[str, object],
    reason: str,
) -> None:
    registry.add("weld-seam", "3.0.0", tiny_bundle(tmp_path, key, version="3.0.0", changes=change))
    rig.order("3.0.0")
    rig.work()
    assert_refused(rig, reason)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_damaged_archive_is_refused(rig: StagerRig, registry: MemoryRegistry, cut: int) -> None:
    (url,) = [url for url in registry.bundles if "/1.0.0/" in url]
    registry.bundles[url] = registry.bundles[url][:cut] or b"nothing"
    rig.order("1.0.0")
    rig.work()
    assert_refused(rig, "ARCHIVE")


def assert_refused(rig: StagerRig, reason: str) -> None:
    report = rig.desk.report()
    assert report.phase is StagingPhase.FAILED
    assert report.lastError is not None
    assert report.lastError.reason == reason
    assert rig.announced() is None
    assert [path.name for path in rig.slots_root.iterdir()] == ["staging.json"]


def test_while_a_trial_runs_new_orders_wait_and_say_so(rig: StagerRig) -> None:
    first = staged(rig, "1.0.0", "o1")
    rig.activate(trial_of(slot_of(first)))
    rig.order("2.0.0", "o2")
    rig.work(seconds=60)
    report = rig.desk.report()
    assert (report.phase, report.order) == (StagingPhase.STAGED, "o1")
    assert report.lastError is not None
    assert (report.lastError.reason, report.lastError.order) == ("TRIAL_RUNNING", "o2")
    assert rig.announced() == first
    rig.activate(replace(EMPTY, last_known_good=slot_of(first), settled_order="o1"))
    rig.work(seconds=1)
    assert rig.desk.report().order == "o2"
    assert rig.desk.report().lastError is None


def test_a_trial_that_starts_while_we_stage_keeps_its_announcement(rig: StagerRig) -> None:
    first = staged(rig, "1.0.0", "o1")
    rig.order("2.0.0", "o2")
    rig.work(check=lambda: rig.activate(trial_of(slot_of(first))))
    assert rig.announced() == first
    report = rig.desk.report()
    assert report.phase is StagingPhase.FETCHING
    assert report.lastError is not None
    assert report.lastError.reason == "TRIAL_RUNNING"
    rig.activate(replace(EMPTY, last_known_good=slot_of(first), settled_order="o1"))
    rig.work(seconds=1)
    assert rig.desk.report().phase is StagingPhase.STAGED


def test_a_rolled_back_digest_is_blocked_until_the_order_changes(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    staged(rig, "1.0.0", "o1")
    bad = staged(rig, "2.0.0", "o2")
    rig.activate(replace(EMPTY, blocked=(rollback(bad),), settled_order="o2"))
    rig.work()
    report = rig.desk.report()
    assert report.phase is StagingPhase.BLOCKED
    assert report.lastError is not None
    assert "REJECT_RATE: five times the baseline" in report.lastError.message
    staged(rig, "1.0.0", "o1")
    rig.order("2.0.0", "o2")
    rig.work()
    assert rig.desk.report().phase is StagingPhase.BLOCKED
    announced = rig.announced()
    assert announced is not None
    assert announced.model.version == "1.0.0"
    staged(rig, "2.0.0", "o3")


def test_a_cleared_rollback_is_announced_again(rig: StagerRig) -> None:
    bad = staged(rig, "2.0.0", "o2")
    rig.activate(replace(EMPTY, blocked=(rollback(bad),), settled_order="o2"))
    rig.work()
    rig.activate(EMPTY)
    rig.work()
    rig.work()
    assert rig.desk.report().phase is StagingPhase.STAGED


def test_the_stager_makes_way_as_soon_as_a_model_may_judge_parts(rig: StagerRig) -> None:
    record = ActivationFile(path=rig.state_root / "activation.json")
    assert not record.may_be_in_use()
    rig.activate(EMPTY)
    assert not record.may_be_in_use()
    rig.activate(replace(EMPTY, last_known_good=slot_of(staged(rig, "1.0.0", "o1"))))
    assert record.may_be_in_use()
    rig.activate(replace(EMPTY, has_forgotten=True))
    assert record.may_be_in_use(), "a model may judge that is on no record"
    record.path.write_bytes(b"{")
    assert record.may_be_in_use(), "nobody can say"


@pytest.mark.parametrize("content", [b"", b"{", b'{"contract": "9.0", "generation": 1}'])
def test_an_unreadable_activation_record_stops_new_orders(rig: StagerRig, content: bytes) -> None:
    first = staged(rig, "1.0.0", "o1")
    (rig.state_root / "activation.json").write_bytes(content)
    rig.order("2.0.0", "o2")
    rig.work()
    report = rig.desk.report()
    assert report.lastError is not None
    assert report.lastError.reason == "ACTIVATION"
    assert rig.announced() == first
    assert rig.slots.names() == {first.slot}


def test_a_newer_order_ends_the_download_of_an_older_one(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    def newer_comes() -> None:
        rig.order("2.0.0", "o2")
        if rig.desk.has_newer_order:
            raise SupersededError

    rig.order("1.0.0", "o1")
    assert rig.work(check=newer_comes) == 0.0
    rig.work()
    assert rig.desk.report().order == "o2"
    assert rig.announced_verifies()
    assert len(registry.fetched) == 2
    assert not list(rig.slots_root.glob(".*"))


def test_slots_in_use_are_never_collected_and_others_only_once_the_newest_is_settled(
    rig: StagerRig, registry: MemoryRegistry, key: SigningKey, tmp_path: Path
) -> None:
    registry.add("weld-seam", "3.0.0", tiny_bundle(tmp_path, key, version="3.0.0"))
    first, second = staged(rig, "1.0.0", "o1"), staged(rig, "2.0.0", "o2")
    third = staged(rig, "3.0.0", "o3")
    good = replace(EMPTY, last_known_good=slot_of(first))
    rig.activate(replace(good, settled_order="o2"))
    rig.work()
    assert rig.slots.names() == {first.slot, second.slot, third.slot}
    rig.activate(replace(good, settled_order="o3"))
    rig.work()
    assert rig.slots.names() == {first.slot, third.slot}


def test_slots_do_not_pile_up_on_a_station_without_inference(
    rig: StagerRig, registry: MemoryRegistry, key: SigningKey, tmp_path: Path
) -> None:
    for number in range(8):
        version = f"5.{number}.0"
        registry.add("weld-seam", version, tiny_bundle(tmp_path, key, version=version))
        staged(rig, version, version)
        rig.work()
    assert len(rig.slots.names()) <= 5
    assert rig.announced_verifies()


def test_a_restart_goes_on_with_the_order_before_any_twin_came(
    rig: StagerRig, registry: MemoryRegistry, keys: TrustedKeys, tmp_path: Path
) -> None:
    registry.error = UnreachableError("x")
    rig.order("1.0.0", "o1")
    rig.work()
    registry.error = None
    restarted = StagerRig(tmp_path, registry=registry, keys=keys)
    restarted.stager.recover()
    restarted.work()
    assert restarted.announced_verifies()


def test_a_restart_repairs_a_staged_slot_that_rotted(
    rig: StagerRig, registry: MemoryRegistry, keys: TrustedKeys, tmp_path: Path
) -> None:
    announced = staged(rig, "1.0.0")
    (rig.slots_root / announced.slot / "model.onnx").write_bytes(b"rot")
    restarted = StagerRig(tmp_path, registry=registry, keys=keys)
    restarted.stager.recover()
    assert restarted.desk.report().phase is StagingPhase.FETCHING
    restarted.work()
    assert restarted.announced_verifies()


def test_slot_digests_are_of_the_model_they_hold(rig: StagerRig) -> None:
    announced = staged(rig, "1.0.0")
    assert announced.model == ModelRef(
        name="weld-seam", version="1.0.0", digest=announced.model.digest
    )
