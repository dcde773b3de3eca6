"""Reading files that somebody else has put there: plain ones only, and never more than wanted.

What a path leads to can change between two looks at it, so each file is opened once and everything
is asked of what was opened: its kind, its size, its bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from taktgate.bundle.errors import ArchiveError, DigestMismatchError
from taktgate.bundle.manifest import BundleFile, digest_of
from taktgate.bundle.read_ahead import read_ahead

Heed: TypeAlias = Callable[[int], None]
"""Is called after each piece of long work with its size in bytes; may wait, or raise to end it."""
_CHUNK_BYTES: Final = 1 << 20
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""A link is refused; a pipe without a writer does not hold us up, and is refused next."""


def open_plain(path: Path) -> BinaryIO:
    """Return the plain file *path*, open for reading.

    Raises:
        ArchiveError: There is none, or what is there is a link, a folder, a pipe or a device.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise ArchiveError(f"{path.name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ArchiveError(f"{path.name} must be a plain file")
    return os.fdopen(descriptor, "rb")


def read_small(path: Path, *, limit_bytes: int) -> bytes:
    """Return the content of the plain file *path*.

    Raises:
        ArchiveError: It is no plain file, cannot be read, or is larger than *limit_bytes*.
    """
    with open_plain(path) as file:
        try:
            data = file.read(limit_bytes + 1)
        except OSError as error:
            raise ArchiveError(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) > limit_bytes:
        raise ArchiveError(f"{path.name} must be at most {limit_bytes} bytes")
    return data


def read_listed(path: Path, its: BundleFile) -> bytes:
    """Return the content of *path* once these very bytes are those that the manifest lists.

    Raises:
        ArchiveError: It is no plain file.
        DigestMismatchError: It has another size or digest, or cannot be read.
    """
    with open_plain(path) as file:
        _require_size(file, its)
        try:
            data = file.read(its.size_bytes)
        except OSError as error:
            raise DigestMismatchError(f"{its.path} cannot be read: {error.strerror}") from error
    _require_digest(digest_of(data), its)
    return data


def require_listed(path: Path, its: BundleFile, *, heed: Heed | None = None) -> None:
    """Accept the file *path* if it is the one that the manifest lists; in little memory.

    Raises:
        ArchiveError: It is no plain file.
        DigestMismatchError: It has another size or digest, or cannot be read.
    """
    with open_plain(path) as file:
        _require_size(file, its)
        digest = hashlib.sha256()
        with closing(_chunks(file, its)) as chunks:
            for chunk in chunks:
                digest.update(chunk)
                if heed is not None:
                    heed(len(chunk))
    _require_digest(f"sha256:{digest.hexdigest()}", its)


def _chunks(file: BinaryIO, its: BundleFile) -> Generator[bytes]:
    """Yield what the file holds; a small one is not worth a thread."""
    chunks = _read(file, its)
    yield from chunks if its.size_bytes <= _CHUNK_BYTES else read_ahead(chunks)


def _read(file: BinaryIO, its: BundleFile) -> Iterator[bytes]:
    # The disk goes on while a chunk is hashed: without that it idles for half of the time.
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
    left = its.size_bytes
    try:
        while left and (chunk := file.read(min(left, _CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk
    except OSError as error:
        raise DigestMismatchError(f"{its.path} cannot be read: {error.strerror}") from error


def _require_size(file: BinaryIO, its: BundleFile) -> None:
    """Look at the size first: a sparse file of terabytes is not worth a hash."""
    size = os.fstat(file.fileno()).st_size
    if size != its.size_bytes:
        raise DigestMismatchError(f"{its.path} must have {its.size_bytes} bytes, got {size}")


def _require_digest(digest: str, its: BundleFile) -> None:
    if digest != its.sha256:
        raise DigestMismatchError(f"{its.path} must have digest {its.sha256}, got {digest}")
