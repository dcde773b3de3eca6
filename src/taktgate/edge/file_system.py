"""What durable code does to a file system, one method a system call, as a port.

A fault test refuses, shortens or records each call; that needs no patch of the code under test.
"""

import os
from pathlib import Path
from typing import Final, Protocol

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class FileSystem(Protocol):
    """Every change of a volume. Each method raises OSError when the disk refuses."""

    def create(self, path: Path, *, mode: int) -> int:
        """Make the new file *path*; return a descriptor that writes from its beginning."""

    def extend(self, path: Path, *, size_bytes: int) -> int:
        """Cut the file *path* to *size_bytes*; return a descriptor that writes from there on."""

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write the beginning of *data*; return how many bytes were taken, at least one."""

    def sync(self, descriptor: int) -> None:
        """Wait until the bytes of the file are on the disk. Its name is another matter."""

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""

    def rename(self, path: Path, to: Path) -> None:
        """Give *path* the name *to*; a file, or an empty folder, of that name is replaced."""

    def unlink(self, path: Path) -> None:
        """Take away the name *path* of a file."""

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Make the new folder *path*."""

    def remove_folder(self, path: Path) -> None:
        """Remove the empty folder *path*."""

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in the folder *path* are on the disk."""


class LocalFileSystem:
    """The real one."""

    def create(self, path: Path, *, mode: int) -> int:
        """Make the new file *path*; return a descriptor that writes from its beginning."""
        return os.open(path, _NEW, mode)

    def extend(self, path: Path, *, size_bytes: int) -> int:
        """Cut the file *path* to *size_bytes*; return a descriptor that writes from there on."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.ftruncate(descriptor, size_bytes)
            os.lseek(descriptor, size_bytes, os.SEEK_SET)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write the beginning of *data*; return how many bytes were taken."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until the bytes of the file are on the disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        os.close(descriptor)

    def rename(self, path: Path, to: Path) -> None:
        """Give *path* the name *to*."""
        path.rename(to)

    def unlink(self, path: Path) -> None:
        """Take away the name *path* of a file."""
        path.unlink()

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Make the new folder *path*."""
        path.mkdir(mode=mode)

    def remove_folder(self, path: Path) -> None:
        """Remove the empty folder *path*."""
        path.rmdir()

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in the folder *path* are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


LOCAL: Final[FileSystem] = LocalFileSystem()
