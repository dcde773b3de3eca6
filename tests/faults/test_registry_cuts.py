"""Publishing that is cut off at any system call: stations see the old state or the new one."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.registry_client import NAME, ReferenceClient, UnsyncedFileSystem
from tests.unit.registry.conftest import Shop

from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.targets import ReleaseState
from taktgate.edge.file_system import LOCAL
from taktgate.registry.errors import RegistryExistsError
from taktgate.registry.signed.admission import admitted
from taktgate.registry.signed.keys import name_of
from taktgate.registry.signed.publishing import Publisher
from taktgate.registry.signed.rotation import renew, rotate

S = ReleaseState


class CutOffError(BaseException):
    """The power is gone: nothing that catches exceptions may catch this one."""


class CutFileSystem:
    """The real one, until call number *at*; it syncs nothing, since no power is really cut."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if name.startswith("sync"):
                return None
            if name != "close":  # it changes nothing that a client could see
                if self.left == 0:
                    raise CutOffError
                self.left -= 1
            return getattr(LOCAL, name)(*arguments, **options)

        return call


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A registry with one released bundle, and two more to add."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.add("1.0.0")
    shop.publisher.promote(NAME, "1.0.0", "cpu", S.CI_PASSED)
    shop.publisher.promote(NAME, "1.0.0", "cpu", S.RELEASED, waiver="no rig")
    shop.bundle("2.0.0")
    return shop


def add_to_new_class(its: Publisher, shop: Shop) -> None:
    bundle = shop.root / "gpu.bundle"
    if not bundle.exists():
        shutil.move(shop.bundle("3.0.0", device_class="gpu"), bundle)
    with admitted(bundle, TrustedKeys.load(shop.trusted)) as found:
        its.add_bundle(found.archive, found.manifest, found.digest)


def revoke(its: Publisher, shop: Shop) -> None:
    its.revoke(NAME, "1.0.0", "cpu", note="misses pores")


def rotate_of(role: str) -> Callable[[Publisher, Shop], None]:
    def change(its: Publisher, shop: Shop) -> None:
        if len(its.files.keys_of(role)) != 1 or not is_done(role, its):
            rotate(its.files, role)

    return change


def is_done(role: str, its: Publisher) -> bool:
    return name_of(its.files.keys_of(role)[0]) == f"{role}-2"


def renew_all(its: Publisher, shop: Shop) -> None:
    renew(its.files, within_days=1000)


CHANGES: dict[str, Callable[[Publisher, Shop], None]] = {
    "add": add_to_new_class,
    "revoke": revoke,
    "renew": renew_all,
    **{f"rotate {role}": rotate_of(role) for role in ("class.cpu", "targets", "timestamp")},
    "rotate snapshot": rotate_of("snapshot"),
}
STEPS = {"add": 2, "renew": 2}
"""The longest changes are cut at every second call: they write one file after the other alike."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_cut_leaves_the_old_state_or_the_new_and_the_next_command_goes_on(
    name: str, before: Shop, tmp_path: Path
) -> None:
    change, cuts = CHANGES[name], 0
    while True:
        work = tmp_path / str(cuts)
        shutil.copytree(before.folder, work / "registry")
        shutil.copytree(before.keys, work / "keys")
        client = ReferenceClient(work / "registry", work / "trust")
        assert client.state_of("1.0.0") is S.RELEASED
        files: Any = CutFileSystem(cuts)
        was_cut = True
        with suppress(CutOffError):
            change(Publisher(work / "registry", keys=work / "keys", files=files), before)
            was_cut = False
        seen = client.state_of("1.0.0")
        assert seen in ((S.RELEASED, S.REVOKED) if name == "revoke" else (S.RELEASED,))
        its = Publisher(work / "registry", keys=work / "keys", files=UnsyncedFileSystem())
        change(its, before)
        assert client.state_of("1.0.0") is (S.REVOKED if name == "revoke" else S.RELEASED)
        if name == "add":
            assert client.state_of("3.0.0", "gpu") is S.REGISTERED
        shutil.rmtree(work)
        cuts += STEPS.get(name, 1)
        if not was_cut:
            break
    assert cuts > 9


def test_an_init_that_is_cut_off_is_completed_by_the_next_one(tmp_path: Path) -> None:
    cuts, was_cut = 0, True
    while was_cut:
        work = tmp_path / str(cuts)
        files: Any = CutFileSystem(cuts)
        with suppress(CutOffError):
            Publisher(work / "registry", keys=work / "keys", files=files).init()
            was_cut = False
        if was_cut:
            with suppress(RegistryExistsError):  # it was cut off after its last word
                files = UnsyncedFileSystem()
                Publisher(work / "registry", keys=work / "keys", files=files).init()
        ReferenceClient(work / "registry", work / "trust").refresh()
        assert len(list((work / "keys").glob("*.pem"))) == 7
        shutil.rmtree(work)
        cuts += 1
    assert cuts > 30
