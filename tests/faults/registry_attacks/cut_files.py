"""A file system that ends at one call: the real one, but for its syncs, which would take minutes.

What a power cut makes of calls that were never synced is for the crash points to show; here it is
the order of the files that counts.
"""

from collections.abc import Callable
from pathlib import Path

from taktgate.edge.file_system import LocalFileSystem


class PowerCutError(BaseException):
    """The power is gone: nothing that catches exceptions may catch this one."""


class CutFiles(LocalFileSystem):
    """Raises *error* at call number *at*, from 0; a torn write has taken half of its bytes."""

    def __init__(
        self,
        *,
        at: int | None = None,
        torn: bool = False,
        error: Callable[[], BaseException] = PowerCutError,
    ) -> None:
        self._at, self._torn, self._error = at, torn, error
        self.calls = 0

    def create(self, path: Path, *, mode: int) -> int:
        """Make *path*."""
        self._count()
        return super().create(path, mode=mode)

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write *data*."""
        if self._torn and self.calls == self._at:
            super().write(descriptor, data[: len(data) // 2])
        self._count()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Count."""
        self._count()

    def rename(self, path: Path, to: Path) -> None:
        """Rename *path*."""
        self._count()
        super().rename(path, to)

    def unlink(self, path: Path) -> None:
        """Remove *path*."""
        if self._error is PowerCutError:
            self._count()
        super().unlink(path)

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Make *path*."""
        self._count()
        super().make_folder(path, mode=mode)

    def sync_folder(self, path: Path) -> None:
        """Count."""
        self._count()

    def _count(self) -> None:
        self.calls += 1
        if self.calls - 1 == self._at:
            raise self._error()
