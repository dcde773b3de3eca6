"""Whatever publishers do, in whatever order, the reference client follows and sees what is so."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.registry_client import NAME
from tests.unit.registry.conftest import Shop

from taktgate.bundle.targets import ReleaseState
from taktgate.registry.commands.overview import overview
from taktgate.registry.errors import RegistryError
from taktgate.registry.signed.rotation import renew, rotate

S = ReleaseState
VERSIONS = ("1.0.0", "2.0.0")
ROLES = ("root", "targets", "sources", "class.cpu", "snapshot", "timestamp")
STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(VERSIONS)),
    st.tuples(st.sampled_from(["ci", "release", "revoke", "floor"]), st.sampled_from(VERSIONS)),
    st.tuples(st.sampled_from(["rotate", "renew"]), st.sampled_from(ROLES)),
)


def take(shop: Shop, step: str, of: str) -> None:
    files, its = shop.publisher.files, shop.publisher
    ways: dict[str, Callable[[], object]] = {
        "add": lambda: shop.add(of),
        "ci": lambda: its.promote(NAME, of, "cpu", S.CI_PASSED),
        "release": lambda: its.promote(NAME, of, "cpu", S.RELEASED, waiver="no rig"),
        "revoke": lambda: its.revoke(NAME, of, "cpu", note="misses pores"),
        "floor": lambda: its.floor(NAME, of, "cpu"),
        "rotate": lambda: rotate(files, of),
        "renew": lambda: renew(files, [of], within_days=1000),
    }
    ways[step]()


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
def test_the_reference_client_follows_every_sequence(steps: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        trusted = 0
        for step, of in steps:
            with suppress(RegistryError):
                take(shop, step, of)
            seen = shop.client.refresh()._trusted_set.timestamp.version
            assert seen >= trusted
            trusted = seen
        expected = {
            its.facts.version: its.facts.state for its in overview(shop.publisher.files).bundles
        }
        for version in VERSIONS:
            assert shop.client.state_of(version) == expected.get(version)
