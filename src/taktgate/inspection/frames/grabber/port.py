"""The port of a camera library that may block, crash or leak: it runs in a process of its own.

The judge's end of that process is a `FrameSource` like any other (`frames/camera.py`).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class CameraLostError(Exception):
    """The camera is gone or never was there; the message says why. It may be opened again."""


class CameraMissingLibraryError(Exception):
    """A library is not installed; the message names it and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grabbed:
    """One frame of a camera.

    Attributes:
        pixels: uint8, [height, width] or [height, width, 3] RGB, C-contiguous; valid until the next
            call of `grab`.
        frame_id: Counted by the camera, one more for each exposure, without a wrap: the adapter
            unrolls a counter of fewer bits. A frame that was lost leaves a gap.
        exposure_ns: Start of exposure on this host's CLOCK_MONOTONIC, not later than it was.
        trigger_id: The part that the camera says it shows, None where it cannot say.
    """

    pixels: Pixels
    frame_id: int
    exposure_ns: int
    trigger_id: int | None = None


class Grabber(Protocol):
    """One camera. Used by one thread, but for `trigger`, which may come from another."""

    def open(self) -> None:
        """Connect and start.

        Raises:
            CameraLostError: it is not there.
            CameraMissingLibraryError: it can never be opened by this installation.
        """
        ...

    def grab(self, timeout_s: float) -> Grabbed | None:
        """Return the next frame, None when none came in time or one came damaged (counted).

        Raises:
            CameraLostError: the camera is gone.
        """
        ...

    def trigger(self, trigger_id: int) -> None:
        """Expose now, for this part; nothing where the camera cannot be triggered so."""
        ...

    def counters(self) -> dict[str, int]:
        """Return how often what went wrong, by name."""
        ...

    def close(self) -> None:
        """Give everything back; may be called twice."""
        ...
