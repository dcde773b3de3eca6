"""Whatever publishers do, in whatever order, the reference client follows and sees what is so."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.registry_client import NAME, ReferenceClient
from tests.unit.registry.conftest import Shop
from tests.unit.registry.slow_clients import SlowClients

from taktgate.bundle.targets import ReleaseState
from taktgate.registry.commands.overview import overview
from taktgate.registry.errors import RegistryError
from taktgate.registry.signed.pruning import prune
from taktgate.registry.signed.rotation import renew, rotate

S = ReleaseState
VERSIONS = ("1.0.0", "2.0.0")
ROLES = ("root", "targets", "sources", "class.cpu", "snapshot", "timestamp")
STEPS = st.one_of(
    st.tuples(st.just("add"), st.sampled_from(VERSIONS)),
    st.tuples(st.sampled_from(["ci", "release", "revoke", "floor"]), st.sampled_from(VERSIONS)),
    st.tuples(st.sampled_from(["rotate", "renew"]), st.sampled_from(ROLES)),
    st.tuples(st.just("wait"), st.sampled_from(["1", "23", "300", "800"])),
    st.tuples(st.just("prune"), st.just("")),
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
        "wait": lambda: wait(shop, int(of)),
        "prune": lambda: prune(files),
    }
    ways[step]()


def wait(shop: Shop, hours: int) -> None:
    """Let the time go on; then the nightly job has run."""
    later = shop.publisher.files.clock() + timedelta(hours=hours)
    shop.publisher.files.clock = lambda: later
    renew(shop.publisher.files)


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=1, max_size=8))
def test_the_reference_client_follows_every_sequence(steps: list[tuple[str, str]]) -> None:
    """Up to date, with an old cache, with none, or begun up to a day before and still asking."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(Path(folder))
        shop.client.clock = lambda: shop.publisher.files.clock()
        away = ReferenceClient(shop.folder, shop.root / "away", clock=shop.client.clock)
        away.refresh()
        trusted, slow = 0, SlowClients(shop)
        slow.begin()
        for step, of in [*steps, ("prune", "")]:
            with suppress(RegistryError):
                take(shop, step, of)
            seen = shop.client.refresh()._trusted_set.timestamp.version
            assert seen >= trusted
            trusted = seen
            slow.begin()
            if step == "prune":
                slow.go_on(*VERSIONS)
        expected = {
            its.facts.version: its.facts.state for its in overview(shop.publisher.files).bundles
        }
        new = ReferenceClient(shop.folder, shop.root / "new", clock=shop.client.clock)
        for client in (shop.client, away, new):
            assert client.states_of(*VERSIONS) == dict.fromkeys(VERSIONS) | expected
