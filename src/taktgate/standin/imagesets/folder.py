"""Any folder with a labels file: `labels.csv` (file,label) or `manifest.csv` (path,label,split).

In `manifest.csv` any label but "ok" counts as defective. Without a column `split` all images run
down the line, and none may train. Without images to tune, the last fifth of the training images
serves; a split "golden" is held back from training and serves the line.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from taktgate.inspection.frames.ring import SLOT_BYTES
from taktgate.standin.imagesets.errors import ImageSetUnavailableError, LabelFileError
from taktgate.standin.imagesets.port import Label, LabelledImage, Split

LABELS: Final = "labels.csv"
MANIFEST: Final = "manifest.csv"
_FILE_COLUMN: Final = {LABELS: "file", MANIFEST: "path"}
_SPLIT_WORDS: Final = {
    "train": Split.TRAIN,
    "tune": Split.TUNE,
    "golden": Split.LINE,
    "line": Split.LINE,
    "test": Split.LINE,
    "holdout": Split.LINE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A line of the labels file."""

    file: str
    label: Label
    split: Split | None


class FolderImages:
    """Images of a folder, in the order of its labels file."""

    classes = ("defective",)

    def __init__(self, directory: Path, split: Split) -> None:
        """Open the images of *directory* that belong to *split*.

        Raises:
            ImageSetUnavailableError: There is no labels file, no image in this split, or a file
                that is no image or larger than a station takes.
            LabelFileError: A line breaks a rule.
        """
        self._directory = directory
        self.name = directory.resolve().name
        self.licence = "not stated"
        rows = read_rows(directory)
        is_split = any(row.split is not None for row in rows)
        self.split_method = "column split of the labels file" if is_split else "none"
        self._rows = _of_split(rows, split)
        if not self._rows:
            raise ImageSetUnavailableError(
                f"{directory} has no image for {split}: a column split must say train, tune or line"
            )
        for row in self._rows:
            _check(directory / row.file)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._rows)

    def label(self, index: int) -> Label:
        """Return the label in the labels file."""
        return self._rows[index].label

    def item(self, index: int) -> LabelledImage:
        """Return an image, grey or colour as the file is.

        Raises:
            ImageSetUnavailableError: The file is missing or no image.
        """
        row = self._rows[index]
        try:
            with Image.open(self._directory / row.file) as image:
                pixels = np.asarray(image if image.mode == "L" else image.convert("RGB"))
        except (OSError, ValueError) as error:
            raise ImageSetUnavailableError(f"{self._directory}: {row.file}: {error}") from error
        defect = self.classes[0] if row.label == "defective" else None
        return LabelledImage(id=row.file, label=row.label, pixels=pixels, defect=defect)


def _check(file: Path) -> None:
    """Look at the head of an image file; its pixels are read when its part comes.

    Raises:
        ImageSetUnavailableError: It is no image, or too large for a slot of the frame ring.
    """
    try:
        with Image.open(file) as image:
            size_bytes = image.width * image.height * (1 if image.mode == "L" else 3)
    except (OSError, ValueError) as error:
        raise ImageSetUnavailableError(f"{file}: {error}") from error
    if size_bytes > SLOT_BYTES:
        raise ImageSetUnavailableError(
            f"{file}: {size_bytes} bytes of pixels, a station takes at most {SLOT_BYTES}"
        )


def read_rows(directory: Path) -> list[_Row]:
    """Return the lines of the labels file of *directory*.

    Raises:
        ImageSetUnavailableError: There is no labels file.
        LabelFileError: A line breaks a rule; names line and rule.
    """
    labels = next((file for name in _FILE_COLUMN if (file := directory / name).is_file()), None)
    if labels is None:
        raise ImageSetUnavailableError(f"{directory} must hold {LABELS} or {MANIFEST}")
    try:
        with labels.open(encoding="utf-8-sig", newline="") as lines:
            rows = csv.DictReader(lines)
            _require_columns(labels, rows.fieldnames or ())
            return [_row(labels, rows.line_num, row) for row in rows]
    except UnicodeDecodeError as error:
        raise LabelFileError(labels, 1, f"must be UTF-8: {error.reason}") from error
    except csv.Error as error:
        raise LabelFileError(labels, rows.line_num, f"must be CSV: {error}") from error


def _of_split(rows: list[_Row], split: Split) -> list[_Row]:
    if all(row.split is None for row in rows):
        return rows if split is Split.LINE else []
    if split is Split.LINE or any(row.split is Split.TUNE for row in rows):
        return [row for row in rows if row.split is split]
    training = [row for row in rows if row.split is Split.TRAIN]
    cut = len(training) * 4 // 5
    return training[:cut] if split is Split.TRAIN else training[cut:]


def _require_columns(labels: Path, columns: object) -> None:
    needed = (_FILE_COLUMN[labels.name], "label")
    for column in needed:
        if not isinstance(columns, (list, tuple)) or column not in columns:
            raise LabelFileError(labels, 1, f"the head must name the columns {','.join(needed)}")


def _row(labels: Path, line: int, row: Mapping[str | Any, str | Any]) -> _Row:
    if None in row or None in row.values():
        raise LabelFileError(labels, line, "must have as many fields as the head")
    file = (row[_FILE_COLUMN[labels.name]] or "").strip()
    if not file:
        raise LabelFileError(labels, line, "must name a file")
    if "\0" in file:
        raise LabelFileError(labels, line, "must not hold a NUL byte")
    if not (labels.parent / file).resolve().is_relative_to(labels.parent.resolve()):
        raise LabelFileError(labels, line, f"{file!r} must lie inside the folder")
    if not (labels.parent / file).is_file():
        raise LabelFileError(labels, line, f"{file!r} is missing in the folder")
    label = _label(labels, line, (row["label"] or "").strip())
    return _Row(file=file, label=label, split=_split(labels, line, row.get("split")))


def _label(labels: Path, line: int, word: str) -> Label:
    if not word:
        raise LabelFileError(labels, line, "must have a label, ok or defective")
    if word == "ok":
        return "ok"
    if word == "defective" or labels.name == MANIFEST:
        return "defective"
    raise LabelFileError(labels, line, f"label must be ok or defective, got {word!r}")


def _split(labels: Path, line: int, word: str | None) -> Split | None:
    if word is None:
        return None
    if word.strip() not in _SPLIT_WORDS:
        known = ", ".join(_SPLIT_WORDS)
        raise LabelFileError(labels, line, f"split must be one of {known}, got {word!r}")
    return _SPLIT_WORDS[word.strip()]
