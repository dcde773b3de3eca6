"""The frame ring: slots in a sealed memfd that the judge fills and runners read.

The memory belongs to no path, so nothing can leak it. It is sealed against shrinking (a reader can
never be hit by SIGBUS) and against new writable mappings (a runner cannot alter a frame).
"""

import fcntl
import mmap
import os
from typing import Final, Self

SLOT_BYTES: Final = 4 * 1024 * 1024
"""The largest frame. Pages that no frame touches cost no memory."""
SLOTS: Final = 12
"""One being filled, two waiting for their trigger, four queued, one in flight per runner, spare."""
TOUCHED_BYTES: Final = 1024 * 1024
"""Of each slot, fetched by `touch`: a frame of 512x512 in colour takes 0.8 MB."""
_F_SEAL_FUTURE_WRITE: Final = 0x0010  # Linux 5.1; not in Python's fcntl


class FrameRing:
    """The judge's end: hands out slots and takes them back."""

    def __init__(self, *, slots: int = SLOTS, slot_bytes: int = SLOT_BYTES) -> None:
        self.slot_bytes = slot_bytes
        self.slots = slots
        size = slots * slot_bytes
        self._descriptor = os.memfd_create("taktgate-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._descriptor, size)
        self._map = mmap.mmap(self._descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | _F_SEAL_FUTURE_WRITE
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals)
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL)
        self._view = memoryview(self._map)
        self._free = list(range(slots))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fileno(self) -> int:
        """Return the descriptor to hand to a runner."""
        return self._descriptor

    @property
    def free(self) -> int:
        """Return how many slots are free."""
        return len(self._free)

    def take(self) -> int | None:
        """Return a free slot, None when all are in use."""
        return self._free.pop() if self._free else None

    def release(self, slot: int) -> None:
        """Take *slot* back.

        Raises:
            ValueError: it is free already: a bug, since two frames would share it.
        """
        if slot in self._free:
            raise ValueError(f"slot {slot} is free already")
        self._free.append(slot)

    def memory(self, slot: int) -> memoryview:
        """Return the writable memory of *slot*."""
        start = slot * self.slot_bytes
        return self._view[start : start + self.slot_bytes]

    def touch(self) -> None:
        """Fetch the first pages of each slot now, not in the middle of the first parts.

        A page costs some 0.5 us at its first touch: the first frame of each slot would be up to
        0.2 ms later in memory. What a frame has beyond TOUCHED_BYTES is fetched when it comes.
        """
        for slot in range(self.slots):
            start = slot * self.slot_bytes
            for offset in range(0, min(TOUCHED_BYTES, self.slot_bytes), mmap.PAGESIZE):
                self._view[start + offset] = 0

    def close(self) -> None:
        """Unmap and close."""
        self._view.release()
        self._map.close()
        os.close(self._descriptor)


def map_for_reading(descriptor: int) -> mmap.mmap:
    """Return the ring behind *descriptor* as a runner sees it: read-only.

    Raises:
        OSError: the descriptor is no ring.
    """
    return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
