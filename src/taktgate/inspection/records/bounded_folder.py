"""A folder of files that is bounded in bytes and in age: the oldest file goes first."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DAY_S: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much a folder may hold."""

    max_bytes: int
    max_age_s: float


@dataclass(slots=True, kw_only=True)
class _Item:
    name: str
    size: int
    at_s: float


class BoundedFolder:
    """The files of one folder in the order of their names, which is that of their making."""

    def __init__(
        self, folder: Path, pattern: str, bounds: Bounds, *, wall_s: Callable[[], float] = time.time
    ) -> None:
        """Take up what an earlier process has left.

        Raises:
            OSError: the folder can neither be read nor made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._bounds = bounds
        self._wall_s = wall_s
        found = sorted((path.name, path.stat()) for path in folder.glob(pattern))
        self._items = deque(
            _Item(name=name, size=stat.st_size, at_s=stat.st_mtime) for name, stat in found
        )
        self.size_bytes = sum(item.size for item in self._items)
        self.removed = 0

    @property
    def newest(self) -> str | None:
        """Return the name of the newest file."""
        return self._items[-1].name if self._items else None

    def room_for(self, size: int) -> bool:
        """Remove old files until *size* more bytes fit; False when they never will.

        Raises:
            OSError: the disk refuses to remove.
        """
        self.prune()
        while self._items and self.size_bytes + size > self._bounds.max_bytes:
            self._remove_oldest()
        return self.size_bytes + size <= self._bounds.max_bytes

    def prune(self) -> None:
        """Remove what is too old. A clock that was set back keeps files longer, never shorter.

        Raises:
            OSError: the disk refuses.
        """
        now_s = self._wall_s()
        while self._items and now_s - self._items[0].at_s > self._bounds.max_age_s:
            self._remove_oldest()

    def add(self, name: str, size: int) -> None:
        """Take note of a file that was just made."""
        self._items.append(_Item(name=name, size=size, at_s=self._wall_s()))
        self.size_bytes += size

    def grow(self, size: int) -> None:
        """Take note that the newest file has grown by *size* bytes."""
        newest = self._items[-1]
        newest.size += size
        newest.at_s = self._wall_s()
        self.size_bytes += size

    def _remove_oldest(self) -> None:
        oldest = self._items[0]
        (self.folder / oldest.name).unlink(missing_ok=True)
        self._items.popleft()
        self.size_bytes -= oldest.size
        self.removed += 1
