"""What OpenCV opens, beside streams (tests/integration/test_sources_rtsp.py)."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from taktgate.edge.camera_settings import OpenCvCameraSettings
from taktgate.inspection.frames.grabber.opencv import OpenCvGrabber
from taktgate.inspection.frames.grabber.port import (
    CameraLostError,
    CameraMissingLibraryError,
    Grabbed,
)

FPS = 100.0


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A film of five images, red ever brighter, almost without loss."""
    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (64, 48))
    for index in range(5):
        image = np.zeros((48, 64, 3), np.uint8)
        image[:, :, 2] = 40 + 40 * index
        writer.write(image)
    writer.release()
    return path


def opened(url: str, **settings: object) -> OpenCvGrabber:
    grabber = OpenCvGrabber(
        OpenCvCameraSettings.model_validate({"kind": "opencv", "url": url, **settings})
    )
    grabber.open()
    return grabber


def take(grabber: OpenCvGrabber, count: int) -> list[Grabbed]:
    found: list[Grabbed] = []
    while len(found) < count:
        grabbed = grabber.grab(0.1)
        found += [] if grabbed is None else [grabbed]
    return found


def test_a_film_comes_at_its_pace_and_in_rgb(video: Path) -> None:
    grabber = opened(str(video))
    first, *_, last = take(grabber, 5)
    assert first.pixels.shape == (48, 64, 3)
    red, green, blue = (int(value) for value in last.pixels[24, 32])
    assert (abs(red - 200) < 8, green < 20, blue < 20) == (True, True, True)
    assert last.exposure_ns - first.exposure_ns >= 4 * 10_000_000
    grabber.close()


def test_a_film_can_be_grey(video: Path) -> None:
    grabber = opened(str(video), channels=1)
    (first,) = take(grabber, 1)
    assert first.pixels.shape == (48, 64)
    grabber.close()


def test_a_film_ends_for_good_unless_it_loops(video: Path) -> None:
    grabber = opened(str(video))
    with pytest.raises(CameraLostError, match="at its end"):
        take(grabber, 6)
    grabber.close()
    with pytest.raises(CameraLostError, match="at its end"):
        grabber.open()
    looping = opened(str(video), loop=True)
    again = take(looping, 6)[5]
    assert abs(int(again.pixels[24, 32, 0]) - 40) < 8
    looping.close()


@pytest.mark.parametrize(("content", "why"), [(None, "no such file"), (b"x" * 999, "cannot open")])
def test_what_is_no_film_says_so(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "film.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CameraLostError, match=why):
        opened(str(path))


def test_a_password_in_the_address_is_in_no_message() -> None:
    with pytest.raises(CameraLostError) as lost:
        opened("rtsp://operator:s3cret@127.0.0.1:9/camera")
    assert "127.0.0.1:9" in str(lost.value)
    assert "s3cret" not in str(lost.value)


def test_without_opencv_the_message_says_how_to_get_it(
    video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(CameraMissingLibraryError, match="pip install opencv-python-headless"):
        opened(str(video))
