"""Solar cells under electroluminescence, as installed by the PyPI package `elpv-dataset`.

2,624 grey images of 300x300 pixels, CC BY-NC-SA 4.0. Nothing of it is in this repository.

The set names no module (panel) for a cell. Cells of one module seem to follow each other in the
numbering: the type changes at multiples of 60 up to cell 900. So the split keeps blocks of 60
consecutive numbers of one type together. Later modules have other sizes, and a block may then reach
into its neighbour: the split is by block, likely close to by module, and not proven to be so.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from taktgate.standin.imagesets.errors import ImageSetUnavailableError, LabelFileError
from taktgate.standin.imagesets.port import Label, LabelledImage, Split

PACKAGE: Final = "elpv-dataset"
LICENCE: Final = "CC-BY-NC-SA-4.0"
BLOCK_CELLS: Final = 60
DEFECTIVE_FROM: Final = 0.5
CYCLE: Final = tuple(
    {"T": Split.TRAIN, "U": Split.TUNE, "L": Split.LINE}[letter] for letter in "TLTUUTTU"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One row of the labels file."""

    path: str
    probability: float
    kind: str


class ElpvCells:
    """Solar cells; defective means a stated defect probability of at least 0.5."""

    name = PACKAGE
    licence = LICENCE
    classes = ("defective_cell",)
    split_method = (
        f"blocks of {BLOCK_CELLS} consecutive cells of one type, dealt to train, tune and line in"
        " a fixed cycle; the set has no module ids, so separation by module is likely, not proven"
    )

    def __init__(self, split: Split, *, directory: Path | None = None) -> None:
        """Open the split *split* of the installed package, or of *directory*.

        Raises:
            ImageSetUnavailableError: The package is not installed.
            LabelFileError: The labels file breaks a rule.
        """
        self._directory = directory or data_directory()
        cells = read_cells(self._directory / "labels.csv")
        self._cells = [cell for cell, its in zip(cells, deal(cells), strict=True) if its is split]

    def __len__(self) -> int:
        """Return the number of cells in this split."""
        return len(self._cells)

    def label(self, index: int) -> Label:
        """Return "defective" from a defect probability of 0.5 on."""
        return "defective" if self._cells[index].probability >= DEFECTIVE_FROM else "ok"

    def item(self, index: int) -> LabelledImage:
        """Return a cell, [300, 300] grey.

        Raises:
            ImageSetUnavailableError: The image file is missing or no image.
        """
        cell, label = self._cells[index], self.label(index)
        try:
            with Image.open(self._directory / cell.path) as image:
                pixels = np.asarray(image.convert("L"))
        except OSError as error:
            raise ImageSetUnavailableError(
                f"{PACKAGE}: {cell.path} cannot be read: {error}"
            ) from error
        is_defective = label == "defective"
        return LabelledImage(
            id=cell.path,
            label=label,
            pixels=pixels,
            defect=self.classes[0] if is_defective else None,
            certainty=cell.probability if is_defective else 1.0 - cell.probability,
        )

    def file_bytes(self, index: int) -> bytes:
        """Return the image file itself, for its digest.

        Raises:
            ImageSetUnavailableError: The file cannot be read.
        """
        path = self._directory / self._cells[index].path
        try:
            return path.read_bytes()
        except OSError as error:
            raise ImageSetUnavailableError(f"{path} cannot be read: {error.strerror}") from error


def data_directory() -> Path:
    """Return the folder of the installed images, found without importing the package.

    Raises:
        ImageSetUnavailableError: The package is not installed.
    """
    spec = importlib.util.find_spec("elpv_dataset")
    if spec is None or spec.origin is None:
        raise ImageSetUnavailableError(
            f"the images are not installed: pip install {PACKAGE}, or use the weld images"
        )
    return Path(spec.origin).parent / "data"


def read_cells(labels: Path) -> list[Cell]:
    """Return the rows of a labels file: path, probability and type, separated by blanks.

    Raises:
        ImageSetUnavailableError: The file cannot be read.
        LabelFileError: A row breaks a rule.
    """
    try:
        rows = labels.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ImageSetUnavailableError(f"{labels} cannot be read: {error}") from error
    return [_cell(labels, number, row) for number, row in enumerate(rows, start=1) if row.strip()]


def deal(cells: list[Cell]) -> list[Split]:
    """Return the split of every cell, by blocks of neighbours of one type."""
    dealt: list[Split] = []
    blocks_of_kind: dict[str, int] = {}
    run = 0
    for before, cell in zip([None, *cells], cells, strict=False):
        run = 0 if before is None or before.kind != cell.kind else run + 1
        if run % BLOCK_CELLS == 0:
            blocks_of_kind[cell.kind] = blocks_of_kind.get(cell.kind, -1) + 1
        dealt.append(CYCLE[blocks_of_kind[cell.kind] % len(CYCLE)])
    return dealt


def _cell(labels: Path, number: int, row: str) -> Cell:
    fields = row.split()
    if len(fields) != 3:
        raise LabelFileError(labels, number, f"must hold path, probability and type, got {row!r}")
    try:
        probability = float(fields[1])
    except ValueError:
        raise LabelFileError(
            labels, number, f"probability must be a number, got {fields[1]!r}"
        ) from None
    if not 0.0 <= probability <= 1.0:
        raise LabelFileError(labels, number, f"probability must be within 0..1, got {probability}")
    return Cell(path=fields[0], probability=probability, kind=fields[2])
