"""Measure a frame, fast enough to do it for each: about 0.2 ms for 512x512 grey values.

Brightness and sharpness are taken from whole rows, evenly spread, each with its true neighbours: a
row is contiguous in memory, a grid of single pixels is not and costs three times as much. That
leaves out nothing that an image gate looks for, since darkness, glare and blur are not one row
high. The fingerprint covers every pixel.
"""

import math
import zlib
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from taktgate.inspection.image_facts import ImageFacts

Pixels = NDArray[np.uint8]

SAMPLES: Final = 1 << 15
"""Pixels that brightness and sharpness are taken from, at least; of a smaller image all."""
DARK_UP_TO: Final = 5
SATURATED_FROM: Final = 250
_GREEN: Final = 1
_NEIGHBOURHOOD: Final = 3
_WORD_BYTES: Final = 8


def measure(pixels: Pixels) -> ImageFacts:
    """Return the facts about *pixels*.

    Args:
        pixels: uint8, [height, width] or [height, width, 3], 1 pixel at least. Of a colour image
            each channel counts for brightness; sharpness is that of green, where most of a
            sensor's detail lies.
    """
    height, width = pixels.shape[:2]
    step = min(height, max(1, height * width // SAMPLES))
    rows = np.ascontiguousarray(pixels[step // 2 :: step])
    mean, variance = _spread(rows)
    return ImageFacts(
        mean=mean,
        contrast=math.sqrt(variance),
        sharpness=_sharpness(pixels if pixels.ndim == 2 else pixels[:, :, _GREEN], step),
        dark_share=int(np.count_nonzero(rows <= DARK_UP_TO)) / rows.size,
        saturated_share=int(np.count_nonzero(rows >= SATURATED_FROM)) / rows.size,
        fingerprint=_fingerprint(pixels),
    )


def _spread(values: NDArray[Any]) -> tuple[float, float]:
    """Return mean and variance. No dot product: BLAS would start threads beside the model's."""
    floats = values.ravel().astype(np.float32)
    mean = float(np.add.reduce(floats)) / floats.size
    floats -= np.float32(mean)
    np.multiply(floats, floats, out=floats)
    return mean, float(np.add.reduce(floats)) / floats.size


def _sharpness(grey: Pixels, step: int) -> float:
    """Return the variance of the Laplacian (four neighbours) over each *step*-th inner row."""
    if min(grey.shape) < _NEIGHBOURHOOD:
        return 0.0
    own = grey[1:-1:step].astype(np.int16)
    laplacian = own[:, 1:-1] * np.int16(-4)
    laplacian += own[:, :-2]
    laplacian += own[:, 2:]
    laplacian += grey[:-2:step, 1:-1]
    laplacian += grey[2::step, 1:-1]
    return _spread(laplacian)[1]


def _fingerprint(pixels: Pixels) -> int:
    """Return 64 bits of all pixels: their CRC-32, and below it the sum of their 8-byte words.

    Two live images agree in both with a chance of about 2^-64, and the CRC alone tells any two
    apart whose difference lies within 32 bits.
    """
    flat = np.ascontiguousarray(pixels).reshape(-1)
    words = flat[: flat.size // _WORD_BYTES * _WORD_BYTES].view(np.uint64)
    return zlib.crc32(flat.data) << 32 | int(np.add.reduce(words)) & 0xFFFF_FFFF
