"""Old metadata goes when no client can ask for it any more, and not before."""

import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest
from tests.registry_client import ReferenceClient, UnsyncedFileSystem
from tests.unit.registry.conftest import Shop, content_of
from tests.unit.registry.slow_clients import SlowClients

from taktgate.registry.errors import DiskError, NoRegistryError, RegistryError
from taktgate.registry.signed.keys import KeyRing
from taktgate.registry.signed.pruning import prune
from taktgate.registry.signed.publishing import Publisher
from taktgate.registry.signed.repository import RegistryFiles
from taktgate.registry.signed.rotation import renew, rotate


def go_on(shop: Shop, **time: float) -> None:
    later = shop.publisher.files.clock() + timedelta(**time)
    shop.publisher.files.clock = lambda: later


def renew_all(shop: Shop) -> None:
    renew(shop.publisher.files, within_days=1000)


@pytest.fixture
def aged(shop: Shop) -> Shop:
    """A registry of which everything was signed anew on the 20th day, and it is the 32nd."""
    shop.add("1.0.0")
    rotate(shop.publisher.files, "timestamp")
    go_on(shop, days=20)
    renew_all(shop)
    go_on(shop, days=12)
    return shop


def test_what_expired_a_day_ago_goes_with_what_only_it_names(aged: Shop) -> None:
    before = set(content_of(aged.folder))
    done = prune(aged.publisher.files)
    gone = {
        *(f"{version}.snapshot.json" for version in range(1, 3)),
        *(f"{version}.targets.json" for version in range(1, 3)),
        *(f"1.{role}.json" for role in ("sources", "class.cpu")),
        "2.class.cpu.json",
    }
    assert set(done.removed) == gone
    assert done.removed[:2] == ("1.snapshot.json", "2.snapshot.json")
    assert before - set(content_of(aged.folder)) == {f"metadata/{name}" for name in gone}
    assert "metadata/1.root.json" in content_of(aged.folder)
    assert prune(aged.publisher.files).removed == ()


def test_a_trial_removes_nothing_and_says_the_same_and_neither_needs_a_key(aged: Shop) -> None:
    files = RegistryFiles(aged.folder, keys=KeyRing([]), clock=aged.publisher.files.clock)
    before = content_of(aged.folder)
    found = prune(files, is_trial=True)
    assert content_of(aged.folder) == before
    assert found == prune(files)
    assert found.removed


def test_a_client_may_take_a_day_beyond_the_expiry(shop: Shop) -> None:
    shop.add("1.0.0")
    rest = shop.publisher.files.open("snapshot").signed.expires - shop.publisher.files.clock()
    go_on(shop, seconds=rest.total_seconds() - 60)
    renew(shop.publisher.files, ["timestamp"])
    slow = SlowClients(shop)
    slow.begin()
    renew_all(shop)
    go_on(shop, hours=23)
    prune(shop.publisher.files)
    assert slow.go_on("1.0.0") == 1
    go_on(shop, hours=2)
    assert "2.snapshot.json" in prune(shop.publisher.files).removed


def test_what_is_not_published_yet_stays(aged: Shop) -> None:
    files = aged.publisher.files
    files.do_snapshot(force=True)  # cut off before the timestamp
    newest = files.version("snapshot")
    go_on(aged, days=60)
    prune(files)
    assert files.path_of("snapshot", newest).exists()
    assert files.path_of("snapshot", newest - 1).exists()
    renew_all(aged)
    ReferenceClient(aged.folder, aged.root / "new", clock=files.clock).refresh()


class ReadOnlyDisk(UnsyncedFileSystem):
    def unlink(self, path: Path) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_disk_that_refuses_is_named(aged: Shop) -> None:
    files = Publisher(aged.folder, keys=aged.keys, files=ReadOnlyDisk()).files
    files.clock = aged.publisher.files.clock
    with pytest.raises(DiskError, match="registry/metadata: cannot be written: Read-only"):
        prune(files)


def test_a_damaged_file_is_named_and_nothing_goes(aged: Shop) -> None:
    folder = aged.folder / "metadata"
    for name, content in (
        ("1.snapshot.json", b"{"),
        ("1.snapshot.json", (folder / "1.sources.json").read_bytes()),
        ("timestamp.json", b"{"),
    ):
        (folder / name).write_bytes(content)
        before = content_of(aged.folder)
        with pytest.raises(RegistryError, match=f"{name}: damaged"):
            prune(aged.publisher.files)
        assert content_of(aged.folder) == before


def test_without_a_registry_there_is_nothing_to_prune(tmp_path: Path) -> None:
    with pytest.raises(NoRegistryError):
        prune(RegistryFiles(tmp_path, keys=KeyRing([])))
