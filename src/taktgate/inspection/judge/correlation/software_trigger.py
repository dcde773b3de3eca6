"""Exposed on command: the judge has the camera expose at each edge, and the frame names its part.

The number that a source gives a frame is a statement of its own (a lost frame can shift it, where a
camera answers commands in turn), so time must agree: exposed after the edge can have happened and
before the next one can, and complete within the frame window. The window must be shorter than the
takt, as for every strategy; the part may not move on before its exposure.

Nothing is learnt, so nothing has to be learnt anew: whatever goes wrong costs its own parts. A jump
of TriggerId is no doubt either, since the exposure came after it was seen, for the newest part.
"""

from collections import deque

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


class SoftwareTriggerCorrelation:
    """Implements `Correlation` for a camera that the judge commands."""

    exposes = True

    def __init__(self, *, window_ns: int) -> None:
        self._window_ns = window_ns
        self._windows: deque[Window] = deque(maxlen=MAX_EDGES)
        self._resyncs = 0

    @property
    def resyncs(self) -> int:
        """Return how often number and time contradicted each other."""
        return self._resyncs

    def edge(self, edge: Edge) -> list[Finding]:
        """Take note of a trigger; it takes back what was exposed after it for an older part."""
        window = Window(edge=edge, until_ns=edge.observed_after_ns + self._window_ns)
        robbed = [
            each
            for each in self._windows
            if each.exposure_ns is not None and each.exposure_ns >= edge.observed_after_ns
        ]
        self._windows.append(window)
        if not robbed:
            return []
        return self._doubt([*robbed, window], "matched frame is younger than a trigger")

    def frame(self, frame: Frame) -> list[Finding]:
        """Take note of a frame: it is matched with the part that it names, or discarded."""
        named = self._window_of(frame.trigger_id)
        if named is None:
            return [discarded(frame, "no part that was exposed for: a frame without a command")]
        shown = self._shown(frame)
        if shown is not named:
            why = f"named part {frame.trigger_id}, but not exposed at its time"
            concerned = [named] if shown is None else [named, shown]
            return [*self._doubt(concerned, why), discarded(frame, why)]
        if frame.received_ns > named.until_ns:
            return [discarded(frame, "late: complete only after its part's frame window")]
        if not named.is_open:
            return self._again(named, frame)
        named.exposure_ns = frame.exposure_ns
        return [Finding(kind=Kind.MATCHED, trigger_id=frame.trigger_id, frame=frame)]

    def expire(self, now_ns: int) -> list[Finding]:
        """Forget old triggers."""
        while self._windows and self._windows[0].until_ns + MEMORY_NS < now_ns:
            self._windows.popleft()
        return []

    def reset(self, why: str) -> list[Finding]:
        """Do nothing: commands that a lost camera did not obey show as frames that do not come."""
        return []

    def restart(self, why: str) -> list[Finding]:
        """Forget all triggers: the PLC counts anew."""
        self._windows.clear()
        return []

    def _window_of(self, trigger_id: int | None) -> Window | None:
        found = (each for each in self._windows if each.edge.trigger_id == trigger_id)
        return next(found, None)

    def _shown(self, frame: Frame) -> Window | None:
        """Return the part that was there by time: that of the newest edge before the exposure."""
        before = (
            each
            for each in reversed(self._windows)
            if each.edge.observed_after_ns <= frame.exposure_ns
        )
        return next(before, None)

    def _again(self, named: Window, frame: Frame) -> list[Finding]:
        """Decide about a second frame for a part: a copy changes nothing, another exposure does."""
        if named.is_spent or named.exposure_ns == frame.exposure_ns:
            return [discarded(frame, "its part has had its frame")]
        why = "two exposures for one part"
        return [*self._doubt([named], why), discarded(frame, why)]

    def _doubt(self, windows: list[Window], why: str) -> list[Finding]:
        self._resyncs += 1
        return [doubtful(window, why) for window in windows]
