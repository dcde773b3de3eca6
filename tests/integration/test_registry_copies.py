"""The registry on a stick and on the shop floor, read by a station's real client."""

import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tests.integration.registry_station import Station
from tests.registry_client import NAME, ReferenceClient
from tests.unit.registry.conftest import Shop
from tuf.api.metadata import Metadata, Timestamp

from taktgate.bundle.targets import ReleaseState
from taktgate.registry.delivery.copies import FolderCopy, require_readable
from taktgate.registry.delivery.export import Selection, export
from taktgate.registry.delivery.published import StaticFile, published
from taktgate.registry.delivery.sending import deliver
from taktgate.registry.errors import (
    CopyError,
    ExpiryError,
    ForeignError,
    KeyMissingError,
    NoSuchBundleError,
)
from taktgate.registry.signed.rotation import rotate
from taktgate.staging.errors import NotFoundError, StagingError

ALL = Selection()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    for version in ("1.0.0", "2.0.0"):
        shop.add(version)
    shop.publisher.promote(NAME, "1.0.0", "cpu", ReleaseState.CI_PASSED)
    shop.publisher.promote(NAME, "1.0.0", "cpu", ReleaseState.RELEASED, waiver="no rig")
    return shop


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


@pytest.fixture
def station(shop: Shop, tmp_path: Path) -> Station:
    (tmp_path / "station").mkdir()
    return Station(tmp_path / "station", trusted_root=shop.folder / "metadata/1.root.json")


def expires_of(folder: Path) -> timedelta:
    timestamp = Metadata[Timestamp].from_file(str(folder / "metadata/timestamp.json")).signed
    return timestamp.expires - timestamp.expires.now(timestamp.expires.tzinfo)


class TestStick:
    def test_a_station_stages_from_it(self, shop: Shop, station: Station, stick: Path) -> None:
        done = export(shop.publisher.files, stick, selection=ALL)
        assert [its.version for its in done.bundles] == ["1.0.0"]
        station.stage(stick.as_uri(), "1.0.0", cut_at=1000)

    def test_what_is_not_released_does_not_travel(self, shop: Shop, stick: Path) -> None:
        export(shop.publisher.files, stick, selection=ALL)
        assert [its.parent.name for its in stick.rglob("*.bundle")] == ["1.0.0"]
        with pytest.raises(NoSuchBundleError):
            export(shop.publisher.files, stick, selection=Selection(versions=["2.0.0"]))

    def test_it_lasts_as_long_as_it_is_told_and_the_registry_goes_past_it(
        self, shop: Shop, station: Station, stick: Path
    ) -> None:
        export(shop.publisher.files, stick, selection=ALL, days_valid=90)
        assert timedelta(days=89) < expires_of(stick) <= timedelta(days=90)
        assert expires_of(shop.folder) <= timedelta(days=7)
        station.stage(stick.as_uri(), "1.0.0")
        station.stage(shop.folder.as_uri(), "1.0.0")

    def test_nothing_of_it_expires_earlier(self, shop: Shop, stick: Path) -> None:
        with pytest.raises(ExpiryError, match="role root expires"):
            export(shop.publisher.files, stick, selection=ALL, days_valid=500)
        assert not list(stick.iterdir())

    def test_a_longer_life_needs_the_key(self, shop: Shop, stick: Path) -> None:
        (shop.keys / "timestamp-1.key.pem").unlink()
        with pytest.raises(KeyMissingError, match="timestamp-1"):
            export(shop.publisher.files, stick, selection=ALL, days_valid=90)
        export(shop.publisher.files, stick, selection=ALL)

    def test_it_is_brought_up_to_date_by_what_is_new(self, shop: Shop, stick: Path) -> None:
        export(shop.publisher.files, stick, selection=ALL)
        shop.publisher.promote(NAME, "2.0.0", "cpu", ReleaseState.CI_PASSED)
        shop.publisher.promote(NAME, "2.0.0", "cpu", ReleaseState.RELEASED, waiver="no rig")
        done = export(shop.publisher.files, stick, selection=ALL)
        assert sum(name.endswith(".bundle") for name in done.delivered.written) == 1

    def test_a_damaged_file_is_found_and_mended(self, shop: Shop, stick: Path) -> None:
        export(shop.publisher.files, stick, selection=ALL)
        (bundle,) = stick.rglob("*.bundle")
        whole = bundle.read_bytes()
        bundle.write_bytes(whole[:-1] + b"x")
        state = published(shop.folder)
        path = f"bundles/{NAME}/1.0.0/cpu.bundle"
        with pytest.raises(CopyError, match="reads back other"):
            require_readable(stick, root=state.roots[0].content, paths=[path])
        export(shop.publisher.files, stick, selection=ALL)
        assert bundle.read_bytes() == whole

    def test_what_no_station_would_take_is_no_export(self, shop: Shop, stick: Path) -> None:
        now = shop.publisher.files.clock
        shop.publisher.files.clock = lambda: now() - timedelta(days=8)
        shop.publisher.revoke(NAME, "2.0.0", "cpu", note="an old state")
        with pytest.raises(ExpiryError, match="renew it first"):
            export(shop.publisher.files, stick, selection=ALL)

    def test_an_older_state_is_not_brought_over_a_newer(
        self, shop: Shop, stick: Path, tmp_path: Path
    ) -> None:
        older = Path(shutil.copytree(shop.folder, tmp_path / "older"))
        shop.publisher.revoke(NAME, "1.0.0", "cpu", note="misses pores")
        deliver(published(shop.folder), FolderCopy(stick))
        with pytest.raises(ForeignError, match="this registry is at"):
            deliver(published(older), FolderCopy(stick))

    @pytest.mark.parametrize("role", ["timestamp", "targets"])
    def test_pulled_out_at_any_file_it_shows_the_old_state_or_the_new(
        self, shop: Shop, stick: Path, tmp_path: Path, role: str
    ) -> None:
        deliver(published(shop.folder), FolderCopy(stick))
        rotate(shop.publisher.files, role)
        shop.publisher.revoke(NAME, "1.0.0", "cpu", note="misses pores")
        copy, seen = FolderCopy(stick), []
        for number in range(100):
            with suppress(_PulledOutError):
                deliver(published(shop.folder), copy, on_file=_pulled_out_after(1))
            seen.append(ReferenceClient(stick, tmp_path / f"trust-{number}").state_of("1.0.0"))
            if seen[-1] is ReleaseState.REVOKED:
                break
        assert set(seen) == {ReleaseState.RELEASED, ReleaseState.REVOKED}

    def test_a_stick_that_is_not_mounted_is_not_invented(self, tmp_path: Path) -> None:
        with pytest.raises(CopyError, match="mounted"):
            FolderCopy(tmp_path / "no-stick").inventory()


class _PulledOutError(Exception):
    """The stick is gone."""


def _pulled_out_after(files: int) -> Callable[[StaticFile], None]:
    """Return what ends a delivery before it writes more than so many *files*."""
    left = iter(range(files))

    def on_file(_: StaticFile) -> None:
        if next(left, None) is None:
            raise _PulledOutError

    return on_file


@contextmanager
def served(shop: Shop) -> Iterator[str]:
    command = [sys.executable, "-m", "taktgate.cli", "registry", "serve", "--port", "0"]
    process = subprocess.Popen(
        [*command, "--registry", str(shop.folder)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        yield line.partition("http://")[1] + line.partition("http://")[2].split()[0]
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors


def test_a_served_registry_gives_ranges_and_nothing_but_itself(
    shop: Shop, station: Station
) -> None:
    with served(shop) as url:
        offer = station.stage(url, "1.0.0", cut_at=1000)
        request = urllib.request.Request(offer.url, headers={"Range": "bytes=10-19"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert (answer.status, len(answer.read())) == (206, 10)
            assert "immutable" in answer.headers["Cache-Control"]
        with urllib.request.urlopen(f"{url}/metadata/timestamp.json", timeout=30) as answer:
            assert answer.headers["Cache-Control"] == "no-cache"
        for hidden in ("registry.json", "metadata/../registry.json", "metadata/", "targets/"):
            with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
                urllib.request.urlopen(f"{url}/{hidden}", timeout=30)
        with pytest.raises(NotFoundError):
            station.offer(url, "9.0.0")


def test_a_station_refuses_a_stick_that_is_older_than_what_it_has_seen(
    shop: Shop, station: Station, stick: Path
) -> None:
    export(shop.publisher.files, stick, selection=ALL, days_valid=90)
    station.offer(shop.folder.as_uri(), "1.0.0")
    with pytest.raises(StagingError):
        station.offer(stick.as_uri(), "1.0.0")
