"""The images that will come down the line, read ahead: a trigger does not wait for a disk."""

import asyncio
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from taktgate.standin.imagesets.port import ImageSet

_READ_AHEAD: Final = 4
_NOISY_SHARE: Final = 0.01
"""Of the pixels, whose lowest bit is noise when an image comes again straight away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One image, ready to be sent."""

    image: str
    label: str
    width: int
    height: int
    channels: int
    pixels: bytes
    crc32: int


class Roll:
    """Hands out the pictures of a set in the line's order; a few are always prepared.

    A live sensor never gives the same pixels twice, and a station takes a camera that does for
    frozen. So an image that comes twice in a row is exposed anew: with a little noise of its own.
    """

    def __init__(self, imageset: ImageSet, order: Iterator[int]) -> None:
        self._imageset = imageset
        self._order = order
        self._prepared: asyncio.Queue[Picture] = asyncio.Queue(_READ_AHEAD)
        self._noise = np.random.default_rng(0)
        self._last: int | None = None

    async def fill(self) -> None:
        """Keep pictures prepared until cancelled; reading happens in a thread of its own.

        Raises:
            ImageSetError: an image cannot be read.
        """
        for index in self._order:
            await self._prepared.put(await asyncio.to_thread(self._develop, index))

    async def next(self) -> Picture:
        """Return the next picture; it waits only when triggers come faster than images are read."""
        return await self._prepared.get()

    def _develop(self, index: int) -> Picture:
        item = self._imageset.item(index)
        is_again, self._last = index == self._last, index
        image = _exposed_anew(item.pixels, self._noise) if is_again else item.pixels
        pixels = image.tobytes()
        height, width = image.shape[:2]
        return Picture(
            image=item.id,
            label=item.label,
            width=width,
            height=height,
            channels=len(pixels) // (width * height),
            pixels=pixels,
            crc32=zlib.crc32(pixels),
        )


def _exposed_anew(pixels: NDArray[np.uint8], noise: np.random.Generator) -> NDArray[np.uint8]:
    is_noisy = noise.random(pixels.shape) < _NOISY_SHARE
    is_noisy.flat[noise.integers(is_noisy.size)] = True
    return pixels ^ is_noisy.astype(np.uint8)
