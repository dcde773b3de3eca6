"""What the pool of runners tells the judge's loop."""

from dataclasses import dataclass

from taktgate.inspection.control import Ready, Refused
from taktgate.inspection.doorbell import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class CameUp:
    """A runner can judge. One that takes over comes up before the one before it goes down."""

    runner: int
    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A runner has answered a job."""

    runner: int
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDown:
    """A runner will not judge with its model, and is no more."""

    runner: int
    digest: str
    refused: Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class WentDown:
    """A runner is no more. Of a standby the judge has never heard before."""

    runner: int
    digest: str
    why: str
    was_killed: bool


RunnerEvent = CameUp | Answered | TurnedDown | WentDown
