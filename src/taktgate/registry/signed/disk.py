"""The disk of a registry: what it refuses is said with the file, as an errno alone does not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from taktgate.edge.file_system import FileSystem
from taktgate.registry.errors import DiskError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name *path* where the disk refuses what the block does for it.

    Raises:
        DiskError: it is full, read-only, or broken.
    """
    try:
        yield
    except OSError as error:
        raise DiskError(f"{path}: cannot be written: {error.strerror}") from error


def make_folders(folder: Path, *, files: FileSystem) -> None:
    """Make *folder*, durably, and those above it, unless they are there.

    Raises:
        OSError: the disk refuses.
    """
    if folder.is_dir():
        return
    make_folders(folder.parent, files=files)
    files.make_folder(folder, mode=0o755)
    files.sync_folder(folder.parent)
