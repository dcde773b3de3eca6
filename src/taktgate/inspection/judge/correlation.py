"""Which frame shows which part: TriggerIds and frames are paired by time *and* by number.

By time: a frame belongs to a trigger if its exposure began after the trigger can have happened and
it was complete within the frame window, which counts from there as well: a trigger that a host in a
stall saw late must not reach out for the frame of the next. By number: `TriggerId - frame_id` stays
the same as long as PLC and camera count the same parts. The difference (the *base*) is learnt from
one trigger and one frame that are alone in their window; from then on both must agree, and whatever
contradicts is doubt: the parts concerned get no verdict from any frame, and the base is learnt
anew. So is a jump of TriggerId: its interval is long enough for exposures that nobody counted, and
those would shift the numbering unseen.

The frame window must be shorter than the takt. Where two windows overlap, frames in the overlap are
doubtful by rule. A pure state machine: no clock, no I/O.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from taktgate.edge.clock import SECOND
from taktgate.inspection.frames.camera import Frame

MEMORY_NS: Final = 5 * SECOND
MAX_EDGES: Final = 64
MAX_WAITING: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A change of TriggerId, as the writer saw it."""

    trigger_id: int
    first_id: int
    """Smaller than `trigger_id` when TriggerId jumped: the ids from here on happened as well."""
    observed_after_ns: int
    observed_ns: int


class Kind(StrEnum):
    """What was found out about a part or a frame."""

    MATCHED = "matched"
    DOUBTFUL = "doubtful"
    """No frame may judge this part any more."""
    MISSING = "missing"
    """The frames of later parts are here; this one's will not come."""
    DISCARDED = "discarded"
    """This frame shows no part that can be named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found out. A part for all but DISCARDED, a frame for MATCHED and DISCARDED."""

    kind: Kind
    trigger_id: int | None = None
    frame: Frame | None = None
    why: str = ""


@dataclass(slots=True, kw_only=True)
class _Window:
    """An edge and what has become of it."""

    edge: Edge
    until_ns: int
    exposure_ns: int | None = None
    """Of the frame that was matched."""
    is_spent: bool = False

    def holds(self, frame: Frame) -> bool:
        return (
            frame.exposure_ns >= self.edge.observed_after_ns and frame.received_ns <= self.until_ns
        )


class Correlator:
    """Pairs the frames of one camera with the triggers of one PLC."""

    def __init__(self, *, window_ns: int) -> None:
        self._window_ns = window_ns
        self._windows: deque[_Window] = deque(maxlen=MAX_EDGES)
        self._waiting: list[Frame] = []
        self._base: int | None = None
        self.resyncs = 0
        """How often an established base was given up."""

    @property
    def base(self) -> int | None:
        """Return TriggerId - frame_id, None while it is not known."""
        return self._base

    def edge(self, edge: Edge) -> list[Finding]:
        """Take note of a trigger; frames that came before it was seen may match now."""
        findings: list[Finding] = []
        window = _Window(edge=edge, until_ns=edge.observed_after_ns + self._window_ns)
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
        return [_discarded(frame, why) for frame in waiting]

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
            return [*self._doubt(tuple(candidates), why), _discarded(frame, why)]
        window = candidates[0]
        said = None if self._base is None else self._base + frame.frame_id
        if window.exposure_ns is None and not window.is_spent:
            return self._judge_pair(window, frame, said)
        if said == window.edge.trigger_id or (said is None and window.is_spent):
            return [_discarded(frame, "its part was given up before")]
        why = "two frames for one trigger"
        return [*self._doubt((window,), why), _discarded(frame, why)]

    def _judge_pair(self, window: _Window, frame: Frame, said: int | None) -> list[Finding]:
        """Decide about a frame and an open trigger that time brings together."""
        edge = window.edge
        if said is None and (rivals := self._rivals(window, frame)):
            why = "exposed after an older trigger as well, and the numbering is not known"
            return [*self._doubt((*rivals, window), why), _discarded(frame, why)]
        if said in (None, edge.trigger_id):
            return self._match(window, frame)
        why = f"by number the frame shows part {said}, by time part {edge.trigger_id}"
        named = tuple(each for each in self._windows if each.edge.trigger_id == said)
        return [*self._doubt((window, *named), why), _discarded(frame, why)]

    def _rivals(self, window: _Window, frame: Frame) -> tuple[_Window, ...]:
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

    def _match(self, window: _Window, frame: Frame) -> list[Finding]:
        trigger_id = window.edge.trigger_id
        self._base = trigger_id - frame.frame_id
        window.exposure_ns = frame.exposure_ns
        findings = [Finding(kind=Kind.MATCHED, trigger_id=trigger_id, frame=frame)]
        for earlier in self._windows:
            if earlier is window:
                break
            if earlier.exposure_ns is None and not earlier.is_spent:
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
        said = None if self._base is None else self._base + frame.frame_id
        if (
            any(window.edge.first_id <= said <= window.edge.trigger_id for window in self._windows)
            if said is not None
            else False
        ):
            return [_discarded(frame, "late: complete only after its part's frame window")]
        self._forget_base()
        return [_discarded(frame, "no trigger belongs to it")]

    def _doubt(self, windows: tuple[_Window, ...], why: str) -> list[Finding]:
        self._forget_base()
        for window in windows:
            window.is_spent = True
        return [
            Finding(kind=Kind.DOUBTFUL, trigger_id=window.edge.trigger_id, why=why)
            for window in windows
        ]

    def _forget_base(self) -> None:
        if self._base is not None:
            self.resyncs += 1
        self._base = None


def _discarded(frame: Frame, why: str) -> Finding:
    return Finding(kind=Kind.DISCARDED, frame=frame, why=why)
