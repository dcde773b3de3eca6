"""The golden images of a bundle: the pixels, the label, and the score that the model must give.

Numpy and Pillow are imported here and in `preprocessing`, nowhere else in this package.
"""

from __future__ import annotations

import importlib.util
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from taktgate.bundle.errors import DigestMismatchError, GoldenUnavailableError
from taktgate.bundle.manifest import GoldenItem, GoldenSet, digest_of
from taktgate.bundle.verification import VerifiedBundle

IMAGE_LIMIT_BYTES: Final = 64 << 20
PIXELS_LIMIT_BYTES: Final = 384 << 20
"""Of all images together, decoded: a few kilobytes of PNG can be a gigabyte of black."""
ELPV_PACKAGE: Final = "elpv-dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenImage:
    """An image of the golden check, ready to be preprocessed.

    Attributes:
        id: The item's id in the manifest.
        pixels: uint8, [height, width] or [height, width, 3].
        label: What the part is.
        score: What the model must give it, within *tolerance*.
        tolerance: How far this device may be off.
    """

    id: str
    pixels: NDArray[np.uint8]
    label: Literal["ok", "defective"]
    score: float
    tolerance: float


def load_golden(bundle: VerifiedBundle, *, limit: int | None = None) -> tuple[GoldenImage, ...]:
    """Return the golden images of *bundle*, each checked against its digest.

    Of more than *limit* images, *limit* are read, evenly spread, so that all kinds are among them.

    Raises:
        GoldenUnavailableError: The images are not on this device; the model must then be refused.
        DigestMismatchError: An image is not the one that the manifest means.
    """
    golden = bundle.manifest.golden
    folder = _folder(golden, bundle.directory)
    images: list[GoldenImage] = []
    room_bytes = PIXELS_LIMIT_BYTES
    for item in _spread(golden.items, limit):
        images.append(_load(item, folder, room_bytes))
        room_bytes -= images[-1].pixels.nbytes
    return tuple(images)


def _spread(items: tuple[GoldenItem, ...], limit: int | None) -> tuple[GoldenItem, ...]:
    if limit is None or len(items) <= limit:
        return items
    return tuple(items[index * len(items) // limit] for index in range(limit))


def _folder(golden: GoldenSet, directory: Path) -> Path:
    if golden.source == "bundle":
        return directory
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise GoldenUnavailableError(
            f"manifest field golden.source: the package {ELPV_PACKAGE} is not installed"
        )
    return Path(spec.origin).parent / "data"


def _load(item: GoldenItem, folder: Path, room_bytes: int) -> GoldenImage:
    try:
        with (folder / item.id).open("rb") as file:
            data = file.read(IMAGE_LIMIT_BYTES + 1)
    except OSError as error:
        raise GoldenUnavailableError(
            f"golden image {item.id} cannot be read: {error.strerror}"
        ) from error
    if digest_of(data) != item.sha256:
        raise DigestMismatchError(f"golden image {item.id} must have digest {item.sha256}")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            if image.width * image.height * (1 if image.mode == "L" else 3) > room_bytes:
                raise GoldenUnavailableError(
                    f"golden image {item.id}: {image.width} x {image.height} pixels are more than "
                    f"{PIXELS_LIMIT_BYTES >> 20} MiB together with those before it"
                )
            pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (Image.DecompressionBombError, UnidentifiedImageError, OSError, ValueError) as error:
        raise GoldenUnavailableError(f"golden image {item.id} is no PNG: {error}") from error
    return GoldenImage(
        id=item.id, pixels=pixels, label=item.label, score=item.score, tolerance=item.tolerance
    )
