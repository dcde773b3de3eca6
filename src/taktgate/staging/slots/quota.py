"""How much room a bundle may take, decided by its signed sizes before a byte of it is fetched."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts.twins import SlotsDisk
from taktgate.staging.errors import DiskFullError, NeverFitsError, QuotaError

MB: Final = 1_000_000
_FREE_STEP_MB: Final = 64
"""Free space is told in steps of so much: it changes all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What lies on the slots volume, in bytes.

    Attributes:
        used: Of all our files.
        free: Of the volume, for us.
        slots: How many there are.
    """

    used: int
    free: int
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The station's limits, in bytes.

    Attributes:
        most: On the slots volume, what is being fetched and unpacked included.
        reserve: Of the volume stays free.
    """

    most: int
    reserve: int

    def require_possible(self, *, archive: int, unpacked: int) -> None:
        """Accept a bundle that could lie here: its *archive* beside what is *unpacked* of it.

        Raises:
            NeverFitsError: not even on an empty volume.
        """
        if archive + unpacked > self.most:
            raise NeverFitsError(
                f"needs {_mb(archive + unpacked)} MB while it is unpacked, "
                f"staging.quota_mb is {_mb(self.most)}"
            )

    def require_room(self, needed: int, usage: Usage) -> None:
        """Accept *needed* more bytes beside what lies there already.

        Raises:
            QuotaError: that would be more than our share of the volume.
            DiskFullError: the volume would have less free than its reserve.
        """
        if usage.used + needed > self.most:
            raise QuotaError(
                f"needs {_mb(needed)} MB more, {_mb(usage.used)} of {_mb(self.most)} MB are in use"
            )
        if usage.free - needed < self.reserve:
            raise DiskFullError(
                f"slots volume: needs {_mb(needed)} MB more, {_mb(usage.free)} MB are free and "
                f"{_mb(self.reserve)} MB of them stay so"
            )

    def told(self, usage: Usage) -> SlotsDisk:
        """Return *usage* as it is reported."""
        return SlotsDisk(
            slots=usage.slots,
            usedMb=_mb(usage.used),
            quotaMb=_mb(self.most),
            freeMb=_mb(usage.free) // _FREE_STEP_MB * _FREE_STEP_MB,
        )


def measured(root: Path, *, slots: int) -> Usage:
    """Return what lies in *root*, with its number of *slots*.

    Raises:
        OSError: the disk refuses even that.
    """
    volume = os.statvfs(root)
    return Usage(used=size_of(root), free=volume.f_bavail * volume.f_frsize, slots=slots)


def size_of(path: Path) -> int:
    """Return the bytes of the files in the folder *path*; 0 when it is not there."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            total += _size(Path(folder) / name)
    return total


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _mb(size_bytes: int) -> int:
    return -(-size_bytes // MB)
