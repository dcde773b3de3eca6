import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.targets import ReleaseState
from taktgate.contracts.activation import Activation, Refusal, Rollback, SlotRef, Trial
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.activation import ActivationFile
from taktgate.staging.back_off import LONGEST_WISH_S
from taktgate.staging.errors import (
    NotFoundError,
    RetriedError,
    SmokeError,
    SupersededError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from taktgate.standin.staging import MemoryRegistry, MemorySmokeTest, StagerRig, tiny_bundle

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
    downloads = len(registry.downloads)
    assert staged(rig, "1.0.0", "base") == first
    assert len(registry.downloads) == downloads


def test_a_withdrawn_layer_restages_the_older_order_without_a_network(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    first = staged(rig, "1.0.0", "base")
    staged(rig, "2.0.0", "layer")
    registry.error = UnreachableError("x")
    assert staged(rig, "1.0.0", "base") == first


def test_what_was_never_permitted_is_not_announced_from_a_slot_without_a_network(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    staged(rig, "1.0.0", "base")
    second = staged(rig, "2.0.0", "layer")
    registry.heard.clear()
    registry.error = UnreachableError("x")
    rig.order("1.0.0", "base")
    rig.work()
    assert rig.announced() == second
    assert_waits(rig, "UNREACHABLE")


@pytest.mark.parametrize("is_reachable", [True, False])
def test_a_version_that_is_revoked_is_not_announced_from_a_slot(
    rig: StagerRig, registry: MemoryRegistry, is_reachable: bool
) -> None:
    staged(rig, "1.0.0", "base")
    second = staged(rig, "2.0.0", "layer")
    (path,) = [path for path in registry.bundles if "/1.0.0/" in path]
    revoked = {"state": ReleaseState.REVOKED, "note": "cracks pass"}
    registry.facts[path] = registry.facts[path].model_copy(update=revoked)
    registry.heard[path] = replace(registry.heard[path], facts=registry.facts[path])
    registry.error = None if is_reachable else UnreachableError("x")
    rig.order("1.0.0", "base")
    rig.work()
    report = rig.desk.report()
    assert (rig.announced(), report.phase) == (second, StagingPhase.FAILED)
    assert report.lastError is not None
    assert report.lastError.reason == "NOT_PERMITTED"
    assert "cracks pass" in report.lastError.message


def test_every_bundle_is_smoke_tested_before_it_is_announced_also_a_found_one(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    smoke = MemorySmokeTest()
    rig = StagerRig(tmp_path, registry=registry, keys=keys, smoke=smoke)
    staged(rig, "1.0.0", "base")
    second = staged(rig, "2.0.0", "layer")
    smoke.error = SmokeError("NaN")
    rig.order("1.0.0", "base")
    rig.work()
    assert smoke.tested == ["1.0.0", "2.0.0", "1.0.0"]
    assert (rig.announced(), rig.desk.report().phase) == (second, StagingPhase.FAILED)


def test_a_failed_install_is_not_taken_for_done_when_it_is_ordered_again(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    smoke = MemorySmokeTest(error=SmokeError("NaN"))
    rig = StagerRig(tmp_path, registry=registry, keys=keys, smoke=smoke)
    rig.order("1.0.0", "o1")
    rig.work()
    assert_refused(rig, "SMOKE")
    rig.order("1.0.0", "o2")
    rig.work()
    assert_refused(rig, "SMOKE")
    assert len(registry.downloads) == 2, "the retry fetches it again"
    smoke.error = None
    staged(rig, "1.0.0", "o3")
    assert len(registry.downloads) == 3
    assert rig.announced_verifies()


def test_a_smoke_test_that_cannot_run_is_tried_again_but_not_for_ever(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    smoke = MemorySmokeTest(error=RetriedError("no memory for a sandbox"))
    rig = StagerRig(tmp_path, registry=registry, keys=keys, smoke=smoke)
    rig.order("1.0.0", "o1")
    for _ in range(100):
        rig.work(seconds=400)
    report = rig.desk.report()
    assert report.phase is StagingPhase.FAILED
    assert report.lastError is not None
    assert report.lastError.reason == "TRANSITION_LOOP"
    assert "no memory" in report.lastError.message
    assert 10 < len(smoke.tested) < 60
    assert len(registry.downloads) == 1, "what was fetched once is tested again"


def test_a_slot_that_is_gone_is_downloaded_again(rig: StagerRig, registry: MemoryRegistry) -> None:
    first = staged(rig, "1.0.0", "base")
    staged(rig, "2.0.0", "layer")
    shutil.rmtree(rig.slots_root / first.slot)
    assert staged(rig, "1.0.0", "base") == first
    assert len(registry.downloads) == 3
    assert rig.announced_verifies()


def test_a_slot_that_rotted_is_replaced(rig: StagerRig, registry: MemoryRegistry) -> None:
    first = staged(rig, "1.0.0", "base")
    staged(rig, "2.0.0", "layer")
    (rig.slots_root / first.slot / "model.onnx").write_bytes(b"rot")
    assert staged(rig, "1.0.0", "base") == first
    assert len(registry.downloads) == 3
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


@pytest.mark.parametrize("error", [NotFoundError("x"), TooLargeError("x")])
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
    for _ in range(2600):
        before = len(registry.fetched)
        rig.work(seconds=0.5)
        if len(registry.fetched) > before:
            moments.append(rig.now_s)
    pauses = [round(b - a, 1) for a, b in itertools.pairwise(moments)]
    expected = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0, 300.0]
    assert pauses[:12] == pytest.approx(expected, abs=0.61)
    report = rig.desk.report()
    assert report.phase is StagingPhase.FETCHING
    assert report.lastError is not None
    registry.error = None
    rig.work(seconds=300)
    assert rig.announced_verifies()
    assert rig.desk.report().lastError is None


def test_the_next_try_is_told_and_not_before_the_registry_wants_it(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    registry.error = UnreachableError("429")
    registry.error.retry_after_s = 90.0
    rig.order("1.0.0")
    rig.work()
    error = rig.desk.report().lastError
    assert error is not None
    assert error.retryAt == "2026-11-22T12:01:30+00:00"
    rig.work(seconds=89)
    assert len(registry.fetched) == 1
    rig.work(seconds=1)
    assert len(registry.fetched) == 2


def test_no_registry_makes_us_wait_for_longer_than_an_hour(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    registry.error = UnreachableError("429")
    registry.error.retry_after_s = 1e9
    rig.order("1.0.0")
    rig.work()
    rig.work(seconds=LONGEST_WISH_S)
    assert len(registry.fetched) == 2


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


def assert_waits(rig: StagerRig, reason: str) -> None:
    report = rig.desk.report()
    assert report.phase is StagingPhase.FETCHING
    assert report.lastError is not None
    assert report.lastError.reason == reason


def assert_refused(rig: StagerRig, reason: str) -> None:
    report = rig.desk.report()
    assert report.phase is StagingPhase.FAILED
    assert report.lastError is not None
    assert report.lastError.reason == reason
    assert rig.announced() is None
    assert [path.name for path in rig.slots_root.iterdir()] == ["staging.json"]


def test_the_phase_follows_what_inference_makes_of_the_announcement(rig: StagerRig) -> None:
    announced = staged(rig, "1.0.0", "o1")
    good = replace(EMPTY, last_known_good=slot_of(announced), settled_order="o1")
    back = rollback(announced)
    steps = [
        (trial_of(slot_of(announced)), StagingPhase.TRIAL),
        (EMPTY, StagingPhase.STAGED),
        (trial_of(slot_of(announced)), StagingPhase.TRIAL),
        (good, StagingPhase.CONFIRMED),
        (replace(good, blocked=(back,), halt=back), StagingPhase.BLOCKED),
    ]
    for activation, phase in steps:
        rig.activate(activation)
        rig.work()
        assert rig.desk.report().phase is phase
    rig.activate(good)
    for _ in range(3):
        rig.work()
    assert rig.desk.report().phase is StagingPhase.CONFIRMED


def test_the_trial_of_another_order_is_not_ours(rig: StagerRig) -> None:
    first = staged(rig, "1.0.0", "o1")
    rig.activate(trial_of(replace(slot_of(first), order="operator-1")))
    rig.work()
    assert rig.desk.report().phase is StagingPhase.STAGED


def test_an_order_for_what_is_live_already_is_satisfied_by_inference_alone(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    first = staged(rig, "1.0.0", "o1")
    rig.activate(replace(EMPTY, last_known_good=slot_of(first), settled_order="o1"))
    again = staged(rig, "1.0.0", "o2")
    assert (again.model, again.slot, again.order) == (first.model, first.slot, "o2")
    assert rig.desk.report().phase is StagingPhase.STAGED
    good = replace(slot_of(first), order="o2")
    rig.activate(replace(EMPTY, last_known_good=good, settled_order="o2"))
    rig.work()
    assert rig.desk.report().phase is StagingPhase.CONFIRMED
    assert len(registry.downloads) == 1


def test_what_was_rolled_back_is_barred_under_every_order_seen_since(rig: StagerRig) -> None:
    bad = staged(rig, "2.0.0", "o2")
    seen = replace(EMPTY, blocked=(rollback(bad),), orders_since=("o2", "o1"))
    rig.activate(replace(seen, settled_order="o1"))
    rig.order("2.0.0", "o1")
    rig.work()
    assert rig.desk.report().phase is StagingPhase.BLOCKED
    rig.work()
    assert rig.desk.report().phase is StagingPhase.BLOCKED
    staged(rig, "2.0.0", "o3")


def test_what_is_barred_is_not_even_downloaded(rig: StagerRig, registry: MemoryRegistry) -> None:
    bad = staged(rig, "2.0.0", "o2")
    staged(rig, "1.0.0", "o1")
    shutil.rmtree(rig.slots_root / bad.slot)
    rig.activate(replace(EMPTY, blocked=(rollback(bad),)))
    downloads = len(registry.downloads)
    rig.order("2.0.0", "o2")
    rig.work()
    assert rig.desk.report().phase is StagingPhase.BLOCKED
    assert len(registry.downloads) == downloads


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


def refuse(rig: StagerRig, announced: StagedModel) -> None:
    """Let inference say that it could not load what is announced."""
    refused = Refusal.of(announced, "DIGEST", "x")
    rig.activate(Activation(contract="1.2", generation=1, refused=refused))


def rot(rig: StagerRig, announced: StagedModel) -> None:
    (rig.slots_root / announced.slot / "model.onnx").write_bytes(b"rot")


def test_a_slot_that_rotted_before_inference_loaded_it_is_staged_again_without_a_restart(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    announced = staged(rig, "1.0.0")
    rot(rig, announced)
    rig.work()
    assert rig.desk.report().phase is StagingPhase.STAGED, "nobody has seen it yet"
    refuse(rig, announced)
    rig.work()
    assert rig.desk.report().phase is StagingPhase.FETCHING
    rig.work()
    assert rig.announced_verifies()
    assert rig.announced() == replace(announced, renewed=1)
    assert len(registry.downloads) == 2


def test_a_sound_slot_that_inference_refuses_is_looked_into_once_and_stays(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    announced = staged(rig, "1.0.0")
    refuse(rig, announced)
    rig.work()
    rot(rig, announced)
    for _ in range(3):
        rig.work()
    assert (rig.desk.report().phase, len(registry.downloads)) == (StagingPhase.STAGED, 1)


def test_a_refusal_that_was_taken_back_is_looked_into_when_it_comes_again(rig: StagerRig) -> None:
    announced = staged(rig, "1.0.0")
    refuse(rig, announced)
    rig.work()
    rig.activate(Activation(contract="1.2", generation=2))
    rig.work()
    rot(rig, announced)
    refuse(rig, announced)
    rig.work()
    assert rig.desk.report().phase is StagingPhase.FETCHING


def test_a_refusal_of_what_was_announced_before_says_nothing_of_what_is_announced_now(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    announced = staged(rig, "1.0.0")
    rot(rig, announced)
    refuse(rig, announced)
    rig.work()
    rig.work()
    rot(rig, announced)
    for _ in range(3):
        rig.work()
    assert (rig.desk.report().phase, len(registry.downloads)) == (StagingPhase.STAGED, 2)


def test_each_announcement_of_a_model_under_one_order_has_its_own_number(rig: StagerRig) -> None:
    numbers = []
    for version, order in [("1.0.0", "o1")] * 3 + [("1.0.0", "o2"), ("1.0.0", "o1")]:
        rig.desk.take({})
        rig.work()
        numbers.append(staged(rig, version, order).renewed)
    assert numbers == [0, 1, 2, 0, 0]


def test_a_first_announcement_says_nothing_that_inferences_of_before_do_not_know(
    rig: StagerRig,
) -> None:
    staged(rig, "1.0.0")
    document = json.loads((rig.slots_root / "announced.json").read_bytes())
    assert document.keys() == {"contract", "model", "order", "slot", "activation"}


def test_slot_digests_are_of_the_model_they_hold(rig: StagerRig) -> None:
    announced = staged(rig, "1.0.0")
    assert announced.model == ModelRef(
        name="weld-seam", version="1.0.0", digest=announced.model.digest
    )


def test_a_restart_drops_what_a_power_cut_left_of_a_refused_download(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    registry.error = NotFoundError("x")
    rig.order("1.0.0")
    rig.work()
    left = rig.slots.spool_path("0" * 64)
    left.write_bytes(b"half of an archive")
    rig.stager.recover()
    assert rig.desk.report().phase is StagingPhase.FAILED
    assert not left.exists()
