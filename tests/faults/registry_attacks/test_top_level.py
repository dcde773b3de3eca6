"""Attacks on root, timestamp, snapshot, targets: python-tuf's test_updater_top_level_update.py."""

from contextlib import suppress
from datetime import timedelta

import pytest
from tests.faults.registry_attacks.station import AttackedStation
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from taktgate.staging.errors import StagingError
from taktgate.staging.registry.limits import MOST_VERSION, RegistryLimits
from taktgate.staging.registry.reasons import Distrust
from taktgate.standin.hostile_registry.repository import HostileRegistry, in_days

EVERYTHING = ("timestamp.json", "snapshot.json", "targets.json", "class.cpu.json")
ROOT_1 = "root_history/1.root.json"
ROOT_2 = "root_history/2.root.json"


def test_first_refresh_keeps_what_was_trusted(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.next_root()
    station.accepts()
    kept = {str(path.relative_to(station.trust)) for path in station.trust.rglob("*.json")}
    assert kept == {ROOT_1, ROOT_2, *EVERYTHING, "clock.json"}
    assert (station.trust / ROOT_2).read_bytes() == registry.roots[2]


def test_missing_first_root_is_named(station: AttackedStation) -> None:
    station.is_without_first_root()
    station.refuses(Distrust.TRUSTED_ROOT, "trusted_root.json", judge=False)


def test_unsigned_first_root_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    unsigned = Metadata.from_bytes(registry.roots[1])
    unsigned.signatures.clear()
    station.trusts_first(unsigned.to_bytes())
    station.refuses(Distrust.TRUSTED_ROOT, "trusted_root.json")


def test_first_root_of_another_type_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.trusts_first(registry.signed(Snapshot.type))
    station.refuses(Distrust.TRUSTED_ROOT)


def test_expired_root_is_refused_until_a_newer_one_comes(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.root.expires = in_days(-5)
    registry.next_root()
    station.refuses(Distrust.EXPIRED, "role root: version 2", moved=(ROOT_1, ROOT_2))
    registry.root.expires = in_days(5)
    registry.next_root()
    station.accepts()
    assert station.roots() == {1, 2, 3}


def test_expired_root_in_between_does_not_matter(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.root.expires = in_days(-5)
    registry.next_root()
    registry.root.expires = in_days(5)
    registry.next_root()
    station.accepts()
    assert station.roots() == {1, 2, 3}


def test_more_roots_than_one_refresh_follows_take_several(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """python-tuf goes on with an older root then; we do not, so the judge is not asked."""
    station.started(limits=RegistryLimits(root_rotations=3))
    registry.rotate(Timestamp.type)
    for _ in range(5):
        registry.next_root()
    roots = tuple(f"root_history/{version}.root.json" for version in range(1, 5))
    station.refuses(Distrust.ROOT_CHAIN, "up to version 4", moved=roots, judge=False)
    station.accepts()
    assert station.roots() == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize("is_last", [True, False], ids=["last", "in between"])
def test_unsigned_root_ends_the_chain(
    registry: HostileRegistry, station: AttackedStation, is_last: bool
) -> None:
    station.accepts()
    signers, registry.signers[Root.type] = registry.signers[Root.type], []
    registry.next_root()
    if not is_last:
        registry.signers[Root.type] = signers
        registry.next_root()
    station.refuses(Distrust.UNSIGNED, "role root: version 2", "0 of 1 keys")
    registry.signers[Root.type] = signers
    registry.root.version = 2
    registry.publish_root()
    station.accepts()


@pytest.mark.parametrize("version", [1, 3], ids=["same", "one too far"])
def test_root_that_is_not_the_next_is_refused(
    registry: HostileRegistry, station: AttackedStation, version: int
) -> None:
    station.accepts()
    registry.root.version = version
    registry.publish_root(version=2)
    station.refuses(Distrust.ROOT_CHAIN, f"got version {version}, wanted 2")
    registry.root.version = 2
    registry.publish_root()
    station.accepts()


@pytest.mark.parametrize("role", [Timestamp.type, Snapshot.type, Targets.type, "class.cpu"])
def test_unsigned_metadata_is_refused(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    station.accepts()
    signers, registry.signers[role] = registry.signers[role], []
    made_anew(registry)
    station.refuses(Distrust.UNSIGNED, f"role {role}: version", "0 of 1 keys", moved=before(role))
    registry.signers[role] = signers
    station.accepts()


@pytest.mark.parametrize("role", [Timestamp.type, Snapshot.type, Targets.type, "class.cpu"])
def test_expired_metadata_is_refused(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    station.accepts()
    registry.roles[role].expires = in_days(-5)
    made_anew(registry)
    reason = Distrust.FREEZE if role == Timestamp.type else Distrust.EXPIRED
    station.refuses(reason, f"role {role}: version", "valid until", "clock", moved=before(role))
    registry.roles[role].expires = in_days(5)
    made_anew(registry)
    station.accepts()


def test_frozen_registry_is_refused_though_it_was_trusted(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """The same timestamp is shown on and on: it was good, and time went by."""
    for seconds in (1.5, 6, 24):  # as many as a busy machine needs to be in time once
        registry.timestamp.expires = in_days(seconds / 86_400)
        with suppress(StagingError):
            station.offer()
            break
    in_time = registry.timestamp.expires
    station.waits_until(in_time + timedelta(seconds=1))
    station.refuses(Distrust.FREEZE, "role timestamp: version 2")
    registry.timestamp.expires = in_days(1)
    registry.timestamp.version += 1
    station.accepts()


def test_older_timestamp_is_refused(registry: HostileRegistry, station: AttackedStation) -> None:
    registry.timestamp.version = 5
    station.accepts()
    registry.timestamp.version = 4
    station.refuses(Distrust.ROLLBACK, "role timestamp: got version 4, wanted 5")
    registry.timestamp.version = 6
    station.accepts()


def test_timestamp_that_names_an_older_snapshot_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.update_snapshot()
    station.accepts()
    registry.timestamp.snapshot_meta.version -= 1
    registry.timestamp.version += 1
    station.refuses(Distrust.ROLLBACK, "role timestamp: names snapshot 2, wanted 3")
    registry.update_timestamp()
    station.accepts()


def test_version_that_nobody_reaches_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """python-tuf has no such limit; a report to the hub has one."""
    station.accepts()
    registry.timestamp.version = MOST_VERSION + 1
    station.refuses(Distrust.FAST_FORWARD, f"got version {MOST_VERSION + 1}", judge=False)
    registry.timestamp.version = 9
    station.offer()


def test_fast_forward_of_the_timestamp_is_undone_by_new_keys(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.timestamp.version = 99_999
    station.accepts()
    registry.timestamp.version = 3
    station.refuses(Distrust.ROLLBACK, "got version 3, wanted 99999")
    registry.rotate(Timestamp.type)
    registry.next_root()
    station.accepts()
    assert station.version("timestamp.json") == 3


def test_fast_forward_of_the_snapshot_is_undone_by_new_keys(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.snapshot.version = 99_999
    registry.update_timestamp()
    station.accepts()
    registry.snapshot.version = 3
    registry.update_timestamp()
    station.refuses(Distrust.ROLLBACK, "names snapshot 3, wanted 99999")
    registry.rotate(Snapshot.type)
    registry.rotate(Timestamp.type)
    registry.next_root()
    station.accepts()
    assert station.version("snapshot.json") == 3


@pytest.mark.parametrize("role", [Targets.type, "class.cpu"])
def test_fast_forward_of_targets_is_undone_by_new_snapshot_keys(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    registry.roles[role].version = 99_999
    registry.update_snapshot()
    station.accepts()
    registry.roles[role].version = 2
    registry.update_snapshot()
    station.refuses(
        Distrust.ROLLBACK, f"{role}.json version 2, wanted 99999", moved=("timestamp.json",)
    )
    registry.rotate(Snapshot.type)
    registry.next_root()
    station.accepts()
    assert station.version(f"{role}.json") == 2


def test_snapshot_with_other_hashes_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.says_hashes = True
    registry.update_timestamp()
    station.accepts()
    registry.update_snapshot()
    registry.snapshot.expires += timedelta(days=1)
    station.refuses(
        Distrust.MIX_AND_MATCH, "role snapshot: got version 3, wanted 3", moved=("timestamp.json",)
    )
    registry.update_snapshot()
    station.accepts()


def test_other_snapshot_than_the_timestamp_names_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.accepts()
    registry.update_snapshot()
    registry.snapshot.version += 1
    station.refuses(
        Distrust.MIX_AND_MATCH, "role snapshot: got version 4, wanted 3", moved=("timestamp.json",)
    )
    registry.update_timestamp()
    station.accepts()


def test_older_snapshot_is_refused(registry: HostileRegistry, station: AttackedStation) -> None:
    registry.update_snapshot()
    station.accepts()
    registry.snapshot.version -= 1
    registry.update_timestamp()
    station.refuses(Distrust.ROLLBACK, "names snapshot 2, wanted 3")
    registry.snapshot.version += 1
    registry.update_timestamp()
    station.accepts()


@pytest.mark.parametrize("says_hashes", [False, True], ids=["by version", "by hashes too"])
@pytest.mark.parametrize("role", [Targets.type, "class.cpu"])
def test_snapshot_that_names_older_targets_is_refused(
    registry: HostileRegistry, station: AttackedStation, role: str, says_hashes: bool
) -> None:
    registry.says_hashes = says_hashes
    registry.roles[role].version = 2
    registry.update_snapshot()
    station.accepts()
    registry.roles[role].version = 1
    registry.update_snapshot()
    station.refuses(
        Distrust.ROLLBACK, f"{role}.json version 1, wanted 2", moved=("timestamp.json",)
    )
    registry.roles[role].version = 3
    registry.update_snapshot()
    station.accepts()


def test_snapshot_that_leaves_a_role_out_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.accepts()
    registry.update_snapshot()
    del registry.snapshot.meta["class.cpu.json"]
    station.refuses(Distrust.ROLLBACK, "names class.cpu.json no more", moved=("timestamp.json",))
    registry.update_snapshot()
    station.accepts()


@pytest.mark.parametrize("role", [Targets.type, "class.cpu"])
def test_targets_with_other_hashes_are_refused(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    registry.says_hashes = True
    registry.update_snapshot()
    station.accepts()
    registry.roles[role].version += 1
    registry.snapshot.meta[f"{role}.json"].version += 1
    registry.snapshot.version += 1
    registry.update_timestamp()
    station.refuses(Distrust.MIX_AND_MATCH, f"role {role}: got version 2", moved=EVERYTHING[:2])
    registry.update_snapshot()
    station.accepts()


@pytest.mark.parametrize("role", [Targets.type, "class.cpu"])
def test_other_targets_than_the_snapshot_names_are_refused(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    station.accepts()
    made_anew(registry)
    registry.roles[role].version += 1
    station.refuses(
        Distrust.MIX_AND_MATCH, f"role {role}: got version 3, wanted 2", moved=before(role)
    )
    registry.update_snapshot()
    station.accepts()


def test_mirror_of_mixed_ages_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """Genuine files of two ages: a new snapshot, and old targets under a new name."""
    old = registry.signed("class.cpu")
    made_anew(registry)
    registry.answers["metadata/2.class.cpu.json"] = old
    everything_else = tuple(name for name in EVERYTHING if name != "class.cpu.json")
    station.refuses(
        Distrust.MIX_AND_MATCH,
        "role class.cpu: got version 1, wanted 2",
        moved=(ROOT_1, *everything_else),
    )
    registry.answers.clear()
    station.accepts()


def test_hashes_and_lengths_may_come_and_go(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.says_hashes = True
    registry.update_snapshot()
    station.accepts()
    registry.says_hashes = False
    registry.update_snapshot()
    station.accepts()
    assert station.version("snapshot.json") == 4


def test_unchanged_registry_costs_two_requests_and_no_write(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.offer()
    before_it = {path: path.stat().st_mtime_ns for path in station.volume.rglob("*")}
    registry.asked.clear()
    station.offer()
    assert registry.asked == ["metadata/2.root.json", "metadata/timestamp.json"]
    assert {path: path.stat().st_mtime_ns for path in station.volume.rglob("*")} == before_it


@pytest.mark.parametrize("name", ["3.snapshot", "2.targets", "2.class.cpu"])
def test_named_file_that_is_not_there_makes_the_registry_incomplete(
    registry: HostileRegistry, station: AttackedStation, name: str
) -> None:
    station.accepts()
    made_anew(registry)
    role = name.partition(".")[2]
    kept = registry.roles.pop(role)
    station.refuses(Distrust.INCOMPLETE, f"role {role}: named", moved=before(role))
    registry.roles[role] = kept
    station.accepts()


def test_url_without_a_timestamp_is_no_registry_and_no_missing_bundle(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    timestamp = registry.roles.pop(Timestamp.type)
    station.refuses("NO_REPOSITORY", "127.0.0.1", moved=(ROOT_1,))
    registry.roles[Timestamp.type] = timestamp
    station.accepts()


def made_anew(registry: HostileRegistry) -> None:
    """Publish a next version of every role."""
    for role in (Targets.type, "class.cpu"):
        registry.roles[role].version += 1
    registry.update_snapshot()


def before(role: str) -> tuple[str, ...]:
    """Return the files that a refresh has accepted before it comes to *role*."""
    return EVERYTHING[: EVERYTHING.index(f"{role}.json")]
