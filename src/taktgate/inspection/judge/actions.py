"""What the judge wants done: the loop does it, in this order, without waiting."""

from dataclasses import dataclass

from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.doorbell import Answer, Job
from taktgate.inspection.judge.parts import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Send this part's verdict on both lanes."""

    part: Part
    envelope: VerdictEnvelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Expose:
    """Have the camera expose for this part."""

    trigger_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Ring the bell of this runner."""

    runner: int
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """This slot holds no part's frame."""

    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The live model is through with this part's frame, and its verdict is out.

    What does not hold the line up may still look at the frame; then its slot is free.
    """

    part: Part
    slot: int
    answer: Answer | None
    """None when the model never answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """This runner hangs: end its process."""

    runner: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A part gets no verdict from any frame; for the log, since a reason does not say why."""

    trigger_id: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerMoved:
    """The station stops or starts judging, by what the model's answers are worth."""

    is_open: bool
    why: str


Action = Publish | Expose | Dispatch | Release | Done | Kill | Doubt | BreakerMoved
