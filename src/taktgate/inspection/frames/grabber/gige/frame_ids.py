"""From the camera's block id, which wraps, to a number that does not. Pure.

GigE Vision 1.x counts blocks in 16 bits and leaves 0 out: 65535 is followed by 1 (GigE Vision 1.2,
GVSP data block). GigE Vision 2.x may count in 64 bits (extended id) and does not wrap.
"""

from typing import Final

BLOCKS: Final = 65535
"""How many ids there are before they repeat."""
_HALF: Final = BLOCKS // 2


class FrameIds:
    """Unrolls the ids of one stream."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._count = 0
        self._is_extended = False
        self.lost = 0
        """Blocks of which nothing was seen."""

    def unroll(self, block_id: int) -> int | None:
        """Return the running number of the block, None for one that is older than the last."""
        last, self._last = self._last, block_id
        self._is_extended |= block_id > BLOCKS
        if last is None:
            self._count = block_id
            return self._count
        step = block_id - last if self._is_extended else (block_id - last) % BLOCKS
        if step <= 0 or (not self._is_extended and step > _HALF):
            self._last = last
            return None
        self.lost += step - 1
        self._count += step
        return self._count
