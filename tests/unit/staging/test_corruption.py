"""State files that a disk has changed: recovered, or a safe default; never a loop of crashes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from taktgate.bundle.signing import TrustedKeys
from taktgate.contracts.activation import Activation, SlotRef
from taktgate.contracts.codec import encode
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.activation import ActivationFile, standing
from taktgate.staging.errors import ActivationUnknownError
from taktgate.staging.garbage import spare
from taktgate.staging.journal import Journal
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import ANNOUNCED
from taktgate.standin.staging import MemoryRegistry, StagerRig

KEPT = ("staging.json", "announced.json")


def damaged(content: bytes) -> Iterator[bytes]:
    """Yield *content* cut at each length, and with each byte flipped: one bit, or all of them."""
    for place in range(len(content)):
        yield content[:place]
        for flip in (0x01, 0x80, 0xFF):
            yield content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :]


def fields(document: object) -> dict[str, object]:
    return {} if document is None else json.loads(encode(document))


def differing(document: object, original: object) -> frozenset[str]:
    """Return which fields a damage has changed, and whether anything is left at all."""
    now, before = fields(document), fields(original)
    changed = {name for name in before if now.get(name) != before[name]}
    return frozenset(changed) if now else frozenset({"all"})


@pytest.fixture
def station(rig: StagerRig) -> StagerRig:
    """Return a station with two slots, the newer one announced and confirmed."""
    for version, order in (("1.0.0", "o1"), ("2.0.0", "o2")):
        rig.order(version, order)
        rig.work(seconds=60)
    announced = rig.announced()
    assert announced is not None
    good = SlotRef(model=announced.model, order="o2", slot=announced.slot)
    rig.activate(Activation(contract="1.2", generation=1, last_known_good=good, settled_order="o1"))
    rig.work()
    return rig


@pytest.mark.parametrize("name", ["staging.json", "announced.json"])
def test_a_damaged_document_of_ours_starts_and_announces_only_what_verifies(
    station: StagerRig,
    registry: MemoryRegistry,
    keys: TrustedKeys,
    tmp_path: Path,
    name: str,
) -> None:
    slots, file = station.slots.names(), station.slots_root / name
    whole = {each: (station.slots_root / each).read_bytes() for each in KEPT}
    seen: set[tuple[frozenset[str], ...]] = set()
    for content in damaged(whole[name]):
        file.write_bytes(content)
        read = Journal(station.slots_root, disk=Disk())
        outcome = (
            differing(read.record, station.journal.record),
            differing(read.announced, station.journal.announced),
        )
        if outcome in seen:
            continue  # one of each kind is worked on to the end
        seen.add(outcome)
        restarted = StagerRig(tmp_path, registry=registry, keys=keys)
        restarted.stager.recover()
        restarted.order("2.0.0", "o2")
        for _ in range(3):
            restarted.work()
        assert restarted.journal.record.phase in ANNOUNCED
        assert restarted.announced_verifies()
        assert restarted.slots.names() == slots, "nobody has settled the announced order"
        for each, kept in whole.items():
            (station.slots_root / each).write_bytes(kept)
    assert len(seen) >= 4


def test_a_damaged_record_of_inference_makes_no_announced_slot_spare(station: StagerRig) -> None:
    announced, file = station.announced(), station.state_root / "activation.json"
    assert announced is not None
    content = file.read_bytes().replace(b'"settled_order":"o1"', b'"settled_order":"o2"')
    assert content != file.read_bytes()
    record, unreadable = ActivationFile(path=file), 0
    for each in damaged(content):
        file.write_bytes(each)
        try:
            activation = record.read()
        except ActivationUnknownError:
            unreadable += 1
            continue
        assert announced.slot not in spare(station.slots.names(), activation, announced)
        assert standing(activation, announced) in StagingPhase
    assert unreadable > len(content), "whatever is cut is noticed"
    file.write_bytes(content[:-1])
    slots = station.slots.names()
    station.work()
    assert station.slots.names() == slots


def test_a_lost_announcement_is_made_again_from_its_slot(
    station: StagerRig, registry: MemoryRegistry, keys: TrustedKeys, tmp_path: Path
) -> None:
    downloads = len(registry.downloads)
    before = station.announced()
    (station.slots_root / "announced.json").unlink()
    restarted = StagerRig(tmp_path, registry=registry, keys=keys)
    restarted.stager.recover()
    assert restarted.journal.record.phase is StagingPhase.FETCHING
    restarted.work()
    assert restarted.announced() == before
    assert len(registry.downloads) == downloads
