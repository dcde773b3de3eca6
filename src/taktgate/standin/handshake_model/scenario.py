"""A scenario: what may go wrong, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from taktgate.standin.handshake_model.leads import Lead
from taktgate.standin.handshake_model.plc_program import Presets


class Fault(IntEnum):
    """What a scenario allows a number of times. The number is the index into `World.budget`."""

    LOSS = 0
    """The session is lost, with the reply to whatever was under way."""
    SLOW = 1
    """An exchange takes its time: the world goes on between request, execution and reply."""
    GHOST = 2
    """The request of a lost session may still be executed, any time later."""
    TORN = 3
    """A result is copied in two parts, and the program may run in between."""
    JUDGE_STOPS = 4
    JUDGE_RESTARTS = 5
    TWICE = 6
    """A part is judged again: after a restart, or by the model that was swapped in."""
    WRITER_RESTARTS = 7
    REBOOT = 8
    """The host starts again; edgeHub's queue survives."""
    PLC_RESTARTS = 9
    PLC_RENUMBERS = 10
    """It restarts and numbers its parts from elsewhere."""
    PROGRAM = 11
    """The keyswitch is turned to Program, and back."""
    HELD_BEAT = 12
    """edgeHub keeps a beat back and delivers it later."""
    FLAW = 13
    """The judge is out of order: see `Flaw`."""
    HELD_UP = 14
    """The writer misses its turn for a whole step."""
    PLC_GOES_ON = 15
    """It restarts and numbers its parts on from where it stood."""
    UNDONE = 16
    """The controller confirms a write that it has not executed."""


class Haste(Enum):
    """Who does what can be done before time goes on. The faults of a scenario strike all the same.

    Without haste a verdict, a scan or a new start of the writer may come at any later step, or
    never; with it a scenario with several faults becomes small enough to be seen to its end.
    """

    NONE = "nobody"
    SIDES = "the writer and the judge, but not the network"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One bounded world.

    Attributes:
        parts: How many come at most.
        jumps: By how much TriggerId may rise with the first part, the second, and so on; the last
            entry holds for all others. 2 skips an id, 8 comes back to the same slot.
        idle_steps: How long the line may stay empty before the run ends.
        early_steps: How long it may stay empty before the first part.
        haste: Who is prompt.
        lead: Moves that the search begins after; a deep search begins before them.
        is_silent: The judge may say nothing about a part.
        has_local_lane: Verdicts also come by the local lane.
        reads_back: The writer reads each result slot again after its write.
    """

    name: str
    words: str
    parts: int = 1
    faults: Mapping[Fault, int] = field(default_factory=dict)
    jumps: tuple[tuple[int, ...], ...] = ((1,),)
    verdicts: tuple[bool, ...] = (True, False)
    presets: Presets = Presets()  # noqa: RUF009 - a tuple of numbers
    idle_steps: int = 2
    early_steps: int = 0
    reserve_steps: int = 1
    haste: Haste = Haste.NONE
    lead: Lead = ()
    is_silent: bool = False
    has_local_lane: bool = True
    has_hub_lane: bool = True
    reads_back: bool = False

    def budget(self) -> tuple[int, ...]:
        """Return how often each fault may happen, by its number."""
        return tuple(self.faults.get(fault, 0) for fault in Fault)
