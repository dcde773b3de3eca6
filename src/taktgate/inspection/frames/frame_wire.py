"""The camera's wire format: a header of fixed size, then raw pixels. Pure: bytes in, values out.

Little-endian, 64 bytes: magic, version, flags, frame id, width, height, channels, payload bytes,
exposure time (CLOCK_MONOTONIC), CRC-32 of the payload, padding. A camera that drops a frame leaves
a gap in the frame ids.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Final

HEADER_BYTES: Final = 64
MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024
VERSION: Final = 1

_MAGIC: Final = b"TKG1"
_HEADER: Final = struct.Struct("<4sHHQIIIIQI20x")
_CHANNELS: Final = (1, 3)


class FrameWireError(ValueError):
    """A header or a payload breaks a rule of the wire format.

    Attributes:
        field: The field of the header.
        rule: The rule that was broken.
    """

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"frame header, {field}: {rule}")
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """What the camera says of one frame."""

    frame_id: int
    """Counts the camera's exposures, sent or not."""
    width: int
    height: int
    channels: int
    payload_bytes: int
    exposure_ns: int
    crc32: int
    flags: int = 0

    def __post_init__(self) -> None:
        rules = {
            "width": (self.width >= 1, "must be at least 1"),
            "height": (self.height >= 1, "must be at least 1"),
            "channels": (self.channels in _CHANNELS, "must be 1 or 3"),
            "payload_bytes": (
                self.payload_bytes == self.width * self.height * self.channels,
                "must be width * height * channels",
            ),
            "size": (
                self.payload_bytes <= MAX_PAYLOAD_BYTES,
                f"payload must be at most {MAX_PAYLOAD_BYTES} bytes",
            ),
        }
        for field, (holds, rule) in rules.items():
            if not holds:
                raise FrameWireError(field, rule)


def encode_header(header: FrameHeader) -> bytes:
    """Return the 64 bytes of *header*.

    Raises:
        FrameWireError: a value does not fit its field.
    """
    try:
        return _HEADER.pack(
            _MAGIC,
            VERSION,
            header.flags,
            header.frame_id,
            header.width,
            header.height,
            header.channels,
            header.payload_bytes,
            header.exposure_ns,
            header.crc32,
        )
    except struct.error as error:
        raise FrameWireError("header", f"a value does not fit its field: {error}") from error


def decode_header(data: bytes) -> FrameHeader:
    """Return the header in the 64 bytes *data*.

    Raises:
        FrameWireError: *data* is no header of a frame that we take.
    """
    if len(data) != HEADER_BYTES:
        raise FrameWireError("header", f"must be {HEADER_BYTES} bytes, got {len(data)}")
    magic, version, flags, frame_id, width, height, channels, size, exposure_ns, crc32 = (
        _HEADER.unpack(data)
    )
    if magic != _MAGIC:
        raise FrameWireError("magic", f"must be {_MAGIC!r}, got {magic!r}")
    if version != VERSION:
        raise FrameWireError("version", f"must be {VERSION}, got {version}")
    return FrameHeader(
        frame_id=frame_id,
        width=width,
        height=height,
        channels=channels,
        payload_bytes=size,
        exposure_ns=exposure_ns,
        crc32=crc32,
        flags=flags,
    )


def check_payload(header: FrameHeader, payload: bytes | bytearray | memoryview) -> None:
    """Check that *payload* is the one that *header* announced.

    Raises:
        FrameWireError: its length or its checksum differs.
    """
    if len(payload) != header.payload_bytes:
        raise FrameWireError(
            "payload_bytes", f"announced {header.payload_bytes}, got {len(payload)}"
        )
    if zlib.crc32(payload) != header.crc32:
        raise FrameWireError("crc32", "does not match the payload")
