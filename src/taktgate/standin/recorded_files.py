"""What a file system is asked to do, call by call, and proof that nothing is done beside it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from taktgate.edge.file_system import LOCAL, FileSystem


class Kind(StrEnum):
    """A method of the port, named after its system call."""

    CREATE = "create"
    EXTEND = "extend"
    WRITE = "write"
    SYNC = "fsync"
    CLOSE = "close"
    RENAME = "rename"
    UNLINK = "unlink"
    MAKE_FOLDER = "mkdir"
    REMOVE_FOLDER = "rmdir"
    SYNC_FOLDER = "fsync folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call that was made and succeeded.

    Attributes:
        kind: Which method.
        path: Below the recorded folder; for a call on an open file, its name when it was opened.
        to: The new name, of a rename.
        handle: Which opening of a file, counted from 1; 0 for a call on a name.
        size_bytes: To which an existing file was cut as it was opened.
        data: What was written.
    """

    kind: Kind
    path: str
    to: str = ""
    handle: int = 0
    size_bytes: int = 0
    data: bytes = b""

    def __str__(self) -> str:
        more = f" -> {self.to}" if self.to else ""
        size = f" {len(self.data)} B" if self.kind is Kind.WRITE else ""
        return f"{self.kind} {self.path}{more}{size}"


class RecordingFileSystem:
    """Does what it is asked to on *files*, and keeps a list of it in `calls`.

    *before* is called ahead of each call that changes something or waits for the disk: then all
    that the caller holds to be done is in `calls`.
    """

    def __init__(
        self, root: Path, *, before: Callable[[], None], files: FileSystem = LOCAL
    ) -> None:
        self._root = root
        self._before = before
        self._files = files
        self._open: dict[int, tuple[int, str]] = {}
        self._handles = 0
        self.calls: list[Call] = []

    def create(self, path: Path, *, mode: int) -> int:
        """Make *path*."""
        with self._asked():
            descriptor = self._files.create(path, mode=mode)
        self._opened(descriptor, Kind.CREATE, path)
        return descriptor

    def extend(self, path: Path, *, size_bytes: int) -> int:
        """Open *path* at *size_bytes*."""
        with self._asked():
            descriptor = self._files.extend(path, size_bytes=size_bytes)
        self._opened(descriptor, Kind.EXTEND, path, size_bytes=size_bytes)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write *data*."""
        with self._asked():
            taken = self._files.write(descriptor, data)
        self._note_open(descriptor, Kind.WRITE, data=bytes(data[:taken]))
        return taken

    def sync(self, descriptor: int) -> None:
        """Sync a file."""
        with self._asked():
            self._files.sync(descriptor)
        self._note_open(descriptor, Kind.SYNC)

    def close(self, descriptor: int) -> None:
        """Give *descriptor* back."""
        with self._asked():
            self._files.close(descriptor)
        self._note_open(descriptor, Kind.CLOSE)
        del self._open[descriptor]

    def rename(self, path: Path, to: Path) -> None:
        """Rename *path*."""
        with self._asked():
            self._files.rename(path, to)
        self._note(Call(kind=Kind.RENAME, path=self._name(path), to=self._name(to)))

    def unlink(self, path: Path) -> None:
        """Remove *path*."""
        with self._asked():
            self._files.unlink(path)
        self._note(Call(kind=Kind.UNLINK, path=self._name(path)))

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Make *path*."""
        with self._asked():
            self._files.make_folder(path, mode=mode)
        self._note(Call(kind=Kind.MAKE_FOLDER, path=self._name(path)))

    def remove_folder(self, path: Path) -> None:
        """Remove *path*."""
        with self._asked():
            self._files.remove_folder(path)
        self._note(Call(kind=Kind.REMOVE_FOLDER, path=self._name(path)))

    def sync_folder(self, path: Path) -> None:
        """Sync *path*."""
        with self._asked():
            self._files.sync_folder(path)
        self._note(Call(kind=Kind.SYNC_FOLDER, path=self._name(path)))

    @contextmanager
    def _asked(self) -> Iterator[None]:
        self._before()
        with _through_the_port():
            yield

    def _opened(self, descriptor: int, kind: Kind, path: Path, *, size_bytes: int = 0) -> None:
        self._handles += 1
        self._open[descriptor] = (self._handles, self._name(path))
        name = self._name(path)
        self._note(Call(kind=kind, path=name, handle=self._handles, size_bytes=size_bytes))

    def _note_open(self, descriptor: int, kind: Kind, *, data: bytes = b"") -> None:
        handle, name = self._open[descriptor]
        self._note(Call(kind=kind, path=name, handle=handle, data=data))

    def _note(self, call: Call) -> None:
        self.calls.append(call)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


class EscapeError(BaseException):
    """A file was changed beside the port: nothing may catch this, since the proof is void."""


_NAMES: Final = {
    "os.rename": 2,
    "os.remove": 1,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.truncate": 1,
    "os.link": 2,
    "os.symlink": 2,
}
"""Audit events of changes, and how many of their arguments are paths."""
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class _Watch:
    """The process's one audit hook; it cannot be taken away, so it is told what to watch."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.inside = 0
        self.is_installed = False

    def see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.folder is None or self.inside:
            return
        if event == "open":
            path, _, flags = arguments
            changed = [path] if isinstance(flags, int) and flags & _WRITES else []
        else:
            changed = list(arguments[: _NAMES.get(event, 0)])
        for path in changed:
            if isinstance(path, str | bytes | os.PathLike) and self._is_watched(path):
                raise EscapeError(f"{event} {os.fsdecode(path)}: past the port")

    def _is_watched(self, path: str | bytes | os.PathLike[str]) -> bool:
        assert self.folder is not None
        return os.path.abspath(os.fsdecode(path)).startswith(self.folder + os.sep)


_WATCH: Final = _Watch()


@contextmanager
def _through_the_port() -> Iterator[None]:
    _WATCH.inside += 1
    try:
        yield
    finally:
        _WATCH.inside -= 1


@contextmanager
def nothing_escapes(folder: Path) -> Iterator[None]:
    """Let every change below *folder* that does not go through a recorder raise EscapeError.

    Python's audit events (PEP 578) tell of each open, rename, removal and the like before it is
    made, by whatever library: only native code of its own would pass unseen.
    """
    if not _WATCH.is_installed:
        sys.addaudithook(_WATCH.see)
        _WATCH.is_installed = True
    _WATCH.folder = os.path.abspath(folder)
    try:
        yield
    finally:
        _WATCH.folder = None
