"""The registry in Azure Blob Storage: Microsoft's emulator Azurite judges what is sent and read."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas
from tests.integration.registry_station import Station
from tests.registry_client import NAME
from tests.unit.registry.conftest import Shop
from tests.waiting import wait_until

from taktgate.bundle.targets import ReleaseState
from taktgate.cli import main
from taktgate.registry.delivery.blob import BlobContainer
from taktgate.registry.delivery.published import StaticFile, published
from taktgate.registry.delivery.removal import prune_copy
from taktgate.registry.delivery.sending import deliver
from taktgate.registry.errors import DeniedError, ForeignError, NoContainerError, StoreError
from taktgate.registry.signed.pruning import prune
from taktgate.registry.signed.rotation import renew, rotate
from taktgate.staging import errors as staging_errors
from taktgate.standin.azure.certificates import create_authority

AZURITE = Path(__file__).parents[1] / "judges/node/node_modules/azurite/dist/src/blob/main.js"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's well-known account and key."""
START_S = 60

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not AZURITE.exists(),
    reason="no Node.js, or scripts/bootstrap found no npm to install the judges",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Azurite:
    url: str
    log: Path

    def container(self, name: str, *, ca_file: Path | None = None) -> None:
        trusted = True if ca_file is None else str(ca_file)
        with BlobServiceClient(
            f"{self.url}/{ACCOUNT}", credential=KEY, connection_verify=trusted
        ) as service:
            service.create_container(name)

    def sas(self, name: str, rights: str, *, hours: float = 1.0, key: str = KEY) -> str:
        now = datetime.now(UTC)
        token = generate_container_sas(
            ACCOUNT,
            name,
            account_key=key,
            permission=ContainerSasPermissions.from_string(rights),
            start=now - timedelta(days=1),
            expiry=now + timedelta(hours=hours),
        )
        return f"{self.url}/{ACCOUNT}/{name}?{token}"


def started(folder: Path, *options: str) -> Iterator[Azurite]:
    log = folder / "debug.log"
    command = ["node", str(AZURITE), "--blobPort", "0", "--inMemoryPersistence", "--silent"]
    command += ["--disableTelemetry", "--skipApiVersionCheck", "--debug", str(log)]
    said = folder / "said"
    with said.open("wb") as out:
        process = subprocess.Popen([*command, *options], cwd=folder, stdout=out, stderr=out)
    try:
        until = time.monotonic() + START_S
        while not (found := re.search(r"listens on (\S+)", said.read_text())):
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < until, said.read_text()
            time.sleep(0.05)
        yield Azurite(url=found[1], log=log)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    yield from started(tmp_path_factory.mktemp("azurite"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.add("1.0.0")
    shop.publisher.promote(NAME, "1.0.0", "cpu", ReleaseState.CI_PASSED)
    shop.publisher.promote(NAME, "1.0.0", "cpu", ReleaseState.RELEASED, waiver="no rig")
    return shop


@pytest.fixture
def station(shop: Shop, tmp_path: Path) -> Station:
    (tmp_path / "station").mkdir()
    return Station(tmp_path / "station", trusted_root=shop.folder / "metadata/1.root.json")


def container_of(azurite: Azurite, tmp_path: Path) -> str:
    name = re.sub("[^a-z0-9]+", "-", tmp_path.name.lower()).strip("-")
    azurite.container(name)
    return name


def test_a_station_stages_from_a_container_by_ranges(
    azurite: Azurite,
    shop: Shop,
    station: Station,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = container_of(azurite, tmp_path)
    secret = tmp_path / "sas.txt"
    secret.write_text(azurite.sas(name, "rcwl"))
    push = ["registry", "push", "--registry", str(shop.folder), "--blob", f"@{secret}", "--json"]
    assert main(push) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["written"][0].startswith("targets/")
    assert first["written"][-1] == "metadata/timestamp.json"
    station.stage(azurite.sas(name, "r"), "1.0.0", cut_at=1000)
    wait_until(lambda: "bytes=1000-" in azurite.log.read_text())  # it writes its log at leisure
    assert main([*push, "--prune"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["written"], again["removed"]) == ([], [])


def test_only_the_timestamp_may_not_be_cached(azurite: Azurite, shop: Shop, tmp_path: Path) -> None:
    name = container_of(azurite, tmp_path)
    deliver(published(shop.folder), BlobContainer(azurite.sas(name, "rcwl")))
    with BlobServiceClient(f"{azurite.url}/{ACCOUNT}", credential=KEY) as service:
        blobs = {
            blob.name: blob.content_settings
            for blob in service.get_container_client(name).list_blobs()
        }
    fresh = [name for name, its in blobs.items() if its.cache_control == "no-cache"]
    assert fresh == ["metadata/timestamp.json"]
    for blob, its in blobs.items():
        kind = "json" if blob.endswith(".json") else "octet-stream"
        assert its.content_type == f"application/{kind}"


def test_a_push_that_was_cut_off_shows_the_old_state_and_is_taken_up(
    azurite: Azurite, shop: Shop, station: Station, tmp_path: Path
) -> None:
    name = container_of(azurite, tmp_path)
    write, read = azurite.sas(name, "rcwl"), azurite.sas(name, "r")
    deliver(published(shop.folder), BlobContainer(write))
    shop.publisher.revoke(NAME, "1.0.0", "cpu", note="misses pores")
    rotate(shop.publisher.files, "timestamp")
    state = published(shop.folder)

    class CutError(Exception):
        pass

    def stop_at(count: int) -> None:
        left = count

        def on_file(file: StaticFile) -> None:
            nonlocal left
            if left == 0:
                raise CutError
            left -= 1

        deliver(state, BlobContainer(write), on_file=on_file)

    seen = []
    while True:
        try:
            stop_at(1)
        except CutError:
            seen.append(station.offer(read, "1.0.0").facts.state)
            continue
        break
    seen.append(station.offer(read, "1.0.0").facts.state)
    turn = seen.index(ReleaseState.REVOKED)
    assert turn > 1
    assert set(seen[:turn]) == {ReleaseState.RELEASED}
    assert set(seen[turn:]) == {ReleaseState.REVOKED}


def test_an_older_copy_of_the_registry_is_not_pushed_over_a_newer(
    azurite: Azurite, shop: Shop, tmp_path: Path
) -> None:
    name = container_of(azurite, tmp_path)
    old = tmp_path / "old"
    shutil.copytree(shop.folder, old)
    shop.add("2.0.0")
    deliver(published(shop.folder), BlobContainer(azurite.sas(name, "rcwl")))
    with pytest.raises(ForeignError, match=r"timestamp\.json"):
        deliver(published(old), BlobContainer(azurite.sas(name, "rcwl")))


def test_old_metadata_goes_from_the_container_when_it_is_asked_for(
    azurite: Azurite, shop: Shop, station: Station, tmp_path: Path
) -> None:
    name = container_of(azurite, tmp_path)
    container = BlobContainer(azurite.sas(name, "rcwl"))
    files, now = shop.publisher.files, shop.publisher.files.clock()
    deliver(published(shop.folder), container)
    old = {its for its in container.inventory() if "snapshot" in its}
    files.clock = lambda: now + timedelta(days=32)
    renew(files)
    prune(files)
    deliver(published(shop.folder), container)
    assert old <= container.inventory().keys()
    with pytest.raises(DeniedError, match="delete"):
        prune_copy(published(shop.folder), container, now=files.clock())
    station.stage(azurite.sas(name, "r"), "1.0.0")
    pruning = BlobContainer(azurite.sas(name, "rcwld"))
    done = prune_copy(published(shop.folder), pruning, now=files.clock())
    assert {f"metadata/{its}" for its in done.removed} & old == old
    names = container.inventory().keys()
    assert names == {
        file.relative_to(shop.folder).as_posix()
        for part in ("metadata", "targets")
        for file in (shop.folder / part).rglob("*")
        if file.is_file()
    }
    pruning.remove("metadata/1.snapshot.json")  # it may be gone already
    station.stage(azurite.sas(name, "r"), "1.0.0")


def test_two_pushes_at_once_do_not_overwrite_each_other(
    azurite: Azurite, shop: Shop, tmp_path: Path
) -> None:
    name = container_of(azurite, tmp_path)
    deliver(published(shop.folder), BlobContainer(azurite.sas(name, "rcwl")))
    shop.add("2.0.0")
    state = published(shop.folder)
    slow = BlobContainer(azurite.sas(name, "rcwl"))
    before = slow.read("metadata/timestamp.json")
    assert before != state.timestamp
    deliver(state, BlobContainer(azurite.sas(name, "rcwl")))
    with pytest.raises(ForeignError, match="in between"):
        slow.write(StaticFile.of("metadata/timestamp.json", b"older"))


@pytest.mark.parametrize(
    ("rights", "hours", "key"),
    [("rcwl", -1.0, KEY), ("rl", 1.0, KEY), ("rcwl", 1.0, "d3Jvbmc=")],
    ids=["expired", "without write", "wrong key"],
)
def test_a_sas_that_does_not_allow_it_is_named_and_not_shown(
    azurite: Azurite, shop: Shop, tmp_path: Path, rights: str, hours: float, key: str
) -> None:
    name = container_of(azurite, tmp_path)
    url = azurite.sas(name, rights, hours=hours, key=key)
    with pytest.raises(DeniedError, match="403") as refusal:
        deliver(published(shop.folder), BlobContainer(url))
    assert "sig=" not in str(refusal.value)


def test_a_container_that_is_not_there_is_named(azurite: Azurite, shop: Shop) -> None:
    with pytest.raises(NoContainerError, match="404"):
        deliver(published(shop.folder), BlobContainer(azurite.sas("nowhere", "rcwl")))


def test_a_store_that_does_not_answer_is_named_without_the_sas(shop: Shop) -> None:
    url = f"http://127.0.0.1:1/{ACCOUNT}/models?sv=1&sig=secret"
    with pytest.raises(StoreError, match="does not answer") as refusal:
        deliver(published(shop.folder), BlobContainer(url, retries=0))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("hours", "key"), [(-1.0, KEY), (1.0, "d3Jvbmc=")], ids=["expired", "wrong key"]
)
def test_a_station_with_a_bad_sas_says_denied(
    azurite: Azurite, shop: Shop, station: Station, tmp_path: Path, hours: float, key: str
) -> None:
    name = container_of(azurite, tmp_path)
    deliver(published(shop.folder), BlobContainer(azurite.sas(name, "rcwl")))
    with pytest.raises(staging_errors.StagingError) as refusal:
        station.offer(azurite.sas(name, "r", hours=hours, key=key), "1.0.0")
    assert "403" in str(refusal.value)
    assert "sig=" not in str(refusal.value)


def test_push_and_station_speak_https(
    shop: Shop,
    station: Station,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    authority = create_authority(tmp_path / "ca")
    issued = authority.issue("localhost", ["localhost", "127.0.0.1"], is_server=True)
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    certificate.write_text(issued.certificate_pem)
    key.write_text(issued.key_pem)
    folder = tmp_path_factory.mktemp("tls")
    for azurite in started(folder, "--cert", str(certificate), "--key", str(key)):
        azurite.container("models", ca_file=authority.ca_file)
        with pytest.raises(StoreError, match="does not answer") as refusal:
            BlobContainer(azurite.sas("models", "rcwl"), retries=0).inventory()
        assert "sig=" not in str(refusal.value)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        deliver(published(shop.folder), BlobContainer(azurite.sas("models", "rcwl")))
        trusting = Station(tmp_path / "station", trusted_root=shop.folder / "metadata/1.root.json")
        trusting.stage(azurite.sas("models", "r"), "1.0.0", cut_at=500)
