"""A download on the disk, taken up where it stopped."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from taktgate.edge.files import discard, write_whole
from taktgate.staging.errors import TargetChangedError
from taktgate.staging.registry.offers import Offer, Registry
from taktgate.staging.slots.disk import Disk

_READ_BYTES: Final = 1 << 20


class Spool:
    """The download of one offer, in the file *path*."""

    def __init__(self, path: Path, *, disk: Disk) -> None:
        self._path = path
        self._disk = disk

    def fill(self, offer: Offer, registry: Registry) -> Iterator[int]:
        """Complete the file by what is missing; yield the sizes of the pieces as they lie there.

        Raises:
            TargetChangedError: the bytes are not those that were signed; the file is gone.
            RefusedError: the registry refuses them.
            RetriedError: they cannot be had now.
            OSError: the disk refused.
        """
        start, digest = self._so_far(offer)
        descriptor = self._open(start)
        try:
            for piece in registry.fetch(offer, start=start) if start < offer.size_bytes else ():
                write_whole(descriptor, piece, files=self._disk.files)
                digest.update(piece)
                yield len(piece)
        finally:
            self._disk.files.close(descriptor)
        if digest.hexdigest() != offer.sha256:
            discard(self._path, files=self._disk.files)
            raise TargetChangedError(f"{offer.path}: not the bytes that the registry signed")

    def _so_far(self, offer: Offer) -> "tuple[int, hashlib._Hash]":
        digest = hashlib.sha256()
        if not self._path.exists() or self._path.stat().st_size > offer.size_bytes:
            return 0, digest
        with self._path.open("rb") as file:
            while chunk := file.read(_READ_BYTES):
                digest.update(chunk)
            return file.tell(), digest

    def _open(self, start: int) -> int:
        if self._path.exists():
            return self._disk.files.extend(self._path, size_bytes=start)
        return self._disk.files.create(self._path, mode=0o640)
