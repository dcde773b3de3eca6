"""Image files, sound and otherwise."""

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def gradient(width: int = 48, height: int = 32, *, channels: int = 1, step: int = 1) -> Pixels:
    """Return pixels of which no two rows are alike."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    return (np.arange(np.prod(shape), dtype=np.int64) * step % 251).astype(np.uint8).reshape(shape)


def file_of(image: Image.Image | Pixels, kind: str = "PNG") -> bytes:
    """Return *image* as the bytes of a file."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    data = io.BytesIO()
    picture.save(data, kind)
    return data.getvalue()


def png_that_claims(width: int, height: int, *, depth: int = 8, colour: int = 0) -> bytes:
    """Return a PNG whose head announces any size, with hardly any pixels behind it."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
