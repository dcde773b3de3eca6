"""Labelled images from a folder: `ok/` and `defective/`, or a labels.csv with file and label."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from taktgate.bundle.errors import ArchiveError
from taktgate.bundle.manifest import digest_of
from taktgate.bundle.reading import read_small
from taktgate.registry.models.errors import ImagesError

Label = Literal["ok", "defective"]
LABELS: Final[tuple[Label, ...]] = ("ok", "defective")
TABLE: Final = "labels.csv"
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp")
IMAGE_LIMIT_BYTES: Final = 64 << 20
_TABLE_LIMIT_BYTES: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An image file, and what the part on it is."""

    path: Path
    label: Label

    def read(self) -> bytes:
        """Return the file.

        Raises:
            ImagesError: It cannot be read or is too large.
        """
        try:
            return read_small(self.path, limit_bytes=IMAGE_LIMIT_BYTES)
        except ArchiveError as error:
            raise ImagesError(f"{self.path}: {error}") from error


def find(folder: Path) -> tuple[Labelled, ...]:
    """Return the labelled images in *folder*, by name.

    Raises:
        ImagesError: There are none of a kind, a label or a file is not as it must be.
    """
    table = folder / TABLE
    found = _listed(table) if table.exists() else _sorted_by_folder(folder)
    for label in LABELS:
        if not any(each.label == label for each in found):
            raise ImagesError(
                f"{folder}: must hold at least one image that is {label}: "
                f"in {label}/, or by {TABLE} with the columns file,label"
            )
    return found


def pixels(data: bytes, name: str) -> NDArray[np.uint8]:
    """Return the image in *data*: uint8, [height, width] or [height, width, 3].

    Raises:
        ImagesError: It is no such image.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "BMP")) as image:
            return np.asarray(image if image.mode == "L" else image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImagesError(f"{name}: must be a PNG, JPEG or BMP image: {error}") from error


def require_apart(golden: Sequence[Labelled], test: Sequence[Labelled]) -> None:
    """Refuse images that are golden and tested on: what is claimed must be about others.

    Raises:
        ImagesError: Two files are the same image.
    """
    known = {digest_of(each.read()): each.path for each in golden}
    for each in test:
        if same := known.get(digest_of(each.read())):
            raise ImagesError(f"{each.path}: must not be a golden image too, is {same}")


def require_own_names(golden: Sequence[Labelled]) -> None:
    """Refuse golden images that have one file name: a bundle keeps them all in one folder.

    Raises:
        ImagesError: Two files have the same name.
    """
    known: dict[str, Path] = {}
    for each in golden:
        if (same := known.setdefault(each.path.name, each.path)) is not each.path:
            raise ImagesError(f"{each.path}: must not have the name of {same}: rename one")


def _sorted_by_folder(folder: Path) -> tuple[Labelled, ...]:
    return tuple(
        Labelled(path=path, label=label)
        for label in LABELS
        for path in sorted((folder / label).glob("*"))
        if path.suffix.lower() in SUFFIXES
    )


def _listed(table: Path) -> tuple[Labelled, ...]:
    try:
        text = read_small(table, limit_bytes=_TABLE_LIMIT_BYTES).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text), strict=True))
    except (ArchiveError, UnicodeDecodeError, csv.Error) as error:
        raise ImagesError(f"{table}: must be a CSV file in UTF-8: {error}") from error
    return tuple(_row(table, number, row) for number, row in enumerate(rows, start=2))


def _row(table: Path, number: int, row: dict[str, Any]) -> Labelled:
    file, label = row.get("file"), row.get("label")
    if label not in LABELS:
        raise ImagesError(f"{table} line {number}: label must be ok or defective, got {label!r}")
    path = table.parent / str(file)
    if not file or table.parent.resolve() not in path.resolve().parents:
        raise ImagesError(f"{table} line {number}: file must lie beside the table, got {file!r}")
    return Labelled(path=path, label=label)
