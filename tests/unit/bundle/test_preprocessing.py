"""Every caller feeds the model the same bytes."""

import numpy as np
import pytest
from PIL import Image

from taktgate.bundle.manifest import Preprocessing
from taktgate.bundle.preprocessing import FrameError, allocate, preprocess

GREY = Preprocessing(
    width=512, height=512, resample="bilinear", channels="grey_to_rgb", scale="in_graph"
)
RNG = np.random.default_rng(0)
SMALL = RNG.integers(0, 256, (300, 300), dtype=np.uint8)
NATIVE = RNG.integers(0, 256, (512, 512), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (512, 512, 3), dtype=np.uint8)


def test_a_native_grey_frame_is_shown_unchanged_on_three_channels() -> None:
    tensor = preprocess(NATIVE, GREY)
    assert tensor.shape == (1, 3, 512, 512)
    assert tensor.dtype == np.uint8
    assert all(np.array_equal(channel, NATIVE) for channel in tensor[0])


def test_a_smaller_frame_is_brought_to_size_as_pillow_does_it() -> None:
    expected = np.asarray(Image.fromarray(SMALL).resize((512, 512), Image.Resampling.BILINEAR))
    assert np.array_equal(preprocess(SMALL, GREY)[0, 1], expected)


@pytest.mark.parametrize("frame", [SMALL, NATIVE, COLOUR])
def test_a_reused_tensor_gets_the_same_bytes_as_a_new_one(frame: np.ndarray) -> None:
    reused = allocate(GREY)
    reused.fill(77)
    assert preprocess(frame, GREY, out=reused) is reused
    assert reused.tobytes() == preprocess(frame, GREY).tobytes()


def test_a_view_that_is_not_contiguous_gives_the_same_bytes_as_its_copy() -> None:
    view = COLOUR[::2, ::-1, 0]
    assert preprocess(view, GREY).tobytes() == preprocess(view.copy(), GREY).tobytes()


def test_colour_becomes_luminance_where_the_model_wants_grey() -> None:
    expected = np.asarray(Image.fromarray(COLOUR).convert("L"))
    assert np.array_equal(preprocess(COLOUR, GREY)[0, 2], expected)


def test_colour_stays_colour_where_the_model_wants_it() -> None:
    tensor = preprocess(COLOUR, GREY.model_copy(update={"channels": "rgb"}))
    assert np.array_equal(tensor[0], COLOUR.transpose(2, 0, 1))


def test_a_factor_gives_scaled_floats() -> None:
    tensor = preprocess(NATIVE, GREY.model_copy(update={"scale": 1 / 255}))
    assert tensor.dtype == np.float32
    assert np.array_equal(tensor[0, 0], NATIVE * np.float32(1 / 255))


def test_a_frame_of_another_size_is_refused_where_resizing_is_not_allowed() -> None:
    with pytest.raises(FrameError, match="512x512 only, got 300x300"):
        preprocess(SMALL, GREY.model_copy(update={"resample": "none"}))


@pytest.mark.parametrize(
    "frame",
    [
        NATIVE.astype(np.float32),
        NATIVE[0],
        np.zeros((0, 512), dtype=np.uint8),
        np.zeros((512, 512, 4), dtype=np.uint8),
        np.zeros((1, 512, 512, 3), dtype=np.uint8),
    ],
)
def test_what_is_no_frame_is_refused(frame: np.ndarray) -> None:
    with pytest.raises(FrameError, match="must be"):
        preprocess(frame, GREY)


@pytest.mark.parametrize("spec", [GREY, GREY.model_copy(update={"scale": 1 / 255})])
def test_the_input_lies_half_a_page_away_from_where_frames_begin(spec: Preprocessing) -> None:
    for _ in range(5):
        tensor = allocate(spec)
        assert tensor.ctypes.data % 4096 == 2048
        assert tensor.flags.c_contiguous
