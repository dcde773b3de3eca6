"""Every set gives the same images again, and none in two splits."""

import hashlib
import importlib.util
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taktgate.standin.imagesets.elpv import BLOCK_CELLS, Cell, ElpvCells, deal, read_cells
from taktgate.standin.imagesets.errors import (
    ImageSetError,
    ImageSetUnavailableError,
    LabelFileError,
)
from taktgate.standin.imagesets.opening import line_order, open_imageset
from taktgate.standin.imagesets.port import ImageSet, Split
from taktgate.standin.imagesets.weld import WeldSeams

HAS_ELPV = importlib.util.find_spec("elpv_dataset") is not None
needs_elpv = pytest.mark.skipif(not HAS_ELPV, reason="elpv-dataset is not installed")


def fingerprint(images: ImageSet, indices: Iterator[int]) -> str:
    digest = hashlib.sha256()
    for index in indices:
        image = images.item(index)
        digest.update(f"{image.id}{image.label}{image.defect}".encode() + image.pixels.tobytes())
    return digest.hexdigest()


def test_weld_frames_depend_on_seed_split_and_index_alone() -> None:
    first, again = WeldSeams(Split.LINE, seed=3), WeldSeams(Split.LINE, seed=3)
    backwards = [again.item(index) for index in (7, 5, 3)][::-1]
    for index, image in zip((3, 5, 7), backwards, strict=True):
        assert np.array_equal(first.item(index).pixels, image.pixels)
        assert first.item(index).id == image.id


def test_weld_frames_differ_between_seeds_splits_and_indices() -> None:
    sets = [WeldSeams(split, seed=seed) for split in Split for seed in (0, 1)]
    prints = {fingerprint(images, iter((index,))) for images in sets for index in (0, 1)}
    assert len(prints) == 12


def test_weld_frames_are_grey_512_and_name_their_defect() -> None:
    images = WeldSeams(Split.TRAIN, size=300)
    for index in range(40):
        image = images.item(index)
        assert image.pixels.shape == (512, 512)
        assert image.pixels.dtype == np.uint8
        assert image.label == images.label(index)
        assert (image.defect is None) == (image.label == "ok")
    assert {images.item(index).defect for index in range(60)} == {None, *images.classes}


@needs_elpv
def test_no_solar_cell_is_in_two_splits() -> None:
    ids = [
        cells.item(index).id
        for cells in map(ElpvCells, Split)
        for index in range(0, len(cells), 40)
    ]
    assert len(ids) == len(set(ids))
    assert sum(len(ElpvCells(split)) for split in Split) == 2624


@needs_elpv
def test_solar_cells_are_grey_and_certain_as_the_set_says() -> None:
    cells = ElpvCells(Split.LINE)
    labels = Counter(cells.label(index) for index in range(len(cells)))
    assert labels == {"ok": 256, "defective": 116}
    image = cells.item(0)
    assert image.pixels.shape == (300, 300)
    assert image.label == cells.label(0)
    assert 0.5 <= image.certainty <= 1.0


def test_neighbouring_cells_of_one_type_stay_in_one_split() -> None:
    cells = [
        Cell(path=f"{kind}{number}", probability=0.0, kind=kind)
        for kind in ("mono", "poly")
        for number in range(BLOCK_CELLS * 3)
    ]
    splits = deal(cells)
    for start in range(0, len(cells), BLOCK_CELLS):
        assert len(set(splits[start : start + BLOCK_CELLS])) == 1


def test_a_package_without_its_images_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImageSetUnavailableError, match=r"labels\.csv"):
        ElpvCells(Split.LINE, directory=tmp_path)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("images/cell0002.png 1.0", "path, probability and type"),
        ("images/cell0002.png high mono", "must be a number"),
        ("images/cell0002.png 1.5 mono", "within 0..1"),
        ("images/cell0002.png nan mono", "within 0..1"),
    ],
)
def test_a_bad_row_of_the_package_is_named_by_line_and_rule(
    tmp_path: Path, row: str, rule: str
) -> None:
    (tmp_path / "labels.csv").write_text(f"images/cell0001.png 0.0 mono\n{row}\n")
    with pytest.raises(LabelFileError, match=rule) as caught:
        read_cells(tmp_path / "labels.csv")
    assert caught.value.line == 2


def test_a_line_is_drawn_the_same_again() -> None:
    images = WeldSeams(Split.LINE)
    first, again, other = (
        list(islice(line_order(images, seed=seed, defective_fraction=0.1), 200))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_a_line_has_the_defective_fraction_that_was_asked_for(fraction: float) -> None:
    images = WeldSeams(Split.LINE)
    order = islice(line_order(images, seed=0, defective_fraction=fraction), 4000)
    share = sum(images.label(index) == "defective" for index in order) / 4000
    assert share == pytest.approx(fraction, abs=0.02)


def test_no_image_comes_back_before_all_of_its_kind_have_come() -> None:
    images = WeldSeams(Split.LINE, size=60)
    ok = sum(images.label(index) == "ok" for index in range(60))
    order = list(islice(line_order(images, seed=0, defective_fraction=0.0), 2 * ok))
    assert len(set(order[:ok])) == ok
    assert Counter(order).most_common(1)[0][1] == 2


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_a_fraction_outside_of_its_range_is_refused(fraction: float) -> None:
    with pytest.raises(ImageSetError, match="defective_fraction"):
        line_order(WeldSeams(Split.LINE), seed=0, defective_fraction=fraction)


@pytest.mark.parametrize(
    ("share", "fraction", "kind"), [(0.0, 0.1, "defective"), (1.0, 0.1, "good")]
)
def test_a_set_without_the_kind_that_is_asked_for_is_refused(
    share: float, fraction: float, kind: str
) -> None:
    images = WeldSeams(Split.LINE, size=10, defective_share=share)
    with pytest.raises(ImageSetError, match=f"no {kind} image"):
        line_order(images, seed=0, defective_fraction=fraction)


def test_sets_open_by_name_or_folder(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), dtype=np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text("file,label\na.png,ok\n")
    assert open_imageset("weld").name == "weld-seam"
    assert len(open_imageset(str(tmp_path))) == 1
    with pytest.raises(ImageSetError, match="'elpv', 'weld' or a folder"):
        open_imageset("absent")
