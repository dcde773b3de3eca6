"""What a station decides by the registry's metadata on its own disk, when it hears nobody."""

import shutil
from pathlib import Path

import pytest

from taktgate.bundle.signing import SigningKey
from taktgate.bundle.targets import ReleaseState, class_role
from taktgate.contracts.twins import ModelOrder
from taktgate.staging.errors import NotFoundError, RetriedError
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request
from taktgate.standin.sample_registry import SampleRegistry
from taktgate.standin.staging import DEVICE_CLASS, tiny_bundle


class Station:
    """A station's view of a real registry in a folder."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.registry = SampleRegistry(folder / "registry", keys=folder / "keys")
        self.registry.trust_in(folder / "config")
        tiny_bundle(folder, key, version="1.0.0")
        self.registry.release(folder / "1.0.0.bundle")
        self.trust = folder / "trust"
        self.client = TufRegistry(
            self.trust,
            trusted_root=folder / "config" / TRUSTED_ROOT_FILE,
            fetcher=UrlFetcher(),
            disk=Disk(),
            device_class=DEVICE_CLASS,
        )
        self.request = Request(
            model=ModelOrder(name="weld-seam", version="1.0.0", order="o1"),
            repository=self.registry.directory.as_uri(),
        )


@pytest.fixture
def station(tmp_path: Path, key: SigningKey) -> Station:
    return Station(tmp_path, key)


def test_nothing_is_recalled_before_the_first_contact(station: Station) -> None:
    assert station.client.recall(station.request) is None


def test_what_was_heard_last_is_recalled_without_a_registry(station: Station) -> None:
    heard = station.client.offer(station.request)
    shutil.rmtree(station.registry.directory)
    with pytest.raises(RetriedError):
        station.client.offer(station.request)
    assert station.client.recall(station.request) == heard


def test_what_was_revoked_when_the_registry_was_heard_last_is_recalled_as_revoked(
    station: Station,
) -> None:
    station.client.offer(station.request)
    station.registry.publisher.revoke("weld-seam", "1.0.0", DEVICE_CLASS, note="cracks pass")
    station.client.offer(station.request)
    shutil.rmtree(station.registry.directory)
    recalled = station.client.recall(station.request)
    assert recalled is not None
    assert recalled.facts.state is ReleaseState.REVOKED


def test_what_a_role_may_not_speak_of_any_more_is_not_recalled(station: Station) -> None:
    station.client.offer(station.request)
    files = station.registry.publisher.files
    with files.change(), files.edit_targets() as targets:
        assert targets.delegations is not None
        assert targets.delegations.roles is not None
        targets.delegations.roles[class_role(DEVICE_CLASS)].paths = ["bundles/pores/*/*"]
    with pytest.raises(NotFoundError):
        station.client.offer(station.request)
    assert station.client.recall(station.request) is None


@pytest.mark.parametrize("role", ["targets", class_role(DEVICE_CLASS)])
def test_rotten_metadata_permits_nothing_else_than_it_did(station: Station, role: str) -> None:
    heard = station.client.offer(station.request)
    file = station.trust / f"{role}.json"
    content = file.read_bytes()
    lost = 0
    for place in range(0, len(content), 7):
        for damaged in (
            content[:place],
            content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :],
        ):
            file.write_bytes(damaged)
            recalled = station.client.recall(station.request)
            assert recalled in (None, heard)
            lost += recalled is None
    assert lost > len(content) // 7
    file.unlink()
    assert station.client.recall(station.request) is None
