"""A download on the disk, taken up where it stopped."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final, Protocol

from taktgate.staging.errors import RetriedError, TargetChangedError, UnreachableError
from taktgate.staging.fetch.download_file import DownloadFile
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.web import PIECE_BYTES
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk

WORTHWHILE_BYTES: Final = 1 << 20
"""A connection that brought so much before it broke was worth it: the next one is made at once."""
LONG_HOLDS: Final = 2
"""So many holds in a row, of half a second each, and a server may have taken us for gone."""


class Archives(Protocol):
    """The part of `registry.offers.Registry` that is needed here."""

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the archive of *offer* from byte *start* on."""


class Spool:
    """The download of one offer, in the file *path*."""

    def __init__(self, path: Path, *, disk: Disk, pace: Pace) -> None:
        self._file = DownloadFile(path, disk=disk)
        self._pace = pace

    @property
    def size_bytes(self) -> int:
        """How much is there that is good."""
        return self._file.size_bytes

    def fill(self, offer: Offer, registry: Archives) -> Generator[int]:
        """Complete the file by what is missing; yield the sizes of the pieces as they lie there.

        It yields 0 while it waits on purpose, at least twice a second, and while it reads what is
        there already. Closed before its end, it keeps what has come: the station holds, not for the
        last time perhaps.

        A torn beginning is our own disk's fault: a download that was taken up and does not have its
        digest begins once more from nothing, before the registry is blamed.

        Raises:
            TargetChangedError: the bytes are not those that were signed; the file is gone.
            RefusedError: the registry refuses them.
            RetriedError: they cannot be had now; what has come is kept.
            OSError: the disk refused.
        """
        yield from self._file.take_up(offer.size_bytes, offer.sha256)
        is_taken_up = self._file.size_bytes > 0
        yield from self._complete(offer, registry)
        if is_taken_up and self._file.sha256 != offer.sha256:
            self._file.discard()
            yield from self._complete(offer, registry)
        if self._file.sha256 != offer.sha256:
            self._file.discard()
            raise TargetChangedError(f"{offer.path}: not the bytes that the registry signed")

    def _complete(self, offer: Offer, registry: Archives) -> Iterator[int]:
        if self._file.size_bytes == offer.size_bytes:
            return
        self._file.open()
        try:
            while not (yield from self._connection(offer, registry)):
                pass
            self._file.finish()
        except (RetriedError, GeneratorExit):
            self._file.mark()
            raise
        finally:
            self._file.close()

    def _connection(self, offer: Offer, registry: Archives) -> Generator[int, None, bool]:
        """Write what one connection brings; return whether it came to its end."""
        began_at, holds = self._file.size_bytes, 0
        try:
            for piece in registry.fetch(offer, start=began_at):
                self._file.write(piece)
                if piece:
                    yield len(piece)
                holds = 0
                for _ in self._pace.charge_network(len(piece) or PIECE_BYTES):
                    holds += 1
                    yield 0
        except UnreachableError:
            if holds < LONG_HOLDS and self._file.size_bytes - began_at < WORTHWHILE_BYTES:
                raise
            return False
        return True
