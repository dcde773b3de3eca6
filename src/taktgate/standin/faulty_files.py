"""A file system that fails on demand: the power goes, the disk is full, broken or read-only."""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from taktgate.edge.file_system import LOCAL, FileSystem

T = TypeVar("T")


class PowerCutError(BaseException):
    """The power is gone: nothing that catches exceptions may catch this one."""


class Fault(StrEnum):
    """What befalls a file system at one call."""

    POWER_CUT = "powerCut"
    """The call raises PowerCutError and does nothing."""
    NO_SPACE = "noSpace"
    """From here on there is room for half a write more, and for no new name."""
    IO_ERROR = "ioError"
    """This one call fails and does nothing."""
    SHORT_WRITE = "shortWrite"
    """From here on a write takes half of what it is given: allowed, so nobody may stumble."""
    READ_ONLY = "readOnly"
    """From here on nothing can be changed: so a file system ends that has found itself damaged."""


_ERRORS: Final = {
    Fault.NO_SPACE: errno.ENOSPC,
    Fault.IO_ERROR: errno.EIO,
    Fault.READ_ONLY: errno.EROFS,
}


@dataclass(slots=True)
class CallCounts:
    """How many calls there were, and the numbers of those that write or need room for a name."""

    calls: int = 0
    writes: list[int] = field(default_factory=list)
    taking_room: list[int] = field(default_factory=list)


class FaultyFileSystem:
    """Counts the calls to *files*, and lets *fault* begin at call number *at*, from 0.

    `close` is no such call: it gives its descriptor back whatever the disk says.
    """

    def __init__(
        self, *, fault: Fault | None = None, at: int = 0, files: FileSystem = LOCAL
    ) -> None:
        self._fault = fault
        self._at = at
        self._files = files
        self._has_room = True
        self._written = self._name = ""
        self.counts = CallCounts()
        self.struck = ""
        """The name of the file or folder that the fault has met first."""

    def lift(self) -> None:
        """Let nothing fail any more."""
        self._fault = None

    def create(self, path: Path, *, mode: int) -> int:
        """Make *path*."""
        self._written = path.name
        return self._call(path.name, lambda: self._files.create(path, mode=mode), needs_room=True)

    def extend(self, path: Path, *, size_bytes: int) -> int:
        """Open *path* at *size_bytes*."""
        self._written = path.name
        return self._call(path.name, lambda: self._files.extend(path, size_bytes=size_bytes))

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write *data*, or half of it."""
        self.counts.writes.append(self.counts.calls)
        self.counts.taking_room.append(self.counts.calls)
        fault = self._count(self._written)
        half = data[: max(1, len(data) // 2)]
        if fault is Fault.SHORT_WRITE:
            return self._files.write(descriptor, half)
        if fault is Fault.NO_SPACE and self._has_room:
            self._has_room = False
            return self._files.write(descriptor, half)
        self._fail(fault)
        return self._files.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Sync a file."""
        self._call(self._written, lambda: self._files.sync(descriptor))

    def close(self, descriptor: int) -> None:
        """Give *descriptor* back."""
        self._files.close(descriptor)

    def rename(self, path: Path, to: Path) -> None:
        """Rename *path*."""
        self._call(path.name, lambda: self._files.rename(path, to))

    def unlink(self, path: Path) -> None:
        """Remove *path*."""
        self._call(path.name, lambda: self._files.unlink(path))

    def make_folder(self, path: Path, *, mode: int) -> None:
        """Make *path*."""
        self._call(path.name, lambda: self._files.make_folder(path, mode=mode), needs_room=True)

    def remove_folder(self, path: Path) -> None:
        """Remove *path*."""
        self._call(path.name, lambda: self._files.remove_folder(path))

    def sync_folder(self, path: Path) -> None:
        """Sync *path*."""
        name = f"{path.name} with {self._written}"  # whose name is to last
        self._call(name, lambda: self._files.sync_folder(path))

    def _call(self, name: str, call: Callable[[], T], *, needs_room: bool = False) -> T:
        if needs_room:
            self.counts.taking_room.append(self.counts.calls)
        fault = self._count(name)
        if fault is not Fault.SHORT_WRITE and (fault is not Fault.NO_SPACE or needs_room):
            self._fail(fault)
        return call()

    def _count(self, name: str) -> Fault | None:
        """Return the fault that befalls this call, on what is called *name*."""
        number, self.counts.calls = self.counts.calls, self.counts.calls + 1
        self._name = name
        if self._fault in (Fault.POWER_CUT, Fault.IO_ERROR):
            return self._fault if number == self._at else None
        return self._fault if number >= self._at else None

    def _fail(self, fault: Fault | None) -> None:
        if fault is not None:
            self.struck = self.struck or self._name
        if fault is Fault.POWER_CUT:
            raise PowerCutError
        if fault is not None:
            code = _ERRORS[fault]
            raise OSError(code, os.strerror(code))
