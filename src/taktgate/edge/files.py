"""Durable files: after a power cut a path holds its old content or its new content, whole."""

import os
from collections.abc import Iterable
from pathlib import Path


def publish(path: Path, content: bytes, *, mode: int = 0o640) -> None:
    """Replace *path* by *content* atomically and durably.

    Temporary file in the same folder, fsync, rename, fsync of the folder: the rename may reach the
    disk before the data without the first fsync, and not at all without the second.

    A path has one writer: what a killed one has left behind is overwritten.

    Raises:
        OSError: the disk refused; *path* still holds its old content, or, if only the folder could
            not be synced, the new one for as long as the power stays on.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        write_through(temporary, content, mode=mode)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_through(path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o640) -> None:
    """Write a new file and wait until its bytes are on the disk. Its name is not durable yet.

    *content* may come in chunks. When they fail to come, half a file does not stay either.

    Raises:
        OSError: the disk refused, or *path* exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.writelines((content,) if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
    except Exception:
        path.unlink(missing_ok=True)
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable.

    Raises:
        OSError: the disk refused.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
