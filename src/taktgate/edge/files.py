"""Durable files: after a power cut a path holds its old content or its new content, whole."""

from collections.abc import Iterable
from pathlib import Path

from taktgate.edge.file_system import LOCAL, FileSystem


def publish(path: Path, content: bytes, *, mode: int = 0o640, files: FileSystem = LOCAL) -> None:
    """Replace *path* by *content* atomically and durably.

    Temporary file in the same folder, fsync, rename, fsync of the folder: the rename may reach the
    disk before the data without the first fsync, and not at all without the second.

    A path has one writer: what a killed one has left behind is overwritten.

    Raises:
        OSError: the disk refused; *path* still holds its old content, or, if only the folder could
            not be synced, the new one for as long as the power stays on.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    discard(temporary, files=files)
    try:
        write_through(temporary, content, mode=mode, files=files)
        files.rename(temporary, path)
    except OSError:
        discard(temporary, files=files)
        raise
    files.sync_folder(path.parent)


def write_through(
    path: Path, content: bytes | Iterable[bytes], *, mode: int = 0o640, files: FileSystem = LOCAL
) -> None:
    """Write a new file and wait until its bytes are on the disk. Its name is not durable yet.

    *content* may come in chunks. When they fail to come, half a file does not stay either.

    Raises:
        OSError: the disk refused, or *path* exists.
    """
    descriptor = files.create(path, mode=mode)
    try:
        try:
            for chunk in (content,) if isinstance(content, bytes) else content:
                write_whole(descriptor, chunk, files=files)
            files.sync(descriptor)
        finally:
            files.close(descriptor)
    except Exception:
        files.unlink(path)
        raise


def write_whole(descriptor: int, data: bytes | memoryview, *, files: FileSystem = LOCAL) -> None:
    """Write all of *data*, however little a call takes.

    Raises:
        OSError: the disk refused.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[files.write(descriptor, rest) :]


def discard(path: Path, *, files: FileSystem = LOCAL) -> None:
    """Take away the file *path*, if it is there.

    Raises:
        OSError: the disk refused.
    """
    if path.is_symlink() or path.exists():
        files.unlink(path)


def sync_folder(folder: Path) -> None:
    """Make the names in *folder* durable.

    Raises:
        OSError: the disk refused.
    """
    LOCAL.sync_folder(folder)
