"""What the bench's camera sends: native frames of the weld line, drawn once."""

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from taktgate.standin.imagesets.port import Split
from taktgate.standin.imagesets.weld import WeldSeams

Pixels: TypeAlias = NDArray[np.uint8]


@cache
def weld_frames(count: int, *, defective_share: float = 0.5) -> tuple[Pixels, ...]:
    """Return *count* different frames, uint8 [512, 512]."""
    images = WeldSeams(Split.LINE, size=count, defective_share=defective_share)
    return tuple(images.item(index).pixels for index in range(count))


def enlarged(frame: Pixels, width: int, height: int) -> Pixels:
    """Return *frame* as a camera of another size would send it."""
    return np.asarray(Image.fromarray(frame).resize((width, height)))
