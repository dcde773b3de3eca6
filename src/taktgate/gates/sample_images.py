"""Labelled images as training and measuring see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from taktgate.bundle.manifest import Preprocessing
from taktgate.bundle.preprocessing import allocate, preprocess

INPUT_SIZE: Final = 512
NET_SIZE: Final = 256
SPEC: Final = Preprocessing(
    width=INPUT_SIZE,
    height=INPUT_SIZE,
    resample="bilinear",
    channels="grey_to_rgb",
    scale="in_graph",
)


class Image(Protocol):
    """A labelled image."""

    @property
    def label(self) -> Literal["ok", "defective"]:
        """Return what the part is."""
        ...

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Return [height, width] or [height, width, 3]."""
        ...

    @property
    def defect(self) -> str | None:
        """Return the class of the defect, None on a good part."""
        ...

    @property
    def certainty(self) -> float:
        """Return how sure the label is, within 0.5 .. 1."""
        ...


class Images(Protocol):
    """Labelled images by index."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes of defect, in the order of the class scores."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def item(self, index: int) -> Image:
        """Return an image."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingImages:
    """Images as the network sees them.

    Attributes:
        grey: uint8, [n, 256, 256]: the preprocessed frame averaged over 2x2 pixels.
        targets: float32, [n, classes]: how sure it is that the image shows the class.
        may_turn: Whether an image turned by a quarter is one of the same kind.
    """

    grey: NDArray[np.uint8]
    targets: NDArray[np.float32]
    may_turn: bool


def gather(images: Images, *, may_turn: bool) -> TrainingImages:
    """Return all of *images*, preprocessed as on a station and shrunk as in the graph."""
    count, classes = len(images), images.classes
    grey = np.empty((count, NET_SIZE, NET_SIZE), dtype=np.uint8)
    targets = np.zeros((count, len(classes)), dtype=np.float32)
    tensor = allocate(SPEC)
    for index in range(count):
        image = images.item(index)
        grey[index] = shrink(preprocess(image.pixels, SPEC, out=tensor))
        if image.defect is not None:
            targets[index, classes.index(image.defect)] = image.certainty
        else:
            targets[index] = (1.0 - image.certainty) / len(classes)
    return TrainingImages(grey=grey, targets=targets, may_turn=may_turn)


def shrink(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a preprocessed frame [1, 3, 512, 512] as the network's grey [256, 256]."""
    cells = frame[0].reshape(3, NET_SIZE, 2, NET_SIZE, 2)
    mean: NDArray[np.float32] = cells.mean(axis=(0, 2, 4), dtype=np.float32)
    return np.round(mean).astype(np.uint8)
