"""From a frame to the model's input. Training, gates and the station call this one function."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from taktgate.bundle.manifest import Preprocessing

Pixels = NDArray[np.uint8]
Tensor = NDArray[Any]
_PAGE_BYTES: Final = 4096


class FrameError(ValueError):
    """A frame cannot be fed to the model: wrong type, shape or size."""


def allocate(spec: Preprocessing) -> Tensor:
    """Return an array that `preprocess` can fill again and again.

    It begins in the middle of a page. Frames begin at the start of one, and where source and
    destination of a copy lie at nearly the same place of their pages, the processor takes each load
    for one of a byte just stored (4 KiB aliasing): measured seven times slower for 512x512.
    """
    dtype = np.dtype(np.uint8 if spec.scale == "in_graph" else np.float32)
    shape = (1, 3, spec.height, spec.width)
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _PAGE_BYTES, np.uint8)
    start = (_PAGE_BYTES // 2 - memory.ctypes.data) % _PAGE_BYTES
    return memory[start : start + size].view(dtype).reshape(shape)


def preprocess(pixels: Pixels, spec: Preprocessing, *, out: Tensor | None = None) -> Tensor:
    """Return *pixels* as [1, 3, height, width], written into *out* where given.

    Args:
        pixels: uint8, [height, width] or [height, width, 3].
        spec: The bundle's preprocessing.
        out: An array from `allocate`.

    Raises:
        FrameError: The frame is not uint8, has another shape, or may not be resized.
    """
    tensor = allocate(spec) if out is None else out
    _require_frame(pixels)
    if spec.channels == "grey_to_rgb" and pixels.ndim == 3:
        pixels = np.asarray(Image.fromarray(pixels).convert("L"))
    if pixels.shape[:2] != (spec.height, spec.width):
        pixels = _resize(pixels, spec)
    planes = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    if spec.scale == "in_graph":
        tensor[0] = planes
    elif pixels.ndim == 2:
        np.multiply(pixels, np.float32(spec.scale), out=tensor[0, 0])
        tensor[0, 1:] = tensor[0, 0]  # a copy costs a third of the multiplication
    else:
        np.multiply(planes, np.float32(spec.scale), out=tensor[0])
    return tensor


def _require_frame(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8:
        raise FrameError(f"a frame must be uint8, got {pixels.dtype}")
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or 0 in pixels.shape:
        raise FrameError(
            f"a frame must be [height, width] or [height, width, 3], got {pixels.shape}"
        )


def _resize(pixels: Pixels, spec: Preprocessing) -> Pixels:
    if spec.resample == "none":
        height, width = pixels.shape[:2]
        raise FrameError(f"the model takes {spec.width}x{spec.height} only, got {width}x{height}")
    image = Image.fromarray(pixels).resize((spec.width, spec.height), Image.Resampling.BILINEAR)
    return np.asarray(image)
