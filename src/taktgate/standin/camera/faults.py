"""Faults of the camera: frames that are exposed and counted, yet do not arrive as they should."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Generic, TypeVar

F = TypeVar("F")


class Delivery(StrEnum):
    """What became of a frame."""

    SENT = "sent"
    DROPPED = "dropped"
    """Lost on purpose."""
    BLIND = "blind"
    """Withheld while the camera is blind."""
    SWAPPED = "swapped"
    """Held back, to leave after the next one."""


class DeliveryFaults(Generic[F]):
    """Decides in one place which frames leave, and in which order."""

    def __init__(self) -> None:
        self.drop_next = 0
        self.swap_next = False
        self.is_blind = False
        self._held: F | None = None

    def clear(self) -> None:
        """End all faults; a frame that is held back still leaves with the next one."""
        self.drop_next = 0
        self.swap_next = self.is_blind = False

    def pass_on(self, frame: F) -> tuple[Delivery, Iterator[F]]:
        """Return what becomes of *frame*, and the frames to send now, in order."""
        if self.is_blind:
            return Delivery.BLIND, iter(())
        if self.drop_next > 0:
            self.drop_next -= 1
            return Delivery.DROPPED, iter(())
        if self.swap_next:
            self.swap_next = False
            return Delivery.SWAPPED, self._release(frame)
        return Delivery.SENT, iter((frame, *self._release(None)))

    def _release(self, instead: F | None) -> Iterator[F]:
        """Hold *instead* back, and return what was held until now."""
        held, self._held = self._held, instead
        return iter(() if held is None else (held,))
