"""What every set of images offers, whatever it is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Label = Literal["ok", "defective"]


class Split(StrEnum):
    """What an image may be used for; no image is in two splits."""

    TRAIN = "train"
    """Fits weights."""
    TUNE = "tune"
    """Chooses the threshold and supplies the golden images."""
    LINE = "line"
    """Runs down the line and measures; never seen in training, tuning or golden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImage:
    """One image and what is known about it.

    Attributes:
        id: Names the image within its set; stable between runs.
        label: What the part is.
        pixels: uint8, [height, width] or [height, width, 3].
        defect: The class of the defect, None on a good part.
        certainty: How sure the label is, within 0.5 .. 1.
    """

    id: str
    label: Label
    pixels: NDArray[np.uint8]
    defect: str | None = None
    certainty: float = 1.0


class ImageSet(Protocol):
    """Images with labels, by index from 0; the same index always gives the same image."""

    @property
    def name(self) -> str:
        """Return the name of the set."""
        ...

    @property
    def licence(self) -> str:
        """Return the licence of the images, as SPDX expression where there is one."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the classes of defect, in the order of a model's class scores."""
        ...

    @property
    def split_method(self) -> str:
        """Return in one sentence how images were kept apart."""
        ...

    def __len__(self) -> int:
        """Return the number of images."""
        ...

    def label(self, index: int) -> Label:
        """Return the label of an image without reading its pixels."""
        ...

    def item(self, index: int) -> LabelledImage:
        """Return an image with its label.

        Raises:
            ImageSetError: The image cannot be read.
        """
        ...
