"""Bodies of `/infer`: taken exactly as they are, or refused with field and rule."""

import io
import json
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.pixels import Layout, Media, Pixels, Task, picture_of

WIDTH, HEIGHT = 4, 2
COUNT = 3 * WIDTH * HEIGHT
frames = st.binary(min_size=COUNT, max_size=COUNT).map(
    lambda data: np.frombuffer(data, np.uint8).reshape(HEIGHT, WIDTH, 3)
)


def task(media: Media, **said: Any) -> Task:
    return Task(media=media, model_width=WIDTH, model_height=HEIGHT, threshold=0.5, **said)


def tensor(values: list[Any], **more: Any) -> bytes:
    return json.dumps({"tensor": values, **more}).encode()


def refusal(said: Task, body: bytes) -> BadInputError:
    with pytest.raises(BadInputError) as caught:
        picture_of(said, body)
    return caught.value


def file_of(pixels: Pixels, kind: str) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, kind)
    return data.getvalue()


PHOTO = (np.arange(64 * 48 * 3) % 251).astype(np.uint8).reshape(48, 64, 3)
END_MARK = 12
"""Bytes of the chunk that ends a PNG: no pixel depends on them."""
JPEG, PNG = file_of(PHOTO, "JPEG"), file_of(PHOTO, "PNG")


@given(frame=frames)
def test_eight_bit_image_survives_the_way_through_a_json_tensor(frame: Pixels) -> None:
    floats = (frame.transpose(2, 0, 1).astype(np.float32) / 255).ravel().tolist()
    assert np.array_equal(picture_of(task(Media.JSON), tensor(floats)).pixels, frame)


@given(frame=frames)
def test_eight_bit_image_survives_the_way_through_a_float_tensor(frame: Pixels) -> None:
    body = (frame.transpose(2, 0, 1).astype("<f4") / np.float32(255)).tobytes()
    said = task(Media.RAW, layout=Layout.FLOAT32_CHW)
    assert np.array_equal(picture_of(said, body).pixels, frame)


def test_every_grey_level_survives_as_a_float() -> None:
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    floats = levels.transpose(2, 0, 1).astype("<f4") / np.float32(255)
    wide: dict[str, Any] = {"model_width": 256, "model_height": 1, "threshold": 0.5}
    raw = Task(media=Media.RAW, layout=Layout.FLOAT32_CHW, **wide)
    assert np.array_equal(picture_of(raw, floats.tobytes()).pixels, levels)
    for digits in (4, 17):  # few digits lie to either side of a level
        body = tensor([round(value, digits) for value in floats.ravel().tolist()])
        assert np.array_equal(picture_of(Task(media=Media.JSON, **wide), body).pixels, levels)


@given(frame=frames)
def test_raw_pixels_are_taken_as_they_are(frame: Pixels) -> None:
    said = task(Media.RAW, width=WIDTH, height=HEIGHT, channels=3)
    assert np.array_equal(picture_of(said, frame.tobytes()).pixels, frame)


def test_grey_and_colour_files_are_taken() -> None:
    assert np.array_equal(picture_of(task(Media.PNG), PNG).pixels, PHOTO)
    assert picture_of(task(Media.PNG), file_of(PHOTO[:, :, 0], "PNG")).pixels.ndim == 2
    assert picture_of(task(Media.JPEG), JPEG).pixels.shape == PHOTO.shape


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), -float("inf"), -0.001, 1.001, 10**400]
)
@pytest.mark.parametrize("index", [0, 17, COUNT - 1])
def test_first_bad_value_of_a_json_tensor_is_named(value: float, index: int) -> None:
    values: list[Any] = [0.5] * COUNT
    for later in range(index, COUNT):
        values[later] = value
    assert refusal(task(Media.JSON), tensor(values)).field == f"tensor[{index}]"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.001, 1.001])
@pytest.mark.parametrize("index", [0, 17, COUNT - 1])
def test_first_bad_value_of_a_float_tensor_is_named(value: float, index: int) -> None:
    values = np.full(COUNT, 0.5, "<f4")
    values[index:] = value
    error = refusal(task(Media.RAW, layout=Layout.FLOAT32_CHW), values.tobytes())
    assert (error.status, error.field) == (422, f"tensor[{index}]")


@pytest.mark.parametrize("value", [True, "0.5", None, [0.5], {}])
def test_what_is_no_number_is_never_made_one(value: Any) -> None:
    assert refusal(task(Media.JSON), tensor([0.5, value])).field == "tensor[1]"


@pytest.mark.parametrize("count", [0, 1, COUNT - 1, COUNT + 1])
def test_tensor_of_another_size_is_refused(count: int) -> None:
    error = refusal(task(Media.JSON), tensor([0.5] * count))
    assert (error.field, str(COUNT) in error.rule) == ("tensor", True)


def test_callers_threshold_is_taken_only_if_it_is_the_bundles() -> None:
    values = [0.5] * COUNT
    assert picture_of(task(Media.JSON), tensor(values, threshold=0.5)).correlation_id is None
    error = refusal(task(Media.JSON), tensor(values, threshold=0.4999))
    assert (error.status, error.field, "bundle" in error.rule) == (422, "threshold", True)


def test_correlation_id_comes_back_and_has_128_characters_at_most() -> None:
    values = [0.5] * COUNT
    longest = "x" * 128
    assert (
        picture_of(task(Media.JSON), tensor(values, correlation_id=longest)).correlation_id
        == longest
    )
    assert (
        refusal(task(Media.JSON), tensor(values, correlation_id="x" * 129)).field
        == "correlation_id"
    )


@given(body=st.binary(max_size=200))
def test_rubbish_is_refused_whatever_it_is_said_to_be(body: bytes) -> None:
    for media in (Media.JSON, Media.JPEG, Media.PNG):
        assert refusal(task(media), body).status == 422


@given(cut=st.integers(0, min(len(JPEG), len(PNG)) - END_MARK))
def test_truncated_file_is_refused(cut: int) -> None:
    assert refusal(task(Media.JPEG), JPEG[:cut]).status == 422
    assert refusal(task(Media.PNG), PNG[:cut]).status == 422


@given(at=st.integers(0, len(PNG) - END_MARK - 1), bit=st.integers(0, 7))
def test_png_with_any_bit_flipped_is_refused(at: int, bit: int) -> None:
    assert refusal(task(Media.PNG), flipped(PNG, at, bit)).status in (413, 422)


@given(at=st.integers(0, len(JPEG) - 1), bit=st.integers(0, 7))
def test_jpeg_with_any_bit_flipped_is_read_or_refused(at: int, bit: int) -> None:
    with suppress(BadInputError):
        assert picture_of(task(Media.JPEG), flipped(JPEG, at, bit)).pixels.dtype == np.uint8


@pytest.mark.parametrize("side", [2049, 20_000, 2**31 - 1])
def test_decompression_bomb_is_refused_before_it_takes_memory(side: int) -> None:
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head)
    bomb += _chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + _chunk(b"IEND", b"")
    assert refusal(task(Media.PNG), bomb).status == 413


def test_file_of_another_kind_than_it_is_said_to_be_is_refused() -> None:
    assert refusal(task(Media.PNG), JPEG).status == 422
    assert refusal(task(Media.JPEG), PNG).status == 422


@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "1", "CMYK"])
def test_pixels_that_are_not_8_bit_grey_or_rgb_are_refused(mode: str) -> None:
    data, kind = io.BytesIO(), "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (8, 8)).save(data, kind)
    error = refusal(task(Media.JPEG if mode == "CMYK" else Media.PNG), data.getvalue())
    assert "8-bit grey or RGB" in error.rule


def test_16_bits_of_colour_are_refused_and_not_shortened_unasked() -> None:
    head = struct.pack(">IIBBBBB", 8, 8, 16, 2, 0, 0, 0)
    rows = zlib.compress(bytes(8 * (1 + 8 * 3 * 2)))
    deep = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", rows)
    error = refusal(task(Media.PNG), deep + _chunk(b"IEND", b""))
    assert (error.status, "8 bits" in error.rule) == (422, True)


@pytest.mark.parametrize(
    ("said", "size", "field"),
    [
        ({}, 24, "width"),
        ({"width": 4}, 24, "height"),
        ({"width": 4, "height": 2}, 24, "channels"),
        ({"width": 4, "height": 2, "channels": 2}, 16, "channels"),
        ({"width": 0, "height": 2, "channels": 1}, 0, "width"),
        ({"width": 4, "height": 9000, "channels": 1}, 36_000, "height"),
        ({"width": 4, "height": 2, "channels": 3}, 23, "body"),
        ({"width": 4, "height": 2, "channels": 3}, 25, "body"),
    ],
)
def test_raw_body_that_is_not_what_the_query_says_is_refused(
    said: dict[str, int], size: int, field: str
) -> None:
    error = refusal(task(Media.RAW, **said), bytes(size))
    assert (error.status, error.field) == (422, field)


def test_raw_picture_larger_than_a_slot_of_the_ring_is_refused_as_too_large() -> None:
    said = task(Media.RAW, width=4096, height=1025, channels=1)
    assert refusal(said, bytes(4096 * 1025)).status == 413


def flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
