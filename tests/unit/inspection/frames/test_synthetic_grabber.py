"""Drawn frames: each says which one it is, and no two are alike."""

import numpy as np
import pytest

from taktgate.edge.camera_settings import SyntheticCameraSettings
from taktgate.inspection.frames.grabber.port import Grabbed
from taktgate.inspection.frames.grabber.synthetic import SyntheticGrabber, read_number


def frames(count: int, **settings: object) -> list[Grabbed]:
    grabber = SyntheticGrabber(
        SyntheticCameraSettings.model_validate(
            {"kind": "synthetic", "correlation": "software_trigger", **settings}
        )
    )
    grabber.open()
    found = []
    for part in range(count):
        grabber.trigger(1000 + part)
        grabbed = grabber.grab(1.0)
        assert grabbed is not None
        found.append(grabbed)
    return found


@pytest.mark.parametrize(
    ("width", "height", "channels"), [(512, 512, 1), (16, 16, 1), (640, 17, 3), (16, 300, 3)]
)
def test_a_frame_carries_its_number_at_any_size(width: int, height: int, channels: int) -> None:
    grabbed = frames(3, width=width, height=height, channels=channels)
    assert [read_number(each.pixels) for each in grabbed] == [1, 2, 3]
    assert grabbed[0].pixels.shape[:2] == (height, width)
    assert grabbed[0].pixels.flags.c_contiguous


def test_no_two_frames_are_alike_beside_their_number() -> None:
    first, second = frames(2, width=64, height=64)
    assert not np.array_equal(first.pixels[32:], second.pixels[32:])


def test_the_same_seed_draws_the_same_frames_and_another_does_not() -> None:
    same, again, other = (frames(1, seed=seed, width=64, height=64)[0].pixels for seed in (3, 3, 4))
    assert np.array_equal(same, again)
    assert not np.array_equal(same, other)


def test_a_defect_is_a_dark_scratch_in_the_middle() -> None:
    (sound,), (scratched,) = frames(1), frames(1, defect_share=1.0)
    middle = (slice(236, 276), slice(236, 276))
    assert sound.pixels[middle].min() > 100
    assert scratched.pixels[middle].min() < 50
