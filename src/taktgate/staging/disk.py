"""What the stager does to the slots volume, as a port: a fault test cuts the power at each call."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from taktgate.edge.files import publish, sync_folder, write_through
from taktgate.staging.errors import DiskError, DiskFullError


class Disk(Protocol):
    """Every change of the slots volume. Each method raises OSError when the disk refuses."""

    def publish(self, path: Path, content: bytes) -> None:
        """Replace *path* atomically and durably."""

    def write(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write the new file *path* and wait until its bytes are on the disk."""

    def spool(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write the new file *path*, which nobody will miss after a power cut."""

    def make_folder(self, path: Path) -> None:
        """Make the new folder *path*."""

    def sync_folder(self, path: Path) -> None:
        """Make the names in *path* durable."""

    def rename(self, path: Path, to: Path) -> None:
        """Give *path* the new name *to*."""

    def remove(self, path: Path) -> None:
        """Remove the file or the folder *path*, if it is there."""


class LocalDisk:
    """A real file system."""

    def publish(self, path: Path, content: bytes) -> None:
        """Replace *path* atomically and durably."""
        publish(path, content)

    def write(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write the new file *path* durably, and forget it: who reads it next, reads the disk."""
        write_through(path, chunks)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)

    def spool(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write the new file *path* as its bytes come in."""
        with path.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)

    def make_folder(self, path: Path) -> None:
        """Make the new folder *path*, readable for the group that all modules share."""
        path.mkdir(mode=0o750)

    def sync_folder(self, path: Path) -> None:
        """Make the names in *path* durable."""
        sync_folder(path)

    def rename(self, path: Path, to: Path) -> None:
        """Give *path* the new name *to*, which is free or an empty folder."""
        path.rename(to)

    def remove(self, path: Path) -> None:
        """Remove the file or the folder *path*, if it is there."""
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Translate what a disk refuses within the block.

    Raises:
        DiskFullError: it has no room.
        DiskError: it refuses for another reason.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else DiskError
        raise kind(f"slots volume: {error.strerror or error}") from error
