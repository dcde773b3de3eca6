"""Keys that come and go, and too few that sign: python-tuf's test_updater_key_rotations.py."""

from dataclasses import dataclass

import pytest
from securesystemslib.signer import CryptoSigner
from tests.faults.registry_attacks.station import AttackedStation
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from taktgate.staging.registry.reasons import Distrust
from taktgate.standin.hostile_registry.repository import HostileRegistry

KEYS = [CryptoSigner.generate_ed25519() for _ in range(10)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a role: whose keys it names, how many must sign, and which ones do."""

    keys: list[int]
    threshold: int = 1
    signed_by: list[int]
    refused: Distrust | None = None


V = Version
FIVE = [0, 1, 2, 3, 4]
OTHER_FIVE = [0, 1, 3, 4, 5]
ROOTS = {
    "1-of-1 key rotation": [
        V(keys=[1], signed_by=[1]),
        V(keys=[2], signed_by=[2, 1]),
        V(keys=[2], signed_by=[2]),
    ],
    "1-of-1 key rotation, unused signatures": [
        V(keys=[1], signed_by=[3, 1, 4]),
        V(keys=[2], signed_by=[3, 2, 1, 4]),
        V(keys=[2], signed_by=[3, 2, 4]),
    ],
    "1-of-1 key rotation fail: not signed with old key": [
        V(keys=[1], signed_by=[1]),
        V(keys=[2], signed_by=[2, 3, 4], refused=Distrust.UNSIGNED),
    ],
    "1-of-1 key rotation fail: not signed with new key": [
        V(keys=[1], signed_by=[1]),
        V(keys=[2], signed_by=[1, 3, 4], refused=Distrust.UNSIGNED),
    ],
    "3-of-5, sign with different keycombos": [
        V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
        V(keys=FIVE, threshold=3, signed_by=[0, 4, 1]),
        V(keys=FIVE, threshold=3, signed_by=[0, 1, 3]),
        V(keys=FIVE, threshold=3, signed_by=[0, 1, 3]),
    ],
    "3-of-5, one key rotated": [
        V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
        V(keys=OTHER_FIVE, threshold=3, signed_by=[0, 4, 1]),
    ],
    "3-of-5, one key rotate fails: not signed with 3 new keys": [
        V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
        V(keys=OTHER_FIVE, threshold=3, signed_by=[0, 2, 4], refused=Distrust.WRONG_THRESHOLD),
    ],
    "3-of-5, one key rotate fails: not signed with 3 old keys": [
        V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
        V(keys=OTHER_FIVE, threshold=3, signed_by=[0, 4, 5], refused=Distrust.WRONG_THRESHOLD),
    ],
    "3-of-5, one key rotated, with intermediate step": [
        V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
        V(keys=OTHER_FIVE, threshold=3, signed_by=[0, 2, 4, 5]),
        V(keys=OTHER_FIVE, threshold=3, signed_by=[0, 4, 5]),
    ],
    "3-of-5, all keys rotated, with intermediate step": [
        V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
        V(keys=[5, 6, 7, 8, 9], threshold=3, signed_by=[0, 2, 4, 5, 6, 7]),
        V(keys=[5, 6, 7, 8, 9], threshold=3, signed_by=[5, 6, 7]),
    ],
    "1-of-3 threshold increase to 2-of-3": [
        V(keys=[1, 2, 3], signed_by=[1]),
        V(keys=[1, 2, 3], threshold=2, signed_by=[1, 2]),
    ],
    "1-of-3 threshold bump to 2-of-3 fails: new threshold not reached": [
        V(keys=[1, 2, 3], signed_by=[1]),
        V(keys=[1, 2, 3], threshold=2, signed_by=[2], refused=Distrust.WRONG_THRESHOLD),
    ],
    "2-of-3 threshold decrease to 1-of-3": [
        V(keys=[1, 2, 3], threshold=2, signed_by=[1, 2]),
        V(keys=[1, 2, 3], signed_by=[1, 2]),
        V(keys=[1, 2, 3], signed_by=[1]),
    ],
    "2-of-3 threshold decr. to 1-of-3 fails: old threshold not reached": [
        V(keys=[1, 2, 3], threshold=2, signed_by=[1, 2]),
        V(keys=[1, 2, 3], signed_by=[1], refused=Distrust.WRONG_THRESHOLD),
    ],
    "1-of-2 threshold increase to 2-of-2": [
        V(keys=[1], signed_by=[1]),
        V(keys=[1, 2], threshold=2, signed_by=[1, 2]),
    ],
}
OTHERS = {
    "1-of-1 key rotation": V(keys=[2], signed_by=[2]),
    "1-of-1 key rotation, unused signatures": V(keys=[1], signed_by=[3, 1, 4]),
    "1-of-1 key rotation fail: not signed with new key": V(
        keys=[2], signed_by=[1, 3, 4], refused=Distrust.UNSIGNED
    ),
    "3-of-5, one key signature wrong: not signed with 3 expected keys": V(
        keys=OTHER_FIVE, threshold=3, signed_by=[0, 2, 4], refused=Distrust.WRONG_THRESHOLD
    ),
    "2-of-5, one key signature missing: threshold not reached": V(
        keys=OTHER_FIVE, threshold=3, signed_by=[0, 4], refused=Distrust.WRONG_THRESHOLD
    ),
    "3-of-5, sign first combo": V(keys=FIVE, threshold=3, signed_by=[0, 2, 4]),
    "3-of-5, sign second combo": V(keys=FIVE, threshold=3, signed_by=[0, 4, 1]),
    "3-of-5, sign third combo": V(keys=FIVE, threshold=3, signed_by=[0, 1, 3]),
    "3-of-5, sign fourth combo": V(keys=FIVE, threshold=3, signed_by=[1, 2, 3]),
    "3-of-5, sign fifth combo": V(keys=FIVE, threshold=3, signed_by=[2, 3, 4]),
    "keys lost: fewer than must sign": V(
        keys=[1, 2], threshold=3, signed_by=[1, 2, 3], refused=Distrust.KEY_LOSS
    ),
}


@pytest.mark.parametrize("versions", ROOTS.values(), ids=ROOTS)
def test_root_rotation(
    registry: HostileRegistry, station: AttackedStation, versions: list[Version]
) -> None:
    registry.root.version = 0
    for version in versions:
        keep_keys(registry, Root.type, version)
        registry.next_root()
    station.trusts_first(registry.roots[1])
    refused = versions[-1].refused
    if refused is None:
        station.accepts()
        assert station.roots() == set(range(1, len(versions) + 1))
        return
    last = len(versions)
    trusted = tuple(f"root_history/{number}.root.json" for number in range(1, last))
    station.refuses(refused, f"role root: version {last}", "must sign", moved=trusted)


@pytest.mark.parametrize("role", [Timestamp.type, Snapshot.type, Targets.type])
@pytest.mark.parametrize("version", OTHERS.values(), ids=OTHERS)
def test_rotation_of_other_keys(
    registry: HostileRegistry, station: AttackedStation, role: str, version: Version
) -> None:
    station.accepts()
    honest = registry.signers[role]
    keep_keys(registry, role, version)
    registry.next_root()
    registry.targets.version += 1
    registry.update_snapshot()
    if version.refused is None:
        station.accepts()
        return
    order = ("timestamp.json", "snapshot.json", "targets.json")
    moved = ("root_history/2.root.json", *order[: order.index(f"{role}.json")])
    station.refuses(version.refused, f"role {role}: version", "root 2", moved=moved)
    keep_keys(registry, role, V(keys=[9], signed_by=[9]))
    registry.next_root()
    station.accepts()
    assert honest, "and the keys of before are not needed for that"


def test_key_that_is_revoked_signs_no_more(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.accepts()
    stolen = registry.signers[Timestamp.type]
    registry.rotate(Timestamp.type)
    registry.next_root()
    new, registry.signers[Timestamp.type] = registry.signers[Timestamp.type], stolen
    registry.timestamp.version += 1
    station.refuses(
        Distrust.UNSIGNED, "role timestamp", "root 2", moved=("root_history/2.root.json",)
    )
    registry.signers[Timestamp.type] = new
    station.accepts()


def test_mirror_that_hides_a_known_root_gains_nothing(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """The new root took a stolen key away: who hides it again must not get the key back."""
    stolen = registry.signers[Timestamp.type]
    registry.rotate(Timestamp.type)
    registry.next_root()
    station.accepts()
    hidden = registry.roots.pop(2)
    new, registry.signers[Timestamp.type] = registry.signers[Timestamp.type], stolen
    registry.timestamp.version += 1
    station.refuses(Distrust.UNSIGNED, "root 2")
    registry.roots[2], registry.signers[Timestamp.type] = hidden, new
    station.accepts()


def test_one_signature_twice_counts_once(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.accepts()
    keep_keys(registry, Timestamp.type, V(keys=[1, 2], threshold=2, signed_by=[1, 2]))
    registry.next_root()
    registry.timestamp.version += 1
    twice = registry.signed(Timestamp.type).replace(
        KEYS[2].public_key.keyid.encode(), KEYS[1].public_key.keyid.encode()
    )
    registry.answers["metadata/timestamp.json"] = twice
    station.refuses(Distrust.MALFORMED, moved=("root_history/2.root.json",))
    registry.answers.clear()
    station.accepts()


def keep_keys(registry: HostileRegistry, role: str, version: Version) -> None:
    """Let the next root name the keys of *version* for *role*, and its signers sign from now on."""
    for keyid in list(registry.root.roles[role].keyids):
        registry.root.revoke_key(keyid, role)
    for number in version.keys:
        registry.root.add_key(KEYS[number].public_key, role)
    registry.root.roles[role].threshold = version.threshold
    registry.signers[role] = [KEYS[number] for number in version.signed_by]
