"""The port through which frames come in. Adapters live beside it, one per kind of camera."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame that lies complete in a slot of the ring."""

    frame_id: int
    """Counted by the camera: one more for each exposure."""
    exposure_ns: int
    """Start of exposure on this host's CLOCK_MONOTONIC; an adapter maps any other clock to it."""
    received_ns: int
    """When the last byte was in memory."""
    width: int
    height: int
    channels: int
    slot: int
    trigger_id: int | None = None
    """The part that the camera itself says the frame shows; None from one that cannot say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraUp:
    """The camera is connected; its numbering may have begun anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraDown:
    """The camera was lost."""

    reason: str


CameraEvent = Frame | CameraUp | CameraDown


class FrameSource(Protocol):
    """A camera that never blocks: the judge's loop calls `advance` when something is to be done."""

    @property
    def wake_ns(self) -> int | None:
        """Return when to call `advance` even if nothing arrived; None for no such time."""
        ...

    @property
    def wants_write(self) -> bool:
        """Return True while the descriptor is to be watched for writing too."""
        ...

    def trigger(self, trigger_id: int) -> None:
        """Expose now for this part, and say its number with the frame.

        Nothing where the camera is triggered otherwise. Never waits; a trigger that is lost shows
        as a frame that does not come.
        """
        ...

    def fileno(self) -> int:
        """Return the descriptor to wait on, -1 while there is none."""
        ...

    def advance(self, now_ns: int) -> list[CameraEvent]:
        """Do what can be done without waiting and return what happened."""
        ...

    def counters(self) -> dict[str, int]:
        """Return how often what went wrong, by name."""
        ...

    def close(self) -> None:
        """Give everything back."""
        ...
