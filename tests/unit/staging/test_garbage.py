from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.contracts.activation import Activation, SlotRef, Trial
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.edge.settings import StagingSettings
from taktgate.staging.errors import DiskFullError, NeverFitsError, QuotaError
from taktgate.staging.garbage import spare
from taktgate.staging.slots.quota import MB, Quota, Usage
from taktgate.standin.staging import MemoryRegistry, StagerRig, tiny_bundle

SLOTS = tuple(f"slot-{each:016x}" for each in range(6))
ORDERS = ("o1", "o2", "o3")


def model_in(slot: str) -> ModelRef:
    return ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + slot[-1] * 64)


REFS = st.builds(
    lambda slot, order: SlotRef(model=model_in(slot), order=order, slot=slot),
    st.sampled_from(SLOTS),
    st.sampled_from(ORDERS),
)
ANNOUNCED = st.none() | st.builds(
    lambda slot, order: StagedModel(
        contract="1.2",
        model=model_in(slot),
        order=order,
        slot=slot,
        activation=ActivationPolicy.IMMEDIATE,
    ),
    st.sampled_from(SLOTS),
    st.sampled_from(ORDERS),
)
ACTIVATIONS = st.none() | st.builds(
    Activation,
    contract=st.just("1.2"),
    generation=st.integers(0, 9),
    last_known_good=st.none() | REFS,
    previous_good=st.none() | REFS,
    trial=st.none() | st.builds(Trial, candidate=REFS, attempts=st.just(1)),
    settled_order=st.none() | st.sampled_from(ORDERS),
    has_forgotten=st.booleans(),
)


@given(st.frozensets(st.sampled_from(SLOTS)), ACTIVATIONS, ANNOUNCED)
def test_nothing_in_use_is_ever_spare(
    names: frozenset[str], activation: Activation | None, announced: StagedModel | None
) -> None:
    doomed = spare(names, activation, announced)
    assert doomed <= names
    if activation is None or activation.has_forgotten or activation.trial is not None:
        assert doomed == frozenset()
    else:
        used = (activation.last_known_good, activation.previous_good)
        assert doomed.isdisjoint(ref.slot for ref in used if ref is not None)
    if announced is not None:
        assert announced.slot not in doomed


@given(st.frozensets(st.sampled_from(SLOTS)), ACTIVATIONS, ANNOUNCED)
def test_slots_go_only_once_inference_has_settled_what_is_announced(
    names: frozenset[str], activation: Activation | None, announced: StagedModel | None
) -> None:
    if spare(names, activation, announced):
        assert activation is not None
        assert announced is not None
        assert activation.settled_order == announced.order


@given(*[st.sampled_from(SLOTS)] * 3)
def test_once_it_is_settled_all_goes_but_what_is_in_use(
    good: str, before: str, announced: str
) -> None:
    def ref(slot: str) -> SlotRef:
        return SlotRef(model=model_in(slot), order="o1", slot=slot)

    activation = Activation(
        contract="1.2",
        generation=1,
        last_known_good=ref(good),
        previous_good=ref(before),
        settled_order="o1",
    )
    notice = StagedModel(
        contract="1.2",
        model=model_in(announced),
        order="o1",
        slot=announced,
        activation=ActivationPolicy.IMMEDIATE,
    )
    assert spare(set(SLOTS), activation, notice) == set(SLOTS) - {good, before, announced}


QUOTA = Quota(most=100 * MB, reserve=10 * MB)


def test_a_bundle_that_can_never_fit_is_refused() -> None:
    QUOTA.require_possible(archive=40 * MB, unpacked=60 * MB)
    with pytest.raises(NeverFitsError, match="needs 101 MB"):
        QUOTA.require_possible(archive=40 * MB, unpacked=60 * MB + 1)


def test_room_is_the_quotas_rest_and_the_volumes_without_its_reserve() -> None:
    QUOTA.require_room(30 * MB, Usage(used=70 * MB, free=40 * MB, slots=1))
    with pytest.raises(QuotaError):
        QUOTA.require_room(30 * MB + 1, Usage(used=70 * MB, free=500 * MB, slots=1))
    with pytest.raises(DiskFullError):
        QUOTA.require_room(30 * MB + 1, Usage(used=0, free=40 * MB, slots=1))


def rig_with(most: int, tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys) -> StagerRig:
    settings = StagingSettings(quota_mb=16, reserve_mb=0)
    exact = settings.model_copy(update={"quota_mb": most / MB})
    return StagerRig(tmp_path, registry=registry, keys=keys, settings=exact)


def work_on(rig: StagerRig, version: str, order: str) -> str | None:
    """Return the reason why *version* is not staged."""
    rig.order(version, order)
    rig.work(seconds=300)
    error = rig.desk.report().lastError
    return None if error is None else error.reason


def test_a_refusal_for_size_comes_before_the_download(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    rig = rig_with(2_000, tmp_path, registry, keys)
    assert work_on(rig, "1.0.0", "o1") == "NEVER_FITS"
    assert rig.desk.report().phase is StagingPhase.FAILED
    assert registry.downloads == []


def needed(registry: MemoryRegistry, version: str) -> int:
    """Return the bytes that *version* takes while it is unpacked."""
    (path,) = [path for path in registry.bundles if f"/{version}/" in path]
    return len(registry.bundles[path]) + registry.facts[path].unpacked_bytes


def test_an_announced_slot_is_not_removed_for_a_bundle_that_needs_its_room(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    rig = rig_with(needed(registry, "2.0.0") + 1000, tmp_path, registry, keys)
    assert work_on(rig, "1.0.0", "o1") is None
    first = rig.announced()
    assert first is not None
    assert work_on(rig, "2.0.0", "o2") == "QUOTA"
    assert rig.desk.report().phase is StagingPhase.FETCHING
    assert rig.slots.names() == {first.slot}
    assert rig.announced() == first
    assert registry.downloads == [path for path in registry.bundles if "/1.0.0/" in path]


def test_a_download_that_goes_on_needs_room_for_its_rest_alone(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    rig = rig_with(needed(registry, "2.0.0") + 1500, tmp_path, registry, keys)

    def hold_half_way() -> None:
        rig.now_s += 1
        if (progress := rig.stager.progress) and progress.fetchedBytes * 2 >= progress.totalBytes:
            rig.hold("x")

    rig.order("2.0.0", "o2")
    rig.work(check=hold_half_way)
    assert rig.slots.spooled_bytes() > 1500
    rig.hold(None)
    rig.work()
    assert work_on(rig, "2.0.0", "o2") is None
    assert rig.announced_verifies()


def test_spare_slots_go_for_a_bundle_that_needs_their_room(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys, key: SigningKey
) -> None:
    registry.add("weld-seam", "3.0.0", tiny_bundle(tmp_path, key, version="3.0.0"))
    roomy = rig_with(10**9, tmp_path, registry, keys)
    assert work_on(roomy, "1.0.0", "o1") is None
    assert work_on(roomy, "2.0.0", "o2") is None
    second = roomy.announced()
    assert second is not None
    room = roomy.slots.usage().used + needed(registry, "3.0.0") - 1000
    good = SlotRef(model=second.model, order="o2", slot=second.slot)
    tight = rig_with(room, tmp_path, registry, keys)
    tight.activate(Activation(contract="1.2", generation=1, last_known_good=good))
    assert work_on(tight, "3.0.0", "o3") == "QUOTA", "inference has not settled what is announced"
    assert len(tight.slots.names()) == 2
    settled = Activation(contract="1.2", generation=2, last_known_good=good, settled_order="o2")
    tight.activate(settled)
    assert work_on(tight, "3.0.0", "o4") is None
    third = tight.announced()
    assert third is not None
    assert tight.slots.names() == {second.slot, third.slot}
