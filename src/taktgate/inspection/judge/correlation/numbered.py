"""Frames and triggers paired by time *and* by a number that the camera counts.

By time: a frame belongs to a trigger if its exposure began after the trigger can have happened and
it was complete within the frame window. By number: `TriggerId - number` stays the same as long as
PLC and camera count the same parts. The difference (the *base*) is learnt from one trigger and one
frame that are alone in their window; from then on both must agree, and whatever contradicts is
doubt: the parts concerned get no verdict from any frame, and the base is learnt anew. So is a jump
of TriggerId: its interval is long enough for exposures that nobody counted, and those would shift
the numbering unseen.

The frame window must be shorter than the takt. Where two windows overlap, frames in the overlap are
doubtful by rule: by number alone they could be told apart, but not those of a pulse that the camera
missed, whose number a later frame then bears.

Two counters may serve. The *frame counter* (`counter`) counts exposures: a frame lost on the way
leaves a gap, which costs its part and nothing else. The *trigger counter* (`frame_trigger_id`)
counts pulses at the camera's trigger input, also those to which it did not expose (overrun): these
leave a gap as well, where a frame counter would be shifted.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation.port import (
    MAX_EDGES,
    MEMORY_NS,
    Edge,
    Finding,
    Kind,
    Window,
    discarded,
    doubtful,
)

MAX_WAITING: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbering:
    """Where a frame bears its number, and where that begins again at 0."""

    number: Callable[[Frame], int | None]
    modulus: int

    def said(self, base: int | None, frame: Frame) -> int | None:
        """Return the part that *frame* shows by number, modulo the modulus."""
        number = self.number(frame)
        return None if base is None or number is None else (base + number) % self.modulus

    def is_within(self, said: int, edge: Edge) -> bool:
        """Tell whether *said* is one of the ids of *edge*."""
        return (said - edge.first_id) % self.modulus <= edge.trigger_id - edge.first_id

    def names(self, said: int, window: Window) -> bool:
        """Tell whether *said* is the part of *window*."""
        return said == window.edge.trigger_id % self.modulus


FRAME_COUNTER: Final = Numbering(number=lambda frame: frame.frame_id, modulus=1 << 64)
TRIGGER_COUNTER: Final = Numbering(number=lambda frame: frame.trigger_id, modulus=1 << 16)
"""Cameras count triggers in 16 bits or more; the lower 16 bits of any such counter wrap alike."""


class NumberedCorrelation:
    """Implements `Correlation` for a camera that counts."""

    exposes = False

    def __init__(self, numbering: Numbering, *, window_ns: int) -> None:
        self._numbering = numbering
        self._window_ns = window_ns
        self._windows: deque[Window] = deque(maxlen=MAX_EDGES)
        self._waiting: list[Frame] = []
        self._base: int | None = None
        self._resyncs = 0

    @property
    def resyncs(self) -> int:
        """Return how often an established base was given up."""
        return self._resyncs

    @property
    def base(self) -> int | None:
        """Return TriggerId - number, None while it is not known."""
        return self._base

    def edge(self, edge: Edge) -> list[Finding]:
        """Take note of a trigger; frames that came before it was seen may match now."""
        findings: list[Finding] = []
        window = Window(edge=edge, until_ns=edge.observed_after_ns + self._window_ns)
        for earlier in self._windows:
            taken = earlier.exposure_ns
            if taken is not None and taken >= edge.observed_after_ns:
                findings += self._doubt(
                    (earlier, window), "matched frame is younger than a trigger"
                )
        self._windows.append(window)
        if edge.first_id != edge.trigger_id:
            findings += self._doubt((window,), "TriggerId jumped: its frames cannot be told apart")
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            findings += self._place(frame)
        return findings

    def frame(self, frame: Frame) -> list[Finding]:
        """Take note of a frame: it is matched, set aside for a trigger yet unseen, or discarded."""
        if self._numbering.number(frame) is None:
            return [discarded(frame, "the camera sends no trigger number with its frames")]
        return self._place(frame)

    def expire(self, now_ns: int) -> list[Finding]:
        """Give up frames whose trigger should have been seen by now, and forget old triggers."""
        while self._windows and self._windows[0].until_ns + MEMORY_NS < now_ns:
            self._windows.popleft()
        stale = [each for each in self._waiting if each.received_ns + self._window_ns < now_ns]
        return [finding for frame in stale for finding in self._give_up(frame)]

    def reset(self, why: str) -> list[Finding]:
        """Forget the base and all frames set aside: the camera may count anew."""
        self._forget_base()
        waiting, self._waiting = self._waiting, []
        return [discarded(frame, why) for frame in waiting]

    def restart(self, why: str) -> list[Finding]:
        """Forget everything: the PLC counts anew."""
        self._windows.clear()
        return self.reset(why)

    def _place(self, frame: Frame) -> list[Finding]:
        candidates = [window for window in self._windows if window.holds(frame)]
        if not candidates:
            return self._set_aside(frame)
        if len(candidates) > 1:
            why = "frame windows overlap: frame_window_ms must be shorter than the takt"
            return [*self._doubt(tuple(candidates), why), discarded(frame, why)]
        window = candidates[0]
        said = self._numbering.said(self._base, frame)
        if window.is_open:
            return self._judge_pair(window, frame, said)
        if window.is_spent if said is None else self._numbering.names(said, window):
            return [discarded(frame, "its part was given up before")]
        why = "two frames for one trigger"
        return [*self._doubt((window,), why), discarded(frame, why)]

    def _judge_pair(self, window: Window, frame: Frame, said: int | None) -> list[Finding]:
        """Decide about a frame and an open trigger that time brings together."""
        if said is None and (rivals := self._rivals(window, frame)):
            why = "exposed after an older trigger as well, and the numbering is not known"
            return [*self._doubt((*rivals, window), why), discarded(frame, why)]
        if said is None or self._numbering.names(said, window):
            return self._match(window, frame)
        why = f"by number the frame shows part {said}, by time part {window.edge.trigger_id}"
        named = tuple(each for each in self._windows if self._numbering.names(said, each))
        return [*self._doubt((window, *named), why), discarded(frame, why)]

    def _rivals(self, window: Window, frame: Frame) -> tuple[Window, ...]:
        """Return the other triggers that may have caused the exposure, received in time or not.

        A host that stalls makes a frame late for its own window and stretches the interval of the
        next trigger back beyond the exposure: only by number can the two then be told apart.
        """
        return tuple(
            each
            for each in self._windows
            if each is not window
            and each.exposure_ns is None
            and each.edge.observed_after_ns <= frame.exposure_ns <= each.until_ns
        )

    def _match(self, window: Window, frame: Frame) -> list[Finding]:
        trigger_id = window.edge.trigger_id
        number = self._numbering.number(frame)
        assert number is not None
        self._base = (trigger_id - number) % self._numbering.modulus
        window.exposure_ns = frame.exposure_ns
        findings = [Finding(kind=Kind.MATCHED, trigger_id=trigger_id, frame=frame)]
        for earlier in self._windows:
            if earlier is window:
                break
            if earlier.is_open:
                earlier.is_spent = True
                findings.append(Finding(kind=Kind.MISSING, trigger_id=earlier.edge.trigger_id))
        return findings

    def _set_aside(self, frame: Frame) -> list[Finding]:
        self._waiting.append(frame)
        if len(self._waiting) > MAX_WAITING:
            return self._give_up(self._waiting[0])
        return []

    def _give_up(self, frame: Frame) -> list[Finding]:
        """Discard a frame without a trigger. An extra exposure has shifted the numbering."""
        self._waiting.remove(frame)
        said = self._numbering.said(self._base, frame)
        if said is not None and any(
            self._numbering.is_within(said, window.edge) for window in self._windows
        ):
            return [discarded(frame, "late: complete only after its part's frame window")]
        self._forget_base()
        return [discarded(frame, "no trigger belongs to it")]

    def _doubt(self, windows: tuple[Window, ...], why: str) -> list[Finding]:
        self._forget_base()
        return [doubtful(window, why) for window in windows]

    def _forget_base(self) -> None:
        if self._base is not None:
            self._resyncs += 1
        self._base = None
