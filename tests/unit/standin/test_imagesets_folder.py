"""A folder is read as its labels file says, or refused by line and rule."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from taktgate.standin.imagesets.errors import ImageSetUnavailableError, LabelFileError
from taktgate.standin.imagesets.folder import FolderImages
from taktgate.standin.imagesets.port import Split


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.full((4, 6), ord(name[0]), dtype=np.uint8)).save(tmp_path / name)
    Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8)).save(tmp_path / "colour.jpg")
    return tmp_path


def labels(folder: Path, *rows: str, name: str = "labels.csv", head: str = "file,label") -> Path:
    (folder / name).write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return folder


def test_images_come_in_the_order_of_the_labels_file(folder: Path) -> None:
    images = FolderImages(labels(folder, "b.png,defective", "a.png,ok"), Split.LINE)
    assert [images.item(i).id for i in range(len(images))] == ["b.png", "a.png"]
    assert [images.label(i) for i in range(len(images))] == ["defective", "ok"]
    assert int(images.item(1).pixels[0, 0]) == ord("a")
    assert images.item(0).defect == "defective"


def test_colour_images_stay_colour(folder: Path) -> None:
    images = FolderImages(labels(folder, "colour.jpg,ok"), Split.LINE)
    assert images.item(0).pixels.shape == (4, 6, 3)


def test_any_label_but_ok_is_defective_in_a_manifest(folder: Path) -> None:
    labels(
        folder,
        "a.png,ok,golden",
        "b.png,pitting,golden",
        "c.png,ok,train",
        name="manifest.csv",
        head="path,label,split",
    )
    line = FolderImages(folder, Split.LINE)
    assert [line.label(i) for i in range(len(line))] == ["ok", "defective"]


def test_splits_share_no_image(folder: Path) -> None:
    labels(folder, "a.png,ok,train", "b.png,ok,tune", "c.png,ok,line", head="file,label,split")
    ids = [FolderImages(folder, split).item(0).id for split in Split]
    assert ids == ["a.png", "b.png", "c.png"]


def test_the_last_fifth_tunes_where_nothing_else_is_there_for_it(folder: Path) -> None:
    labels(folder, *["a.png,ok,train"] * 10, "b.png,ok,line", head="file,label,split")
    assert [len(FolderImages(folder, split)) for split in Split] == [8, 2, 1]


def test_a_folder_without_splits_runs_down_the_line_but_trains_nothing(folder: Path) -> None:
    labels(folder, "a.png,ok", "b.png,ok")
    assert len(FolderImages(folder, Split.LINE)) == 2
    with pytest.raises(ImageSetUnavailableError, match="column split"):
        FolderImages(folder, Split.TRAIN)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("b.png", "as many fields"),
        ("b.png,ok,extra", "as many fields"),
        ("b.png,", "must have a label"),
        ("b.png,good", "ok or defective, got 'good'"),
        ("b.png,OK", "ok or defective, got 'OK'"),
        (",ok", "must name a file"),
        ("absent.png,ok", "'absent.png' is missing"),
        ("../b.png,ok", "inside the folder"),
        ("/etc/passwd,ok", "inside the folder"),
    ],
)
def test_a_bad_line_is_refused_by_line_and_rule(folder: Path, row: str, rule: str) -> None:
    with pytest.raises(LabelFileError, match=rule) as caught:
        FolderImages(labels(folder, "a.png,ok", row), Split.LINE)
    assert caught.value.line == 3
    assert str(folder / "labels.csv") in str(caught.value)


def test_an_unknown_split_is_refused(folder: Path) -> None:
    labels(folder, "a.png,ok,later", head="file,label,split")
    with pytest.raises(LabelFileError, match="later"):
        FolderImages(folder, Split.LINE)


@pytest.mark.parametrize("head", ["", "name,label", "file,verdict"])
def test_a_head_without_its_columns_is_refused(folder: Path, head: str) -> None:
    with pytest.raises(LabelFileError, match="file,label") as caught:
        FolderImages(labels(folder, "a.png,ok", head=head), Split.LINE)
    assert caught.value.line == 1


def test_a_labels_file_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "labels.csv").write_bytes(b"file,label\n\xff\xfe,ok\n")
    with pytest.raises(LabelFileError, match="UTF-8"):
        FolderImages(folder, Split.LINE)


@pytest.mark.parametrize("rows", [(), ("",)])
def test_a_folder_without_images_is_refused(folder: Path, rows: tuple[str, ...]) -> None:
    with pytest.raises(ImageSetUnavailableError):
        FolderImages(labels(folder, *rows), Split.LINE)


def test_a_folder_without_labels_is_refused(folder: Path) -> None:
    with pytest.raises(ImageSetUnavailableError, match=r"labels\.csv or manifest\.csv"):
        FolderImages(folder, Split.LINE)


def test_a_file_that_is_no_image_is_refused_by_its_name(folder: Path) -> None:
    (folder / "a.png").write_bytes(b"no image")
    with pytest.raises(ImageSetUnavailableError, match=r"a\.png"):
        FolderImages(labels(folder, "a.png,ok"), Split.LINE)


def test_an_image_too_large_for_a_station_is_refused_by_its_name(folder: Path) -> None:
    Image.new("RGB", (1200, 1200)).save(folder / "large.png")
    with pytest.raises(ImageSetUnavailableError, match=r"large\.png.* at most 4194304"):
        FolderImages(labels(folder, "large.png,ok"), Split.LINE)


def test_an_image_that_breaks_off_is_named_when_its_part_comes(folder: Path) -> None:
    Image.effect_noise((64, 64), 50).save(folder / "half.png")
    whole = (folder / "half.png").read_bytes()
    (folder / "half.png").write_bytes(whole[: len(whole) // 2])
    images = FolderImages(labels(folder, "half.png,ok"), Split.LINE)
    with pytest.raises(ImageSetUnavailableError, match=r"half\.png"):
        images.item(0)
