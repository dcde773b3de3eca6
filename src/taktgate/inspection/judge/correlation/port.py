"""What a strategy of correlation is told, and what it answers. A pure state machine each."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from taktgate.edge.clock import SECOND
from taktgate.inspection.frames.camera import Frame

MEMORY_NS: Final = 5 * SECOND
"""How long a trigger is remembered beyond its window, to know its late frame by."""
MAX_EDGES: Final = 64


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


class Correlation(Protocol):
    """Pairs the frames of one camera with the triggers of one PLC.

    Whatever is lost, doubled, swapped, late or extra: a part is matched with its own frame or with
    none. What contradicts itself is doubt, costs exactly the parts concerned, and is forgotten.
    """

    @property
    def exposes(self) -> bool:
        """Return True when the judge must have the camera expose at each edge."""
        ...

    @property
    def resyncs(self) -> int:
        """Return how often frames and triggers had to be matched anew."""
        ...

    def edge(self, edge: Edge) -> list[Finding]:
        """Take note of a trigger; frames that came before it was seen may match now."""
        ...

    def frame(self, frame: Frame) -> list[Finding]:
        """Take note of a frame: it is matched, set aside for a trigger yet unseen, or discarded."""
        ...

    def expire(self, now_ns: int) -> list[Finding]:
        """Give up frames whose trigger should have been seen by now, and forget old triggers."""
        ...

    def reset(self, why: str) -> list[Finding]:
        """Forget what was learnt about the camera's numbering, and all frames set aside."""
        ...

    def restart(self, why: str) -> list[Finding]:
        """Forget everything: the PLC counts anew."""
        ...


@dataclass(slots=True, kw_only=True)
class Window:
    """An edge, the time in which its frame must come, and what has become of it."""

    edge: Edge
    until_ns: int
    exposure_ns: int | None = None
    """Of the frame that was matched."""
    is_spent: bool = False
    """No frame may judge its part any more."""

    @property
    def is_open(self) -> bool:
        """Return True while its frame may still come."""
        return self.exposure_ns is None and not self.is_spent

    def holds(self, frame: Frame) -> bool:
        """Tell whether *frame* was exposed after the trigger can have happened, and came in time.

        The window counts from the earlier end of the edge's interval as well: a trigger that a host
        in a stall saw late must not reach out for the frame of the next.
        """
        return (
            frame.exposure_ns >= self.edge.observed_after_ns and frame.received_ns <= self.until_ns
        )


def discarded(frame: Frame, why: str) -> Finding:
    """Return that *frame* shows no part that can be named."""
    return Finding(kind=Kind.DISCARDED, frame=frame, why=why)


def doubtful(window: Window, why: str) -> Finding:
    """Spend *window*, and return that no frame may judge its part any more."""
    window.is_spent = True
    return Finding(kind=Kind.DOUBTFUL, trigger_id=window.edge.trigger_id, why=why)
