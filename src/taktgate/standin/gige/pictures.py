"""What the fake camera shows: images in turn, each with its exposure's number in the corner."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from taktgate.standin.gige.fake_camera import Fill

NUMBER_PIXELS: Final = 4
"""The first pixels of a frame hold the number of its exposure, the lowest byte first."""


def read_folder(folder: Path) -> tuple[NDArray[np.uint8], ...]:
    """Return the images of *folder* in the order of their names, as grey values.

    Raises:
        OSError: the folder is empty, or an image cannot be read.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg", ".bmp"))
    if not paths:
        raise OSError(f"no image (.png, .jpg, .bmp) in {folder}")
    return tuple(np.asarray(Image.open(path).convert("L")) for path in paths)


def show(images: Sequence[NDArray[np.uint8]]) -> Fill:
    """Return what shows *images* in turn; without any, grey that rises from frame to frame."""
    shown = 0

    def fill(frame: NDArray[np.uint8]) -> None:
        nonlocal shown
        if images:
            flat = images[shown % len(images)].reshape(-1)
            count = min(len(flat), len(frame))
            frame[:count], frame[count:] = flat[:count], 0
        else:
            frame[:] = shown % 251
        frame[:NUMBER_PIXELS] = np.frombuffer(shown.to_bytes(NUMBER_PIXELS, "little"), np.uint8)
        shown += 1

    return fill


def number_of(pixels: NDArray[np.uint8]) -> int:
    """Return the number of the exposure that *pixels* show."""
    return int.from_bytes(pixels.reshape(-1)[:NUMBER_PIXELS].tobytes(), "little")
