"""What is signed of a bundle, and the bytes that come for it: test_updater_fetch_target.py."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.registry_attacks.station import AttackedStation

from taktgate.bundle.errors import FactsError
from taktgate.bundle.targets import HilStatus, ReleaseState, class_role
from taktgate.staging.errors import DistrustError, NotPermittedError, TooLargeError
from taktgate.staging.registry.offers import require_permitted
from taktgate.staging.registry.reasons import Distrust
from taktgate.standin.hostile_registry.repository import HostileRegistry
from taktgate.standin.hostile_registry.server import HostileServer

PIECE = b" " * (1 << 16)
TEN_GB = 10_000_000_000
ROLE = class_role("cpu")
PATH = "bundles/weld-seam/1.0.0/cpu.bundle"


def endless() -> Iterator[bytes]:
    """Yield ten gigabytes."""
    for _ in range(TEN_GB // len(PIECE)):
        yield PIECE


def test_archive_is_what_was_signed(registry: HostileRegistry, station: AttackedStation) -> None:
    offer = station.accepts()
    content = b"".join(station.client.fetch(offer, start=0))
    assert hashlib.sha256(content).hexdigest() == offer.sha256


def test_endless_archive_ends_at_its_signed_length(
    registry: HostileRegistry, station: AttackedStation, server: HostileServer
) -> None:
    offer = station.accepts()
    url_path = offer.url.removeprefix(f"{server.url}/")
    registry.answers[url_path] = endless
    with pytest.raises(DistrustError) as refusal:
        list(station.client.fetch(offer, start=0))
    assert refusal.value.reason == Distrust.ENDLESS_DATA
    assert station.fetched_bytes.get(url_path, 0) <= offer.size_bytes
    assert server.sent_bytes.get(url_path, 0) < TEN_GB / 100
    registry.answers.clear()
    assert len(b"".join(station.client.fetch(offer, start=0))) == offer.size_bytes


def test_signed_archive_that_is_not_there_is_waited_for(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    offer = station.accepts()
    kept, registry.archives = registry.archives, {}
    with pytest.raises(DistrustError) as refusal:
        list(station.client.fetch(offer, start=0))
    assert refusal.value.reason == Distrust.INCOMPLETE
    registry.archives = kept
    assert len(b"".join(station.client.fetch(offer, start=0))) == offer.size_bytes


def test_trusted_registry_without_the_bundle_says_so(station: AttackedStation) -> None:
    station.lacks("9.9.9")


def test_archive_that_no_bundle_can_be_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.roles[ROLE].targets[PATH].length = TEN_GB
    with pytest.raises(TooLargeError):
        station.offer()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "2.0.0"}, "version"),
        ({"name": "crimp"}, "name"),
        ({"device_class": "gpu"}, "device_class"),
    ],
    ids=["version", "name", "device class"],
)
def test_facts_of_another_bundle_are_refused(
    registry: HostileRegistry, station: AttackedStation, changes: dict[str, Any], field: str
) -> None:
    set_facts(registry, changes)
    with pytest.raises(FactsError, match=field):
        station.offer()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"digest": "sha256:short"}, "digest"),
        ({"unpacked_bytes": -1}, "unpacked_bytes"),
        ({"state": "great"}, "state"),
        ({"schema": "2"}, "schema"),
        ({"surprise": 1}, "surprise"),
        ({"opset": "18"}, "opset"),
    ],
)
def test_facts_that_break_a_rule_are_refused_by_field(
    registry: HostileRegistry, station: AttackedStation, changes: dict[str, Any], field: str
) -> None:
    set_facts(registry, changes)
    with pytest.raises(FactsError, match=field):
        station.offer()


def test_target_without_facts_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.roles[ROLE].targets[PATH].unrecognized_fields.clear()
    with pytest.raises(FactsError, match="taktgate"):
        station.offer()


def test_target_without_our_digest_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.roles[ROLE].targets[PATH].hashes = {"md5": "0" * 32}
    with pytest.raises(DistrustError, match="SHA-256"):
        station.offer()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"state": ReleaseState.REVOKED}, "revoked"),
        ({"state": ReleaseState.BELOW_FLOOR}, "below_floor"),
        ({"state": ReleaseState.CI_PASSED}, "ci_passed"),
        ({"hil": HilStatus.MISSING}, "hil"),
    ],
)
def test_bundle_that_was_taken_back_is_not_permitted_any_more(
    registry: HostileRegistry, station: AttackedStation, changes: dict[str, Any], rule: str
) -> None:
    require_permitted(station.accepts(), waived_hil=False)
    set_facts(registry, changes)
    registry.roles[ROLE].version += 1
    registry.update_snapshot()
    with pytest.raises(NotPermittedError, match=rule):
        require_permitted(station.offer(), waived_hil=False)


def set_facts(registry: HostileRegistry, changes: dict[str, Any]) -> None:
    """Sign other facts of the bundle."""
    custom = registry.roles[ROLE].targets[PATH].unrecognized_fields["custom"]
    custom["taktgate"] = custom["taktgate"] | changes
