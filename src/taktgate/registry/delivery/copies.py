"""A copy of a registry in a folder, read back by the client that stations use."""

import hashlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from taktgate.edge.files import discard, sync_folder, write_through
from taktgate.registry.delivery.published import StaticFile
from taktgate.registry.delivery.sending import Stored
from taktgate.registry.errors import CopyError, ExpiryError
from taktgate.registry.signed.repository import METADATA, TARGETS

_READ_BYTES: Final = 1 << 20


class FolderCopy:
    """A folder as the place of a copy: a USB stick, a share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def inventory(self) -> Mapping[str, Stored]:
        """Return the files that are there, by name; each is read whole, so a damaged one is known.

        Raises:
            CopyError: the folder cannot be read.
        """
        found = {}
        if not self.folder.is_dir():
            raise CopyError(f"{self.folder}: no such folder; is the stick mounted?")
        try:
            for part in (METADATA, TARGETS):
                for file in (self.folder / part).rglob("[!.]*"):
                    if file.is_file():
                        found[file.relative_to(self.folder).as_posix()] = _stored(file)
        except OSError as error:
            raise CopyError(f"{self.folder}: cannot be read: {error.strerror}") from error
        return found

    def read(self, name: str) -> bytes:
        """Return the file *name*.

        Raises:
            CopyError: it cannot be read.
        """
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise CopyError(f"{self.folder / name}: cannot be read: {error.strerror}") from error

    def write(self, file: StaticFile) -> None:
        """Write *file* durably.

        Raises:
            CopyError: the folder refuses it.
        """
        place = self.folder / file.name
        coming = place.with_name(f".{place.name}.tmp")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            discard(coming)
            write_through(coming, _content_of(file), mode=0o644)
            coming.replace(place)
            sync_folder(place.parent)
        except OSError as error:
            raise CopyError(f"{place}: cannot be written: {error.strerror}") from error


def require_readable(folder: Path, *, root: bytes, paths: Iterable[str]) -> None:
    """Accept the copy in *folder* if a client that trusts *root* takes all targets *paths* of it.

    The bytes come from the medium, as far as the kernel lets its cache be dropped.

    Raises:
        ExpiryError: its metadata has expired.
        CopyError: it is not what it should be.
    """
    with tempfile.TemporaryDirectory() as work:
        try:
            updater = Updater(
                work,
                f"{folder.resolve().as_uri()}/{METADATA}",
                fetcher=FolderFetcher(),
                bootstrap=root,
            )
            updater.refresh()
            for path in paths:
                target = updater.get_targetinfo(path)
                if target is None:
                    raise CopyError(f"{folder}: {path} is not in the copy")
                _require_content(folder, path, target.length, target.hashes["sha256"])
        except ExpiredMetadataError as error:
            raise ExpiryError(f"{folder}: {error}; renew it first") from error
        except (RepositoryError, OSError) as error:
            raise CopyError(f"{folder}: a client refuses it: {error}") from error


class FolderFetcher(FetcherInterface):
    """Metadata from file URLs, for python-tuf's client."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        place = Path(unquote(urlsplit(url).path))
        try:
            _drop_cache(place)
            yield place.read_bytes()
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{place}: not there", 404) from error


def _require_content(folder: Path, path: str, size_bytes: int, sha256: str) -> None:
    parent, _, name = path.rpartition("/")
    file = folder / TARGETS / parent / f"{sha256}.{name}"
    _drop_cache(file)
    if _stored(file) != Stored(size_bytes=size_bytes, sha256=sha256):
        raise CopyError(f"{file}: reads back other than it was written")


def _drop_cache(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _stored(file: Path) -> Stored:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return Stored(size_bytes=content.tell(), sha256=digest)


def _content_of(file: StaticFile) -> Iterator[bytes]:
    if file.place is None:
        yield file.content
        return
    with file.place.open("rb") as content:
        while chunk := content.read(_READ_BYTES):
            yield chunk
