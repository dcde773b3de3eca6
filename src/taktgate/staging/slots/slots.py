"""The slots volume: one folder per bundle, named after its digest, never changed once announced.

A folder appears under its final name only when every byte of it is on the disk and verified there.
Why folders by digest, and not A/B: docs/adr/0003-slots.md.
"""

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.compatibility import DeviceFacts
from taktgate.bundle.errors import BundleError, DeviceUnknownError, KeyFileError
from taktgate.bundle.reading import Heed
from taktgate.bundle.verification import VerifiedBundle
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import ModelOrder
from taktgate.staging.errors import GateError, OtherModelError
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import Gate
from taktgate.staging.slots.quota import Usage, measured

SLOT_PREFIX: Final = "slot-"
SPOOL_SUFFIX: Final = ".download"
PARTIAL_SUFFIX: Final = ".partial"
DAMAGED_SUFFIX: Final = ".damaged"
_LEFTOVERS: Final = (PARTIAL_SUFFIX, DAMAGED_SUFFIX, ".tmp")
_DIGEST_CHARACTERS: Final = 16

_OUR_FAULT: Final = (KeyFileError, DeviceUnknownError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelved:
    """A verified bundle in its slot."""

    model: ModelRef
    slot: str


def slot_name(digest: str) -> str:
    """Return the name of the slot for the bundle with *digest* ("sha256:...")."""
    return SLOT_PREFIX + digest.partition(":")[2][:_DIGEST_CHARACTERS]


class Slots:
    """Puts bundles into slots, finds them there, and takes out what nobody needs."""

    def __init__(self, root: Path, *, disk: Disk, gate: Gate) -> None:
        self._root = root
        self._disk = disk
        self._gate = gate

    def device(self) -> DeviceFacts:
        """Return what this device can run; see whether anything can be verified at all.

        Raises:
            GateError: our keys or device facts are not usable.
        """
        try:
            self._gate.check_self()
            return self._gate.device()
        except BundleError as error:
            raise GateError(error) from error

    def spool_path(self, sha256: str) -> Path:
        """Return where the download of the archive with *sha256* goes; half of it is of use."""
        return self._root / f".{sha256[:_DIGEST_CHARACTERS]}{SPOOL_SUFFIX}"

    def spooled_bytes(self) -> int:
        """Return how long the longest download is that lies here.

        Raises:
            OSError: the disk refuses even that.
        """
        spools = self._root.glob(f".*{SPOOL_SUFFIX}")
        return max((spool.lstat().st_size for spool in spools), default=0)

    def drop_spools(self, *, but: Path | None = None) -> None:
        """Remove all downloads with what belongs to them, save the one at *but*.

        Raises:
            OSError: the disk refused.
        """
        for entry in sorted(self._root.glob(f".*{SPOOL_SUFFIX}*")):
            if but is None or not entry.name.startswith(but.name):
                self._disk.remove(entry)

    def names(self) -> frozenset[str]:
        """Return the names of all slots."""
        return frozenset(entry.name for entry in self._root.glob(f"{SLOT_PREFIX}*"))

    def usage(self) -> Usage:
        """Return what lies on the volume.

        Raises:
            OSError: the disk refuses even that.
        """
        return measured(self._root, slots=len(self.names()))

    def bundle_in(self, name: str, *, heed: Heed | None = None) -> VerifiedBundle | None:
        """Return what is in slot *name*, None when it is gone or does not verify any more.

        *heed* is called between pieces of this long work.

        Raises:
            GateError: our keys or device facts are not usable, which says nothing about the slot.
        """
        try:
            bundle = self._verify(self._root / name, heed)
        except BundleError:
            return None
        return bundle if slot_name(bundle.digest) == name else None

    def verified(self, name: str) -> Shelved | None:
        """Return slot *name* as it would be announced; None and errors are those of `bundle_in`."""
        bundle = self.bundle_in(name)
        return None if bundle is None else _shelved(bundle)

    def unpack(
        self, archive: Path, order: ModelOrder, *, heed: Heed | None = None
    ) -> VerifiedBundle:
        """Return the bundle in *archive*, unpacked beside the slots and verified on the disk.

        *heed* is called between pieces of this long work.

        Raises:
            BundleError: it is damaged, not trusted or not for this device.
            OtherModelError: it is not the one that *order* names.
            GateError: our keys or device facts are not usable.
            OSError: the disk refused.
        """
        partial = self._root / f".{order.name}-{order.version}{PARTIAL_SUFFIX}"
        self._disk.remove(partial)
        self._disk.make_folder(partial)
        unpack(
            archive,
            partial,
            write=lambda path, chunks: self._disk.write(path, _heeded(chunks, heed)),
            make_folder=self._disk.make_folder,
        )
        if (golden := partial / layout.GOLDEN).is_dir():
            self._disk.sync_folder(golden)
        self._disk.sync_folder(partial)
        bundle = self._verify(partial, heed)
        said = (bundle.manifest.name, bundle.manifest.version)
        if said != (order.name, order.version):
            raise OtherModelError(
                f"manifest says {said[0]} {said[1]}, ordered is {order.name} {order.version}"
            )
        return bundle

    def shelve(self, bundle: VerifiedBundle) -> Shelved:
        """Give *bundle*, unpacked or found, its slot, durably.

        A folder of that name that does not verify is moved aside: nobody may load it anyway.

        Raises:
            GateError: our keys or device facts are not usable.
            OSError: the disk refused.
        """
        shelved = _shelved(bundle)
        slot = self._root / shelved.slot
        if slot == bundle.directory:
            return shelved  # it was found there
        if slot.exists():
            if self.verified(shelved.slot) is not None:
                return shelved
            aside = slot.with_name(f".{shelved.slot}{DAMAGED_SUFFIX}")
            self._disk.remove(aside)
            self._disk.rename(slot, aside)
        self._disk.rename(bundle.directory, slot)
        self._disk.sync_folder(self._root)
        return shelved

    def remove(self, names: Set[str]) -> None:
        """Remove the slots *names*.

        A slot loses its name first: half a slot never looks like one.

        Raises:
            OSError: the disk refused.
        """
        for name in sorted(names):
            aside = self._root / f".{name}{DAMAGED_SUFFIX}"
            self._disk.remove(aside)
            self._disk.rename(self._root / name, aside)
            self._disk.remove(aside)

    def sweep(self) -> None:
        """Remove what interrupted work has left behind.

        Raises:
            OSError: the disk refused.
        """
        for entry in sorted(self._root.glob(".*")):
            if entry.name.endswith(_LEFTOVERS):
                self._disk.remove(entry)

    def _verify(self, folder: Path, heed: Heed | None = None) -> VerifiedBundle:
        try:
            return self._gate.verify(folder, heed=heed)
        except _OUR_FAULT as error:
            raise GateError(error) from error


def _heeded(chunks: Iterable[bytes], heed: Heed | None) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk
        if heed is not None:
            heed(len(chunk))


def _shelved(bundle: VerifiedBundle) -> Shelved:
    manifest = bundle.manifest
    model = ModelRef(name=manifest.name, version=manifest.version, digest=bundle.digest)
    return Shelved(model=model, slot=slot_name(bundle.digest))
