"""Publishing on a disk that refuses: the file is named, and what stations see stays as it was."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from tests.registry_client import NAME, ReferenceClient, UnsyncedFileSystem
from tests.unit.registry.conftest import Shop

from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.targets import ReleaseState
from taktgate.edge.file_system import LOCAL
from taktgate.registry.errors import DiskError
from taktgate.registry.signed.admission import admitted
from taktgate.registry.signed.publishing import Publisher
from taktgate.registry.signed.rotation import rotate

S = ReleaseState
TAKES_ROOM: Final = ("create", "write", "rename", "make_folder")
REMOVES: Final = ("unlink", "remove_folder")
REFUSED: Final = {errno.ENOSPC: TAKES_ROOM, errno.EROFS: (*TAKES_ROOM, *REMOVES)}


class FailingDisk:
    """The real one for *takes* calls; from then on it refuses, as os.write does: without a name."""

    def __init__(self, number: int, *, takes: int) -> None:
        self.number = number
        self.left = takes

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            if name.startswith("sync"):
                return None
            if name in TAKES_ROOM:
                self.left -= 1
            if self.left < 0 and name in REFUSED[self.number]:
                raise OSError(self.number, os.strerror(self.number))
            return getattr(LOCAL, name)(*arguments, **options)

        return call


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A registry with one bundle that can be released, and a bundle of another class to add."""
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.add("1.0.0")
    shop.publisher.promote(NAME, "1.0.0", "cpu", S.CI_PASSED)
    shop.bundle("3.0.0", device_class="gpu")
    return shop


def add(its: Publisher, shop: Shop) -> None:
    with admitted(shop.root / "3.0.0.bundle", TrustedKeys.load(shop.trusted)) as found:
        its.add_bundle(found.archive, found.manifest, found.digest)


def release(its: Publisher, shop: Shop) -> None:
    its.promote(NAME, "1.0.0", "cpu", S.RELEASED, waiver="no rig")


def begin(its: Publisher, shop: Shop) -> None:
    its.init()


def rotate_timestamp(its: Publisher, shop: Shop) -> None:
    rotate(its.files, "timestamp")


@pytest.mark.parametrize(
    ("number", "change", "every", "at_least"),
    [
        (errno.ENOSPC, add, 8, 16),
        (errno.EROFS, release, 3, 9),
        (errno.ENOSPC, rotate_timestamp, 7, 14),
        (errno.ENOSPC, begin, 14, 42),
    ],
)
def test_what_the_disk_refuses_is_named_and_can_be_done_again(
    before: Shop,
    tmp_path: Path,
    number: int,
    change: Callable[[Publisher, Shop], None],
    every: int,
    at_least: int,
) -> None:
    takes, is_done = 0, False
    while not is_done:
        work = tmp_path / str(takes)
        if change is not begin:
            shutil.copytree(before.folder, work / "registry")
            shutil.copytree(before.keys, work / "keys")
        disk: Any = FailingDisk(number, takes=takes)
        said = ""
        try:
            change(Publisher(work / "registry", keys=work / "keys", files=disk), before)
            is_done = True
        except DiskError as error:
            said = str(error)
        if not is_done:
            assert said.startswith(f"{work}/")
            assert said.endswith(f"cannot be written: {os.strerror(number)}")
            assert number == errno.EROFS or not list(work.rglob("*.tmp"))
            if change is not begin:
                client = ReferenceClient(work / "registry", work / "trust")
                assert client.state_of("1.0.0") is S.CI_PASSED
            later = Publisher(work / "registry", keys=work / "keys", files=UnsyncedFileSystem())
            change(later, before)
            ReferenceClient(work / "registry", work / "trust-later").refresh()
        shutil.rmtree(work)
        takes += every
    assert takes > at_least
