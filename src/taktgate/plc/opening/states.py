"""`VIS01_Sts.State` and what leads from one to another: the one table of the writer's states."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from taktgate.plc.contract.tags import WriterState
from taktgate.plc.errors import IllegalTransitionError


class Event(StrEnum):
    """What changes the writer's state."""

    SOUGHT = "sought"
    """The writer looks for its controller."""
    VERIFIED = "verified"
    """A full check found our tags at the controller."""
    MISMATCHED = "mismatched"
    """A full check found other tags than ours, or another device."""
    OWNED = "owned"
    """A session is open, and the status tag is ours to write."""
    READY = "ready"
    """Nothing keeps a verdict from being expected for the next part."""
    NOT_READY = "not_ready"
    """Something does: the judge, the PLC's program, or its deadline."""
    LOST = "lost"
    """There is no session, or the status tag is another's until it proves dead."""
    BROKEN = "broken"
    """The writer ends in trouble: another writer is at work, or a bug."""
    STOPPED = "stopped"
    """The writer was told to end."""


_ANYWHERE: Final[Mapping[Event, WriterState]] = {
    Event.BROKEN: WriterState.FAULT,
    Event.STOPPED: WriterState.INIT,
}
_IN_SESSION: Final[Mapping[Event, WriterState]] = {
    Event.READY: WriterState.RUN,
    Event.NOT_READY: WriterState.DEGRADED,
    Event.LOST: WriterState.CONNECTING,
}
_TABLE: Final[Mapping[WriterState, Mapping[Event, WriterState]]] = {
    WriterState.INIT: {
        Event.SOUGHT: WriterState.CONNECTING,
        Event.LOST: WriterState.INIT,
    },
    WriterState.CONNECTING: {
        Event.VERIFIED: WriterState.CONNECTING,
        Event.MISMATCHED: WriterState.FAULT,
        Event.OWNED: WriterState.DEGRADED,
        Event.LOST: WriterState.CONNECTING,
    },
    WriterState.RUN: _IN_SESSION,
    WriterState.DEGRADED: _IN_SESSION,
    WriterState.FAULT: {
        Event.VERIFIED: WriterState.CONNECTING,
        Event.MISMATCHED: WriterState.FAULT,
    },
}
TRANSITIONS: Final[Mapping[tuple[WriterState, Event], WriterState]] = {
    (state, event): target
    for state, own in _TABLE.items()
    for event, target in {**_ANYWHERE, **own}.items()
}
"""Every pair that may happen. A session is opened DEGRADED: RUN has to be shown each time anew.

LOST while INIT is the farewell of a writer that was told to end.
"""


def advance(state: WriterState, event: Event) -> WriterState:
    """Return the state that *event* leads to.

    Raises:
        IllegalTransitionError: a bug in the caller. It ends the writer, and the PLC rejects.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} while {state.name}") from None


class Progress:
    """Where one start of the writer stands."""

    def __init__(self, state: WriterState = WriterState.INIT) -> None:
        self.state = state

    def note(self, event: Event) -> None:
        """Take note of *event*.

        Raises:
            IllegalTransitionError: it cannot happen here: a bug in the caller.
        """
        self.state = advance(self.state, event)

    @property
    def is_in_session(self) -> bool:
        """True while a session is open and the tags are ours to write."""
        return self.state in (WriterState.RUN, WriterState.DEGRADED)
