"""The trusted metadata on the disk: power cuts, rot, what is stale, and wrong clocks."""

import errno
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.faults.registry_attacks.cut_files import CutFiles, PowerCutError
from tests.faults.registry_attacks.station import AttackedStation
from tuf.api.metadata import Snapshot, Timestamp

from taktgate.staging.errors import StagingError
from taktgate.staging.registry.client import wall_clock
from taktgate.staging.registry.reasons import Distrust
from taktgate.staging.slots.disk import Disk
from taktgate.standin.hostile_registry.repository import HostileRegistry, in_days

VERSIONED = ("timestamp.json", "snapshot.json", "targets.json", "class.cpu.json")


def versions(station: AttackedStation) -> dict[str, int]:
    """Return what is trusted, by file; the newest root."""
    kept = {name: station.version(name) for name in VERSIONED if (station.trust / name).exists()}
    return kept | {"root": max(station.roots(), default=0)}


def renew(registry: HostileRegistry) -> None:
    """Publish a new root with new timestamp keys, and a new version of everything."""
    registry.rotate(Timestamp.type)
    registry.next_root()
    for role in ("targets", "class.cpu"):
        registry.roles[role].version += 1
    registry.update_snapshot()


@pytest.mark.parametrize(
    ("is_first", "torn"),
    [(True, False), (False, True)],
    ids=["first contact, before each", "rotation, in each"],
)
def test_power_cut_at_each_call_never_lowers_trust(
    registry: HostileRegistry, tmp_path: Path, station: AttackedStation, is_first: bool, torn: bool
) -> None:
    if not is_first:
        station.offer()
        renew(registry)
    at, before = 0, versions(station)
    old = registry.signed(Timestamp.type)
    while True:
        station.is_as_in(tmp_path / "before", first_time=at == 0)
        station.started(disk=Disk(CutFiles(at=at, torn=torn)))
        try:
            station.offer()
        except PowerCutError:
            cut = versions(station)
            assert all(cut.get(name, 0) >= version for name, version in before.items())
            station.started(disk=Disk(CutFiles()))
            station.offer()
            assert versions(station)["root"] == registry.root.version
            assert (station.trust / "timestamp.json").read_bytes() == old
            assert not list(station.trust.rglob("*.tmp"))
        else:
            break
        at += 1
    assert at > 20, "each call was cut"


def test_full_disk_at_each_call_is_an_error_and_no_loss(
    registry: HostileRegistry, tmp_path: Path, station: AttackedStation
) -> None:
    station.offer()
    renew(registry)
    before = versions(station)
    for at in range(60):
        station.is_as_in(tmp_path / "before", first_time=at == 0)
        station.started(disk=Disk(CutFiles(at=at, error=full_disk)))
        try:
            station.offer()
        except OSError:
            now = versions(station)
            assert all(now.get(name, 0) >= version for name, version in before.items())
            station.started(disk=Disk(CutFiles()))
            station.offer()
        else:
            break
    assert at > 20


@pytest.mark.parametrize("how", ["gone", "empty", "half", "a bit"])
@pytest.mark.parametrize("name", VERSIONED)
def test_rotted_file_is_fetched_again(
    registry: HostileRegistry, station: AttackedStation, name: str, how: str
) -> None:
    station.offer()
    whole = (station.trust / name).read_bytes()
    rot(station.trust / name, how)
    station.started()
    station.offer()
    assert (station.trust / name).read_bytes() == whole


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json"])
@pytest.mark.parametrize("how", ["gone", "a bit"])
def test_timestamp_and_snapshot_guard_each_other(
    registry: HostileRegistry, station: AttackedStation, name: str, how: str
) -> None:
    """One of them is lost; a mirror shows an old, genuine state in which targets were older."""
    answers = {
        "metadata/timestamp.json": registry.signed(Timestamp.type),
        "metadata/2.snapshot.json": registry.signed(Snapshot.type),
        "metadata/1.class.cpu.json": registry.signed("class.cpu"),
    }
    registry.roles["class.cpu"].version += 1
    registry.update_snapshot()
    station.offer()
    rot(station.trust / name, how)
    registry.answers.update(answers)
    with pytest.raises(StagingError) as refusal:
        station.offer()
    assert refusal.value.reason == Distrust.ROLLBACK, refusal.value
    registry.answers.clear()
    station.offer()


def test_lost_timestamp_is_reported_until_a_new_one_is_accepted(
    registry: HostileRegistry, station: AttackedStation, caplog: pytest.LogCaptureFixture
) -> None:
    station.offer()
    rot(station.trust / "timestamp.json", "half")
    client = station.started()
    trust = client.trust()
    assert trust is not None
    assert (trust.timestamp, trust.doubt is not None and "lost" in trust.doubt) == (0, True)
    station.offer()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "trusted metadata is damaged"
    ]
    trust = client.trust()
    assert trust is not None
    assert (trust.timestamp, trust.doubt) == (2, None)


@pytest.mark.parametrize("how", ["gone", "empty", "half", "a bit"])
@pytest.mark.parametrize("rotted", [1, 2, 3])
def test_rotted_root_is_fetched_again_and_never_replaced_by_an_older_one(
    registry: HostileRegistry, station: AttackedStation, rotted: int, how: str
) -> None:
    for _ in range(3):
        registry.next_root()
    station.offer()
    rot(station.trust / f"root_history/{rotted}.root.json", how)
    hidden = {version: registry.roots.pop(version) for version in (2, 3, 4)}
    station.started()
    if rotted == 1:
        station.offer()  # that one lies in the config folder, too
    else:
        with pytest.raises(StagingError, match="wanted 4"):
            station.offer()
    registry.roots.update(hidden)
    station.offer()
    assert station.roots() >= {2, 3, 4}


def test_other_first_root_begins_another_trust(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """The operator puts the first root of another registry into the config folder."""
    registry.next_root()
    registry.timestamp.version = 50
    station.offer()
    other = HostileRegistry()
    other.add_bundle("1.0.0", role=other.delegate_class("cpu"), device_class="cpu")
    other.update_snapshot()
    station.server.registry = other
    station.refuses(Distrust.UNSIGNED, judge=False)
    station.trusts_first(other.roots[1])
    station.offer()
    assert (station.roots(), station.version("timestamp.json")) == ({1}, 2)


def test_stale_files_go(registry: HostileRegistry, station: AttackedStation) -> None:
    station.offer()
    for name in ("class.gone.json", ".timestamp.json.tmp", "root_history/.7.root.json.tmp"):
        (station.trust / name).write_bytes(b"stale")
    station.offer()
    kept = {str(path.relative_to(station.trust)) for path in station.trust.rglob("*.*")}
    assert kept == {"root_history/1.root.json", *VERSIONED, "clock.json"}


def test_trust_is_none_before_the_first_contact(station: AttackedStation) -> None:
    assert station.client.trust() is None


def test_trust_says_versions_and_expiry_and_reads_the_disk_once(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.next_root()
    station.offer()
    first = station.client.trust()
    assert first is not None
    assert (first.root, first.timestamp) == (2, 2)
    assert first.expires == registry.timestamp.expires.isoformat()
    (station.trust / "timestamp.json").unlink()
    assert station.client.trust() is first


YEARS = timedelta(days=3650)


def test_clock_far_ahead_is_named_beside_the_date(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """To a clock ten years ahead, all metadata looks as if it had expired ten years ago."""
    station.accepts()
    known = station.client.trust()
    for role in registry.roles:
        registry.roles[role].expires = in_days(-3650)
    registry.next_root()
    registry.update_snapshot()
    error = station.refuses(
        Distrust.EXPIRED,
        "role root: version 2",
        f"valid until {registry.root.expires:%F}",
        f"clock here says {wall_clock():%F}",
        "either the clock is wrong, or the registry is not kept up",
        moved=("root_history/2.root.json",),
    )
    assert len(str(error)) < 500
    after = station.client.trust()
    assert known is not None
    assert after is not None
    assert (after.timestamp, after.expires) == (known.timestamp, known.expires)


def test_clock_far_behind_stops_nothing_and_is_reported(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.offer()
    client = station.started(now=shifted(-YEARS))
    station.offer()
    trust = client.trust()
    assert trust is not None
    assert trust.doubt is not None
    assert "clock is behind" in trust.doubt
    assert client.trust() == trust, "and says the same each time, or each report were news"
    registry.update_timestamp()
    station.offer()
    seen = datetime.fromisoformat(json.loads((station.trust / "clock.json").read_bytes())["seen"])
    assert seen > wall_clock() - YEARS / 2, "the mark never goes back"


def test_clock_that_is_right_raises_no_doubt(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    station.offer()
    for now in (wall_clock, shifted(-timedelta(minutes=2)), shifted(timedelta(days=2))):
        trust = station.started(now=now).trust()
        assert trust is not None
        assert trust.doubt is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"seen": 3}', b'{"seen": "2026-01-01"}'])
def test_rotted_clock_mark_is_made_anew(
    registry: HostileRegistry, station: AttackedStation, content: bytes
) -> None:
    station.offer()
    (station.trust / "clock.json").write_bytes(content)
    registry.update_timestamp()
    station.started()
    station.offer()
    assert json.loads((station.trust / "clock.json").read_bytes())["seen"] > "2026-11"


def shifted(by: timedelta) -> Callable[[], datetime]:
    """Return a clock that is wrong by *by*."""
    return lambda: wall_clock() + by


def full_disk() -> OSError:
    """Return what a disk without room says; it can still take files away."""
    return OSError(errno.ENOSPC, "No space left on device")


def rot(file: Path, how: str) -> None:
    """Damage *file*."""
    content = file.read_bytes()
    middle = len(content) // 2
    match how:
        case "gone":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
        case "half":
            file.write_bytes(content[:middle])
        case _:
            flipped = bytes([content[middle] ^ 1])
            file.write_bytes(content[:middle] + flipped + content[middle + 1 :])
