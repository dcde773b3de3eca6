"""When a camera without a shutter of its own exposes: in step with a clock, or on command."""

import contextlib
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.edge.clock import SECOND
from taktgate.inspection.frames.grabber.port import Grabbed, Pixels

MAX_WAITING: Final = 8
"""Commands; one that finds so many waiting is missed, and counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One exposure: its number from 1 on, its time (CLOCK_MONOTONIC), and the part it is for."""

    frame_id: int
    at_ns: int
    trigger_id: int | None = None

    def shows(self, pixels: Pixels) -> Grabbed:
        """Return the frame of this exposure, with *pixels* in it."""
        return Grabbed(
            pixels=pixels,
            frame_id=self.frame_id,
            exposure_ns=self.at_ns,
            trigger_id=self.trigger_id,
        )


class OnCommand:
    """Exposes when it is told to, at once. Commands may come from another thread."""

    def __init__(self, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._waiting: queue.Queue[tuple[int, int]] = queue.Queue(MAX_WAITING)
        self._frame_id = 0
        self.missed = 0

    def trigger(self, trigger_id: int) -> None:
        """Expose now for this part."""
        try:
            self._waiting.put_nowait((self._clock(), trigger_id))
        except queue.Full:
            self.missed += 1

    def restart(self) -> None:
        """Forget the commands that wait: their parts are long past."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()

    def next(self, timeout_s: float, *, then_ns: int | None = None) -> Exposure | None:
        """Return the next exposure, None when there was no command in time.

        Args:
            timeout_s: How long to wait for one.
            then_ns: Of no concern: the one after it comes when it is commanded.
        """
        try:
            at_ns, trigger_id = self._waiting.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self._frame_id += 1
        return Exposure(frame_id=self._frame_id, at_ns=at_ns, trigger_id=trigger_id)


class InStep:
    """Exposes at times that are known beforehand, and hears no command.

    Who asks too late for a time has missed it: its number is left out, as a camera does that is not
    read out in time.
    """

    def __init__(
        self,
        period_ns: int,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._period_ns = period_ns
        self._clock = clock
        self._sleep = sleep
        self._frame_id = 0
        self._due_ns: int | None = None
        self.missed = 0

    def trigger(self, trigger_id: int) -> None:
        """Do nothing: the clock alone counts."""

    def restart(self) -> None:
        """Let the next exposure be due at once: the time until now was no time of exposing."""
        self._due_ns = None

    def next(self, timeout_s: float, *, then_ns: int | None = None) -> Exposure | None:
        """Return the exposure that is due, None when it is not in time.

        Args:
            timeout_s: How long to wait for it.
            then_ns: How long after it the following one is due; None: the usual period.
        """
        now_ns = self._clock()
        due_ns = now_ns if self._due_ns is None else self._due_ns
        self._sleep(max(0.0, min(timeout_s, (due_ns - now_ns) / SECOND)))
        now_ns = self._clock()
        if now_ns < due_ns:
            self._due_ns = due_ns
            return None
        period_ns = self._period_ns if then_ns is None else then_ns
        behind = (now_ns - due_ns) // period_ns
        self.missed += behind
        self._frame_id += 1 + behind
        at_ns = due_ns + behind * period_ns
        self._due_ns = at_ns + period_ns
        return Exposure(frame_id=self._frame_id, at_ns=at_ns)


Exposures = OnCommand | InStep


def exposures(fps: float | None) -> Exposures:
    """Return the exposures of a camera that runs at *fps*, or on command for None."""
    return OnCommand() if fps is None else InStep(round(SECOND / fps))
