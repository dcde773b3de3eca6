"""Image files become pixels, or are refused with the reason that is theirs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.unit.inspection.frames.picture_files import file_of, gradient, png_that_claims

from taktgate.inspection.errors import ImageRefusedError
from taktgate.inspection.frames.images import read_image

LIMIT = 4 * 1024 * 1024
GREY, COLOUR = gradient(), gradient(channels=3)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_lossless_file_gives_its_very_pixels(kind: str, pixels: np.ndarray) -> None:
    read = read_image(file_of(pixels, kind), limit_bytes=LIMIT)
    assert read.dtype == np.uint8
    assert read.flags.c_contiguous
    assert np.array_equal(read, pixels)


def test_a_jpeg_gives_its_pixels_about() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    read = read_image(file_of(flat, "JPEG"), limit_bytes=LIMIT)
    assert read.shape == flat.shape
    assert np.abs(read.astype(int) - 90).max() <= 2


SIXTEEN_BITS = Image.fromarray(np.zeros((8, 8), np.uint16))
REFUSED = {
    "no bytes at all": (b"", "EMPTY"),
    "no image": (b"<html>502 Bad Gateway</html>" * 20, "FORMAT"),
    "an image of another kind": (file_of(GREY, "GIF"), "FORMAT"),
    "16 bits grey": (file_of(SIXTEEN_BITS), "TYPE"),
    "16 bits colour": (png_that_claims(8, 8, depth=16, colour=2), "TYPE"),
    "1 bit": (file_of(Image.new("1", (8, 8))), "TYPE"),
    "2 bits grey": (png_that_claims(8, 8, depth=2), "TYPE"),
    "transparency": (file_of(Image.new("RGBA", (8, 8))), "TYPE"),
    "grey and transparency": (file_of(Image.new("LA", (8, 8))), "TYPE"),
    "palette": (file_of(Image.new("P", (8, 8))), "TYPE"),
    "CMYK": (file_of(Image.new("CMYK", (8, 8)), "JPEG"), "TYPE"),
    "larger than a slot": (file_of(np.zeros((2049, 2048), np.uint8)), "SIZE"),
    "100 megapixels in 1 KB": (png_that_claims(10_000, 10_000), "SIZE"),
    "a decompression bomb": (png_that_claims(60_000, 60_000), "SIZE"),
    "a truncated JPEG": (file_of(gradient(400, 300, channels=3), "JPEG")[:-900], "DAMAGED"),
    "a truncated PNG": (file_of(gradient(400, 300, step=7))[:-400], "DAMAGED"),
    "a PNG without its checksum": (file_of(GREY)[:-14], "DAMAGED"),
    "a PNG without its pixels": (png_that_claims(200, 200), "DAMAGED"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_image_of_a_camera_is_refused_with_its_own_reason(name: str) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(ImageRefusedError) as refused:
        read_image(data, limit_bytes=LIMIT)
    assert refused.value.reason == reason


SOUND = [file_of(GREY), file_of(COLOUR), file_of(COLOUR, "JPEG"), file_of(COLOUR, "BMP")]


@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6),
    st.none() | st.integers(0, 4000),
)
def test_a_damaged_file_is_refused_or_gives_pixels_and_raises_nothing_else(
    data: bytes, changes: list[tuple[int, int]], cut: int | None
) -> None:
    damaged = bytearray(data)
    for at, value in changes:
        damaged[at % len(damaged)] = value
    try:
        pixels = read_image(bytes(damaged[:cut]), limit_bytes=LIMIT)
    except ImageRefusedError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.nbytes <= LIMIT


PNG = file_of(gradient(step=7))


@given(st.integers(0, len(PNG) - 1), st.integers(1, 255))
def test_a_png_with_a_wrong_byte_never_shows_other_pixels(at: int, flip: int) -> None:
    damaged = bytearray(PNG)
    damaged[at] ^= flip
    try:
        pixels = read_image(bytes(damaged), limit_bytes=LIMIT)
    except ImageRefusedError:
        return
    assert np.array_equal(pixels, gradient(step=7))
