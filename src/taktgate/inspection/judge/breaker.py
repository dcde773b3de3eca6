"""The breaker: a model that gives no usable answer, part after part, takes the station out of work.

While it is open the writer sets Ready = 0 and the triggers that still come are answered NOT_READY
at once. After a pause, doubled each time up to a limit, it is half-open: the station says that it
is ready and lets one part through; a usable answer closes the breaker, anything the model does
wrong opens it again. The part let through is judged like any other, by its own frame and its own
deadline, so a try costs one reject at most and never an escape.

It tries with a part, and not with an image put by, since a PLC that obeys Ready sends no more
triggers, and since a frame that the model failed on once would keep it from ever coming back.
A usable answer that still comes for a part from before closes it too. Pure.
"""

from enum import StrEnum
from typing import Final

from taktgate.contracts.verdict import Reason
from taktgate.edge.clock import SECOND
from taktgate.inspection.decision.rule import NO_USABLE_ANSWER

FIRST_PAUSE_NS: Final = 1 * SECOND
LONGEST_PAUSE_NS: Final = 8 * SECOND
USABLE: Final = frozenset({Reason.NONE, Reason.UNCERTAIN, Reason.IMAGE_FROZEN})
"""Reasons of verdicts that the model's scores stand behind."""


class State(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "halfOpen"
    """Waits for a part to try the model with."""
    TRYING = "trying"


class Event(StrEnum):
    """What moves it."""

    USABLE = "usable"
    FAILED = "failed"
    """In CLOSED: so many parts in a row as the station allows."""
    LEARNT_NOTHING = "learntNothing"
    """The part that was let through ended by no doing of the model: no frame, a dark image."""
    PAUSE_OVER = "pauseOver"
    ADMITTED = "admitted"
    MODEL_CHANGED = "modelChanged"


TRANSITIONS: Final = {
    (State.CLOSED, Event.USABLE): State.CLOSED,
    (State.CLOSED, Event.FAILED): State.OPEN,
    (State.OPEN, Event.USABLE): State.CLOSED,
    (State.OPEN, Event.FAILED): State.OPEN,
    (State.OPEN, Event.PAUSE_OVER): State.HALF_OPEN,
    (State.HALF_OPEN, Event.USABLE): State.CLOSED,
    (State.HALF_OPEN, Event.FAILED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.ADMITTED): State.TRYING,
    (State.TRYING, Event.USABLE): State.CLOSED,
    (State.TRYING, Event.FAILED): State.OPEN,
    (State.TRYING, Event.LEARNT_NOTHING): State.HALF_OPEN,
    **{(state, Event.MODEL_CHANGED): State.CLOSED for state in State},
}


class Breaker:
    """Counts the verdicts of the live model. `CLOSED` is the only state in which all parts go."""

    def __init__(self, limit: int) -> None:
        """Open after *limit* parts in a row without a usable answer."""
        self._limit = limit
        self._failures = 0
        self._pause_ns = FIRST_PAUSE_NS
        self._open_until_ns = 0
        self._tried: int | None = None
        self.state = State.CLOSED
        self.why = ""
        """Why it is not closed, for people."""

    def state_at(self, now_ns: int) -> State:
        """Return where it stands now: a pause that is over has half opened it."""
        if self.state is State.OPEN and now_ns >= self._open_until_ns:
            self._move(Event.PAUSE_OVER, now_ns)
        return self.state

    def admits(self, trigger_id: int, now_ns: int) -> bool:
        """Tell whether this part may be judged; in a half-open state it is the one that tries."""
        state = self.state_at(now_ns)
        if state is State.HALF_OPEN:
            self._tried = trigger_id
            self._move(Event.ADMITTED, now_ns)
            return True
        return state is State.CLOSED

    def saw(self, trigger_id: int, reason: Reason, now_ns: int) -> bool:
        """Take note of the end of one of the live model's parts.

        Returns:
            True when it has closed or is no longer closed by that.
        """
        was_closed = self.state is State.CLOSED
        is_tried = self.state_at(now_ns) is State.TRYING and trigger_id == self._tried
        if reason in USABLE:
            self._failures = 0
            self._move(Event.USABLE, now_ns)
        elif reason in NO_USABLE_ANSWER:
            self._fail(reason, now_ns, is_tried=is_tried)
        elif is_tried:
            self._move(Event.LEARNT_NOTHING, now_ns)
        return was_closed is not (self.state is State.CLOSED)

    def model_changed(self, now_ns: int) -> bool:
        """Forget what was held against the model before; return True when that closed it."""
        was_closed, self._failures = self.state is State.CLOSED, 0
        self._move(Event.MODEL_CHANGED, now_ns)
        return not was_closed

    def _fail(self, reason: Reason, now_ns: int, *, is_tried: bool) -> None:
        self._failures += 1
        if self.state is State.CLOSED and self._failures < self._limit:
            return
        if self.state is State.TRYING and not is_tried:
            return  # a part from before: it says nothing new
        self.why = f"no usable answer for {self._failures} parts in a row, the last {reason}"
        self._move(Event.FAILED, now_ns)

    def _move(self, event: Event, now_ns: int) -> None:
        before, self.state = self.state, TRANSITIONS[self.state, event]
        if self.state is State.OPEN and before is not State.OPEN:
            self._pause_ns = (
                FIRST_PAUSE_NS
                if before is State.CLOSED
                else min(2 * self._pause_ns, LONGEST_PAUSE_NS)
            )
            self._open_until_ns = now_ns + self._pause_ns
        if self.state is State.CLOSED:
            self.why = ""
