"""An image file's bytes to pixels, refused rather than guessed: no scaling, no conversion.

A station's camera gives 8-bit grey or RGB. Whatever else an image file can hold (16 bits, palette,
transparency, CMYK) would have to be turned into that by a rule that nobody has agreed on.
"""

import io
import struct
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from taktgate.inspection.errors import ImageRefusedError

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp")
FORMATS: Final = ("PNG", "JPEG", "BMP")
_CHANNELS: Final = {"L": 1, "RGB": 3}
_PNG_DEPTH_AT: Final = 24
"""Byte of a PNG file that says how many bits a sample has: Pillow would shorten 16 to 8 unasked."""
_BROKEN: Final = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError,
    EOFError, OverflowError, ZeroDivisionError, struct.error,
)  # fmt: skip
"""What Pillow raises for bytes that are no image, depending on where they break."""


def read_image(
    data: bytes, *, limit_bytes: int, formats: tuple[str, ...] = FORMATS
) -> NDArray[np.uint8]:
    """Return the pixels of an image file: uint8, [height, width] or [height, width, 3] RGB.

    Args:
        data: The file's content.
        limit_bytes: The most that the pixels may take; checked before they are decoded.
        formats: What it may be, of FORMATS.

    Raises:
        ImageRefusedError: it is none that we take; says why.
    """
    if not data:
        raise ImageRefusedError("EMPTY", "the file has no bytes")
    if len(data) > MAX_FILE_BYTES:
        raise ImageRefusedError("SIZE", f"a file must be at most {MAX_FILE_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our limit is lower
            image = Image.open(io.BytesIO(data), formats=tuple(formats))
    except Image.DecompressionBombError as error:
        raise ImageRefusedError("SIZE", str(error)) from None
    except _BROKEN as error:
        rule = f"no {', '.join(formats)}: {error}"
        raise ImageRefusedError("FORMAT", rule[:200]) from None
    with image:
        _check(image, data, limit_bytes)
        try:
            if image.format == "PNG":
                _check_sums(data)
            return np.asarray(image, np.uint8)
        except _BROKEN as error:
            raise ImageRefusedError("DAMAGED", f"the image breaks off: {error}"[:200]) from None


def _check_sums(data: bytes) -> None:
    """Check the checksums of a PNG file, which nobody looks at while it is decoded.

    Raises:
        One of _BROKEN: there is one that is not right.
    """
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.verify()


def _check(image: Image.Image, data: bytes, limit_bytes: int) -> None:
    """Check what the head of the file says.

    Raises:
        ImageRefusedError: the pixels are of a kind or size that we do not take.
    """
    channels = _CHANNELS.get(image.mode)
    if channels is None:
        raise ImageRefusedError("TYPE", f"must be 8-bit grey or RGB, got {image.mode}")
    if image.format == "PNG" and data[_PNG_DEPTH_AT] != 8:
        raise ImageRefusedError("TYPE", f"must be 8 bits a sample, got {data[_PNG_DEPTH_AT]}")
    if image.width * image.height * channels > limit_bytes:
        raise ImageRefusedError(
            "SIZE",
            f"{image.width}x{image.height}x{channels} is more than {limit_bytes} bytes of pixels",
        )
