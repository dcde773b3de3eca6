"""A folder of image files as a camera."""

from pathlib import Path

import numpy as np
import pytest
from tests.unit.inspection.frames.picture_files import file_of

from taktgate.edge.camera_settings import FolderCameraSettings
from taktgate.inspection.frames.grabber.folder import FolderGrabber
from taktgate.inspection.frames.grabber.port import CameraLostError


def grey(value: int) -> bytes:
    return file_of(np.full((16, 24), value, np.uint8))


def on_command(folder: Path, *, loop: bool = True) -> FolderGrabber:
    settings = FolderCameraSettings(
        kind="folder", path=str(folder), correlation="software_trigger", loop=loop
    )
    grabber = FolderGrabber(settings)
    grabber.open()
    return grabber


def shown(grabber: FolderGrabber, trigger_id: int) -> tuple[int, int, int | None] | None:
    """Return grey value, frame id and part of what comes for a trigger."""
    grabber.trigger(trigger_id)
    grabbed = grabber.grab(1.0)
    if grabbed is None:
        return None
    return int(grabbed.pixels[0, 0]), grabbed.frame_id, grabbed.trigger_id


def test_images_come_in_the_order_of_their_names_and_begin_again(tmp_path: Path) -> None:
    for name, value in (("b.png", 20), ("a.png", 10), ("c.BMP", 30), ("notes.txt", 0)):
        kind = "BMP" if name.endswith("BMP") else "PNG"
        (tmp_path / name).write_bytes(file_of(np.full((16, 24), value, np.uint8), kind))
    grabber = on_command(tmp_path)
    assert [shown(grabber, part) for part in (7, 8, 9, 10)] == [
        (10, 1, 7),
        (20, 2, 8),
        (30, 3, 9),
        (10, 4, 10),
    ]


def test_nothing_is_shown_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(grey(1))
    assert on_command(tmp_path).grab(0.01) is None


def test_a_broken_file_costs_its_own_part_the_frame_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(grey(1))
    (tmp_path / "2.png").write_bytes(grey(2)[:-20])
    (tmp_path / "3.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "4.png").write_bytes(grey(4))
    grabber = on_command(tmp_path)
    assert [shown(grabber, part) for part in (1, 2, 3, 4)] == [(1, 1, 1), None, None, (4, 4, 4)]
    assert grabber.counters()["damaged"] == 2


def test_without_a_loop_the_camera_is_lost_after_the_last_image_for_good(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(grey(1))
    grabber = on_command(tmp_path, loop=False)
    assert shown(grabber, 1) is not None
    with pytest.raises(CameraLostError, match="all images have been shown"):
        grabber.grab(0.01)
    with pytest.raises(CameraLostError, match="all images have been shown"):
        grabber.open()


@pytest.mark.parametrize(("name", "why"), [("nothing", "No such file"), ("", "file is in it")])
def test_a_folder_without_images_says_what_is_wrong(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(CameraLostError, match=why):
        on_command(tmp_path / name)


def test_a_file_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(grey(77))
    grabber = on_command(tmp_path)
    grabber.grab(0.0)
    (tmp_path / "a.png").unlink()
    assert shown(grabber, 1) == (77, 1, 1)
