"""What the judge and a camera's process say to each other over their SEQPACKET socket. Pure.

The first byte is the kind. What is on a part's path is a struct, the rest JSON or text. The pixels
lie in a memory that the judge makes and hands over with the assignment: SLOTS slots, which belong
to the camera's process until it announces a frame, and again when the judge gives the slot back.
"""

import json
import re
import struct
from dataclasses import dataclass
from typing import Final

from taktgate.inspection.errors import CameraProtocolError

MAX_MESSAGE_BYTES: Final = 16 * 1024
SLOTS: Final = 4
"""One being filled, one announced, two while the judge is busy."""
BEAT_S: Final = 0.25
"""So often a camera's process shows that it lives, even while no frame comes."""

ASSIGNMENT: Final = b"A"
TRIGGER: Final = b"T"
GIVE_BACK: Final = b"G"
UP: Final = b"U"
DOWN: Final = b"D"
FRAME: Final = b"F"
BEAT: Final = b"B"

MAX_REASON: Final = 500
MAX_COUNTERS: Final = 32
_TRIGGER: Final = struct.Struct("<cq")
_GIVE_BACK: Final = struct.Struct("<cH")
_FRAME: Final = struct.Struct("<cBHIIQqq?")
_CHANNELS: Final = (1, 3)
_COUNTER_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A frame that lies complete in a slot of the shared memory."""

    slot: int
    width: int
    height: int
    channels: int
    frame_id: int
    exposure_ns: int
    trigger_id: int | None

    @property
    def size_bytes(self) -> int:
        """Return how much of the slot it fills."""
        return self.width * self.height * self.channels


def pack_trigger(trigger_id: int) -> bytes:
    """Return the order to expose for this part."""
    return _TRIGGER.pack(TRIGGER, trigger_id)


def unpack_trigger(data: bytes) -> int:
    """Return the part to expose for.

    Raises:
        CameraProtocolError: *data* is no such order.
    """
    return int(_unpack(_TRIGGER, data)[1])


def pack_give_back(slot: int) -> bytes:
    """Return the word that *slot* may be filled again."""
    return _GIVE_BACK.pack(GIVE_BACK, slot)


def unpack_give_back(data: bytes) -> int:
    """Return the slot that may be filled again.

    Raises:
        CameraProtocolError: *data* says no such thing.
    """
    return int(_unpack(_GIVE_BACK, data)[1])


def pack_frame(frame: Announced) -> bytes:
    """Return the announcement of *frame*."""
    return _FRAME.pack(
        FRAME,
        frame.channels,
        frame.slot,
        frame.width,
        frame.height,
        frame.frame_id,
        frame.exposure_ns,
        frame.trigger_id or 0,
        frame.trigger_id is not None,
    )


def unpack_frame(data: bytes, *, slot_bytes: int) -> Announced:
    """Return the frame that *data* announces.

    Raises:
        CameraProtocolError: *data* is no announcement, or of a frame that cannot be.
    """
    _, channels, slot, width, height, frame_id, exposure_ns, trigger_id, has_trigger = _unpack(
        _FRAME, data
    )
    size = width * height * channels
    if slot >= SLOTS:
        raise CameraProtocolError(f"slot must be below {SLOTS}, got {slot}")
    if channels not in _CHANNELS:
        raise CameraProtocolError(f"channels must be 1 or 3, got {channels}")
    if not 0 < size <= slot_bytes:
        raise CameraProtocolError(f"a frame must be 1 to {slot_bytes} bytes, got {size}")
    return Announced(
        slot=slot,
        width=width,
        height=height,
        channels=channels,
        frame_id=frame_id,
        exposure_ns=exposure_ns,
        trigger_id=trigger_id if has_trigger else None,
    )


def pack_down(reason: str) -> bytes:
    """Return the word that the camera is gone."""
    return DOWN + reason[:MAX_REASON].encode("utf-8", "replace")


def unpack_down(data: bytes) -> str:
    """Return why the camera is gone; text of whatever kind, cut to what fits a log line."""
    return data[1:].decode("utf-8", "replace")[:MAX_REASON]


def pack_beat(counters: dict[str, int]) -> bytes:
    """Return a sign of life with the camera's counters."""
    return BEAT + json.dumps(counters).encode()


def unpack_beat(data: bytes) -> dict[str, int]:
    """Return the camera's counters.

    Raises:
        CameraProtocolError: they are no counters.
    """
    try:
        counters = json.loads(data[1:])
    except (ValueError, RecursionError) as error:
        raise CameraProtocolError(f"counters are no JSON: {error}") from None
    if not isinstance(counters, dict) or len(counters) > MAX_COUNTERS:
        raise CameraProtocolError(f"counters must be an object of at most {MAX_COUNTERS}")
    for name, count in counters.items():
        if not _COUNTER_NAME.fullmatch(name):
            raise CameraProtocolError(f"a counter cannot be called {name[:50]!r}")
        if type(count) is not int or not 0 <= count < 1 << 63:
            raise CameraProtocolError(f"counter {name!r} must be a whole number of at least 0")
    return counters


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) != layout.size:
        raise CameraProtocolError(
            f"message {data[:1]!r} must be {layout.size} bytes, got {len(data)}"
        )
    return layout.unpack(data)
