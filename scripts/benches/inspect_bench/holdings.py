"""What a judge holds of the system: what must be the same before and after any number of swaps."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """What one process and its children hold."""

    resident_kb: float
    descriptors: int
    memfds: int
    """Of all these processes: sealed memory that lives as long as somebody holds it."""
    threads: int
    processes: int
    """The process, its children and theirs; the dead that nobody has reaped count as well."""
    shared_segments: int
    """Names in /dev/shm."""


def held_by(process: int) -> Holdings:
    """Return what *process* holds now."""
    folder = Path(f"/proc/{process}")
    pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
    family = _family(process)
    return Holdings(
        resident_kb=pages * os.sysconf("SC_PAGE_SIZE") / 1024,
        descriptors=len(os.listdir(folder / "fd")),
        memfds=sum(_memfds(each) for each in family),
        threads=len(os.listdir(folder / "task")),
        processes=len(family),
        shared_segments=len(os.listdir("/dev/shm")),  # noqa: S108 - looked at, not written to
    )


def _family(process: int) -> list[int]:
    found = [process]
    for parent in found:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = (task / "children").read_text(encoding="ascii").split()
                found += [int(child) for child in children]
    return found


def _memfds(process: int) -> int:
    count = 0
    with suppress(OSError):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                count += "memfd:" in os.readlink(entry)
    return count
