"""The slots volume's changes, in the units of a stager: whole files, folders, trees."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.files import discard, publish, write_through
from taktgate.staging.errors import DiskError, DiskFullError


class Disk:
    """Changes the volume by *files*. Each method raises OSError when the disk refuses."""

    def __init__(self, files: FileSystem = LOCAL) -> None:
        self.files = files

    def publish(self, path: Path, content: bytes) -> None:
        """Replace *path* atomically and durably."""
        publish(path, content, files=self.files)

    def write(self, path: Path, chunks: Iterable[bytes]) -> None:
        """Write the new file *path* durably, and forget it: who reads it next, reads the disk."""
        write_through(path, _written_behind(path, chunks), files=self.files)
        with path.open("rb") as file:
            _forget(file)

    def make_folder(self, path: Path) -> None:
        """Make the new folder *path*, readable for the group that all modules share."""
        self.files.make_folder(path, mode=0o750)

    def sync_folder(self, path: Path) -> None:
        """Make the names in *path* durable."""
        self.files.sync_folder(path)

    def rename(self, path: Path, to: Path) -> None:
        """Give *path* the new name *to*, which is free or an empty folder."""
        self.files.rename(path, to)

    def remove(self, path: Path) -> None:
        """Remove the file or the folder *path*, if it is there."""
        if not path.is_dir() or path.is_symlink():
            discard(path, files=self.files)
            return
        for entry in sorted(path.iterdir()):
            self.remove(entry)
        self.files.remove_folder(path)


@contextmanager
def disk_errors(of: str = "slots volume") -> Iterator[None]:
    """Translate what the disk *of* refuses within the block.

    Raises:
        DiskFullError: it has no room.
        DiskError: it refuses for another reason.
    """
    try:
        yield
    except OSError as error:
        kind = DiskFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else DiskError
        raise kind(f"{of}: {error.strerror or error}") from error


def _written_behind(path: Path, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield *chunks*, which are written to *path* one by one; keep the disk busy with them.

    A file that is forgotten is one that Linux begins to write. Otherwise it lets hundreds of
    megabytes wait for the sync at the end, and the disk idle until then.
    """
    with path.open("rb") as file:
        for chunk in chunks:
            yield chunk
            _forget(file)


def _forget(file: BinaryIO) -> None:
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
