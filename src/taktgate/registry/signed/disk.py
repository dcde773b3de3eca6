"""What a disk says when it refuses: an errno alone names neither the file nor the folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
