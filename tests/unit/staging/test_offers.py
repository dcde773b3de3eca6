"""What of the registry's offers is permitted here, and whether the bundle is what was signed."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.archive import unpack
from taktgate.bundle.errors import FactsError
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.signing import SigningKey
from taktgate.bundle.targets import BundleFacts, HilStatus, ReleaseState
from taktgate.staging.errors import NotPermittedError
from taktgate.staging.registry.offers import (
    Offer,
    require_about,
    require_as_signed,
    require_permitted,
)
from taktgate.standin.hostile_registry.repository import facts_of
from taktgate.standin.staging import tiny_bundle

DIGEST = "sha256:" + "ab" * 32


def offer_of(facts: BundleFacts) -> Offer:
    """Return an offer with *facts*."""
    return Offer(path="p", size_bytes=1, sha256="0" * 64, url="u", facts=facts)


@given(
    state=st.sampled_from(ReleaseState), hil=st.sampled_from(HilStatus), waived_hil=st.booleans()
)
def test_only_a_released_bundle_with_hil_or_an_accepted_waiver_is_permitted(
    state: ReleaseState, hil: HilStatus, waived_hil: bool
) -> None:
    offer = offer_of(facts_of("1.0.0", "cpu", state=state, hil=hil, note="because"))
    accepted = HilStatus.PASSED, *([HilStatus.WAIVED] if waived_hil else [])
    try:
        require_permitted(offer, waived_hil=waived_hil)
        rule = None
    except NotPermittedError as error:
        rule = error.rule
    if state is not ReleaseState.RELEASED:
        assert rule == state.value
    else:
        assert rule == (None if hil in accepted else "hil")


def test_facts_must_speak_of_their_target() -> None:
    facts = facts_of("1.0.0", "cpu")
    require_about(facts, "bundles/weld-seam/1.0.0/cpu.bundle")
    with pytest.raises(FactsError, match="must be those of"):
        require_about(facts, "bundles/weld-seam/1.0.0/gpu.bundle")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("bundle")
    tiny_bundle(folder, SigningKey.generate(), version="1.0.0")
    unpack(folder / "1.0.0.bundle", folder / "unpacked")
    return Manifest.parse((folder / "unpacked/manifest.json").read_bytes())


LIES: dict[str, Any] = {
    "digest": "sha256:" + "cd" * 32,
    "name": "crimp",
    "version": "1.0.1",
    "device_class": "gpu",
    "source_digest": "sha256:" + "cd" * 32,
    "kind": "ort_optimized",
    "precision": "int8",
    "ort": "1.24.1",
    "opset": 99,
    "ir_version": 99,
    "unpacked_bytes": 1,
}


def test_bundle_that_is_as_signed_passes_whatever_the_registry_says_of_its_state(
    manifest: Manifest,
) -> None:
    facts = BundleFacts.of(manifest, digest=DIGEST, serial=7)
    require_as_signed(facts, manifest, DIGEST)
    its_own = {"state": ReleaseState.RELEASED, "hil": HilStatus.WAIVED, "note": "n", "serial": 9}
    require_as_signed(facts.model_copy(update=its_own), manifest, DIGEST)


@pytest.mark.parametrize(("field", "lie"), LIES.items(), ids=LIES)
def test_signed_lie_about_a_bundle_is_found_once_it_is_unpacked(
    manifest: Manifest, field: str, lie: object
) -> None:
    facts = BundleFacts.of(manifest, digest=DIGEST, serial=7)
    with pytest.raises(FactsError) as refusal:
        require_as_signed(facts.model_copy(update={field: lie}), manifest, DIGEST)
    assert refusal.value.field == field


def test_each_fact_is_the_bundles_or_the_registrys_own() -> None:
    registrys_own = {"ci_report", "schema_version", "serial", "state", "hil", "hil_report", "note"}
    assert set(BundleFacts.model_fields) == set(LIES) | registrys_own
