"""What a power cut takes from the disks, as far as files can show it without a virtual machine.

SIGKILL ends the processes and leaves the kernel's page cache: a kill alone loses nothing that was
written. Emulated on top of it is the loss of file data that no fsync protects: a journaling file
system may have kept any beginning of it, and may show the lost rest as zeros (ext4 with delayed
allocation; kernel.org, admin-guide/ext4, "data=ordered" and "data=writeback"). Files in the making
are exactly those whose names begin with a dot: the spool, the folder that a bundle is unpacked into
and `publish`'s temporary files. They are spoilt whether or not an fsync had passed, which is
harsher than a disk is.

Not emulated: renames and removals that no fsync of the folder protects, and their order. The
crash-point harness (`scripts/crash_points`) goes through those one by one.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

_SPARED: Final = ".lock"
"""Held, never read."""


def lose_unsynced(volume: Path, dice: Random) -> int:
    """Spoil the files in the making on *volume*; return how many bytes they lost.

    Raises:
        OSError: this machine's disk refused.
    """
    return sum(_cut_short(file, dice) for file in in_the_making(volume))


def in_the_making(volume: Path) -> Iterator[Path]:
    """Yield the files of *volume* that have no name yet that counts, in a fixed order."""
    for entry in sorted(volume.glob(".*")):
        if entry.is_dir():
            yield from sorted(path for path in entry.rglob("*") if path.is_file())
        elif entry.suffix != _SPARED:
            yield entry


def _cut_short(file: Path, dice: Random) -> int:
    """Keep a beginning of *file* of any length; in one case of two its old length, with zeros."""
    size_bytes = file.stat().st_size
    kept_bytes = dice.randint(0, size_bytes)
    os.truncate(file, kept_bytes)
    if dice.random() < 0.5:
        os.truncate(file, size_bytes)
    return size_bytes - kept_bytes
