"""The part record: all that this station knows of one part, as one line of JSON."""

from dataclasses import dataclass
from typing import Final

from taktgate.contracts.codec import STRICT_DOCUMENT, Digest, Nanoseconds
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.control import FrameNote

RECORD_VERSION: Final = "1"
IMAGES: Final = "images"
"""The folder of the kept images, beside the records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTimes:
    """When the verdict went out, on this host's CLOCK_MONOTONIC; None: not on this lane."""

    __pydantic_config__ = STRICT_DOCUMENT

    local_ns: Nanoseconds | None
    """When the judge had put it into the writer's inbox."""
    edgehub_ns: Nanoseconds | None
    """When the agent handed it to edgeHub's client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptImage:
    """The part's image: always its digest, the file only where it is kept."""

    __pydantic_config__ = STRICT_DOCUMENT

    digest: Digest
    """Of the raw pixels, row by row, channels interleaved."""
    file: str | None = None
    """Name of a PNG in the folder `images`; it may have been removed for newer ones since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRecord:
    """One part. Times in `*_ns` are CLOCK_MONOTONIC of the boot that `envelope` names."""

    __pydantic_config__ = STRICT_DOCUMENT

    record: str
    """Version of this document."""
    at: str
    """Wall-clock label of the writing (ISO 8601, UTC); nothing is decided by it."""
    envelope: VerdictEnvelope
    """The verdict as it went to the PLC writer: its reason, scores, model digest, timestamps."""
    lanes: LaneTimes
    frame: FrameNote | None
    """None for a part without a frame, or when `note_lost`."""
    image: KeptImage | None
    """None for a part without a frame, or whose pixels were overwritten before they were read."""
    note_lost: bool = False
    """The judge's note on this part did not arrive: frame, image and lane time are unknown."""
