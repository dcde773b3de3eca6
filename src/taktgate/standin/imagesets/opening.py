"""Open a set of images by name, and draw the order in which its parts come down the line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from taktgate.standin.imagesets.elpv import ElpvCells
from taktgate.standin.imagesets.errors import ImageSetError
from taktgate.standin.imagesets.folder import FolderImages
from taktgate.standin.imagesets.port import ImageSet, Split
from taktgate.standin.imagesets.weld import WeldSeams

ELPV = "elpv"
WELD = "weld"
WELD_FRAMES = {Split.TRAIN: 3000, Split.TUNE: 1000, Split.LINE: 4000}


def open_imageset(spec: str, split: Split = Split.LINE, *, seed: int = 0) -> ImageSet:
    """Return the images that *spec* names: "elpv", "weld", or a folder.

    Args:
        spec: Name of a known set or path of a folder with a labels file.
        split: What the images are for; the line's by default.
        seed: What synthetic images are drawn from.

    Raises:
        ImageSetUnavailableError: The set is not on this machine.
        LabelFileError: The labels file breaks a rule.
        ImageSetError: *spec* is neither a known name nor a folder.
    """
    if spec == ELPV:
        return ElpvCells(split)
    if spec == WELD:
        return WeldSeams(split, seed=seed, size=WELD_FRAMES[split])
    if not Path(spec).is_dir():
        raise ImageSetError(f"images must be {ELPV!r}, {WELD!r} or a folder, got {spec!r}")
    return FolderImages(Path(spec), split)


def line_order(imageset: ImageSet, *, seed: int, defective_fraction: float) -> Iterator[int]:
    """Return without end the indices of the images for part after part.

    Each part is defective with the probability *defective_fraction*, independent of the others. No
    image comes twice before all of its kind have come.

    Raises:
        ImageSetError: The fraction is outside 0..1, or the set lacks a kind that it asks for.
    """
    if not 0.0 <= defective_fraction <= 1.0:
        raise ImageSetError(f"defective_fraction must be within 0..1, got {defective_fraction}")
    ok = [i for i in range(len(imageset)) if imageset.label(i) == "ok"]
    defective = [i for i in range(len(imageset)) if imageset.label(i) == "defective"]
    if not ok and defective_fraction < 1.0:
        raise ImageSetError(f"{imageset.name} has no good image")
    if not defective and defective_fraction > 0.0:
        raise ImageSetError(f"{imageset.name} has no defective image")
    return _draw(ok, defective, np.random.default_rng(seed), defective_fraction)


def _draw(
    ok: list[int], defective: list[int], rng: np.random.Generator, defective_fraction: float
) -> Iterator[int]:
    good, bad = _shuffled(ok, rng.spawn(1)[0]), _shuffled(defective, rng.spawn(1)[0])
    while True:
        yield next(bad) if rng.random() < defective_fraction else next(good)


def _shuffled(indices: list[int], rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from (indices[i] for i in rng.permutation(len(indices)))
