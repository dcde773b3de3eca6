"""Bundles: damaged as a file, in a member, in a signed manifest, or where they lie unpacked.

Whatever comes is refused with a typed error, or is the same bundle in every byte that is loaded. A
manifest that says something else and is signed all the same keeps every rule, or is refused.
Nothing is ever written outside the folder that was meant.
"""

import json
import os
import tempfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Final

from fuzzers.campaign import BrokenPromiseError
from fuzzers.mutation import mutate_bytes, mutate_json, smaller_sequences
from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.errors import BundleError
from taktgate.bundle.manifest import LatencyClaims, Manifest, UncertainBand, digest_of
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.standin.hand_made import Grey, HandMade, write_hand_made

DEVICE: Final = DeviceFacts(
    device_class="cpu", machine="x86_64", opset_max=26, ir_max=13, runtime_version="1.31.1"
)
_TERABYTE: Final = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleCase:
    """An archive, and what is done to the folder into which it is unpacked.

    Attributes:
        is_signed: Its manifest was signed with a trusted key after the damage.
        trick: What happens to `member` in the folder; empty for nothing.
    """

    archive: bytes
    is_signed: bool = False
    trick: str = ""
    member: str = ""


class BundleTarget:
    """Unpacks and verifies."""

    name = "bundle"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = SigningKey.generate()
        (folder / "trusted.pub.pem").write_bytes(self._key.public_pem())
        self._keys = TrustedKeys.load(folder / "trusted.pub.pem")
        write_hand_made(_GOOD, key=self._key, to=folder / "good.bundle")
        self._good = (folder / "good.bundle").read_bytes()
        self._members = _members(self._good)
        self._digest = digest_of(self._members[layout.MANIFEST])

    def make(self, random: Random) -> BundleCase:
        """Return a bundle that is damaged in one of four ways."""
        match random.randrange(4):
            case 0:
                return BundleCase(archive=_damaged(random, self._good))
            case 1:
                name = random.choice(list(self._members))
                changed = {**self._members, name: _damaged(random, self._members[name])}
                return BundleCase(archive=_zipped(changed))
            case 2:
                return self._resigned(random)
            case _:
                member = random.choice([*self._members, layout.GOLDEN])
                trick = random.choice(list(TRICKS))
                return BundleCase(archive=self._good, trick=trick, member=member)

    async def check(self, case: BundleCase) -> None:
        """Unpack and verify *case*."""
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            place = Path(name)
            (place / "x.bundle").write_bytes(case.archive)
            try:
                bundle = self._verified(place, case)
                model = bundle.read_model()
            except BundleError:
                bundle = None
            if set(os.listdir(place)) - {"x.bundle", "slot", "moved"}:
                raise BrokenPromiseError("nothing is written outside the folder")
            if bundle is not None:
                self._require_same(bundle, model, case)

    def smaller(self, case: BundleCase) -> Iterable[BundleCase]:
        """Return cases with shorter archives."""
        for archive in smaller_sequences(case.archive):
            yield replace(case, archive=archive)

    def show(self, case: BundleCase) -> str:
        """Return the trick, or the archive's bytes."""
        return f"{case.trick} {case.member}" if case.trick else repr(case.archive)

    def _verified(self, place: Path, case: BundleCase) -> VerifiedBundle:
        slot = place / "slot"
        unpack(place / "x.bundle", slot)
        if case.trick:
            TRICKS[case.trick](slot / case.member, place / "moved")
        return verify_directory(slot, self._keys, DEVICE)

    def _resigned(self, random: Random) -> BundleCase:
        manifest = self._members[layout.MANIFEST]
        if random.random() < 0.7:
            document = mutate_json(random, json.loads(manifest))
            manifest = json.dumps(document, indent=2, sort_keys=True).encode()
        else:
            manifest = _damaged(random, manifest)
        signed = {layout.MANIFEST: manifest, layout.SIGNATURE: self._key.sign(manifest)}
        return BundleCase(archive=_zipped({**self._members, **signed}), is_signed=True)

    def _require_same(self, bundle: VerifiedBundle, model: bytes, case: BundleCase) -> None:
        if model != self._members[layout.MODEL]:
            raise BrokenPromiseError("no other model is loaded")
        if Manifest.parse(bundle.manifest.to_bytes()) != bundle.manifest:
            raise BrokenPromiseError("a manifest that is accepted can be written again")
        if not case.is_signed and bundle.digest != self._digest:
            raise BrokenPromiseError("an unsigned change is refused")
        for its in bundle.manifest.files:
            if (bundle.directory / its.path).read_bytes() != self._members[its.path]:
                raise BrokenPromiseError("no other file is accepted")


@asynccontextmanager
async def open_bundle() -> AsyncIterator[BundleTarget]:
    """Open the target in a folder of its own, on a disk in memory where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder with a random name below it
    home = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="fuzz-bundle-", dir=home) as folder:
        yield BundleTarget(Path(folder))


def _to_link(path: Path, moved: Path) -> None:
    path.rename(moved)
    path.symlink_to(moved)


def _to_pipe(path: Path, moved: Path) -> None:
    path.rename(moved)
    os.mkfifo(path)


def _to_folder(path: Path, moved: Path) -> None:
    path.rename(moved)
    path.mkdir()


def _to_nothing(path: Path, moved: Path) -> None:
    path.rename(moved)


def _to_device(path: Path, moved: Path) -> None:
    path.rename(moved)
    path.symlink_to("/dev/zero")


def _to_two_names(path: Path, moved: Path) -> None:
    if path.is_file():
        moved.hardlink_to(path)


def _to_sparse(path: Path, moved: Path) -> None:
    del moved
    if path.is_file():
        os.truncate(path, _TERABYTE)


def _to_other(path: Path, moved: Path) -> None:
    del moved
    if path.is_file():
        path.write_bytes(bytes(path.stat().st_size))


def _with_neighbour(path: Path, moved: Path) -> None:
    del moved
    path.with_name(path.name + ".more").write_bytes(b"")


TRICKS: Final[Mapping[str, Callable[[Path, Path], None]]] = {
    "link": _to_link,
    "pipe": _to_pipe,
    "folder": _to_folder,
    "missing": _to_nothing,
    "device": _to_device,
    "two names": _to_two_names,
    "sparse": _to_sparse,
    "other bytes": _to_other,
    "neighbour": _with_neighbour,
}

_GOOD: Final = HandMade(
    name="fuzzed",
    version="1.0.0",
    model=b"bytes that nobody loads",
    side=8,
    opset=17,
    ir_version=8,
    classes=("bright", "glare"),
    golden=(
        Grey(name="dark", grey=0, label="ok", score=0.1),
        Grey(name="bright", grey=255, label="defective", score=0.9),
    ),
    band=UncertainBand(low=0.45, high=0.55),
    latency=LatencyClaims(p50_ms=1.0, p95_ms=2.0, p99_ms=3.0, n=9, machine="none"),
)


def _damaged(random: Random, data: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        data = mutate_bytes(random, data)
    return data


def _members(archive: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        return {info.filename: opened.read(info) for info in opened.infolist()}


def _zipped(members: Mapping[str, bytes]) -> bytes:
    """Return an archive that is laid out as ours are, whatever its members hold."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, data)
    return file.getvalue()
