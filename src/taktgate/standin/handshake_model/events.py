"""What a move makes happen: all that the properties look at."""

from typing import NamedTuple

from taktgate.contracts.outcome import Outcome
from taktgate.plc.handshake.admission import Cause
from taktgate.standin.handshake_model.facts import NOBODY, Result, Sheet
from taktgate.standin.handshake_model.plc_program import Arrived, Gated, Scanned


class Used(NamedTuple):
    """A verdict was handed over; `serial` is of the part that the rules held it against."""

    sheet: Sheet
    cause: Cause | None
    serial: int = NOBODY


class WentOut(NamedTuple):
    """A request was made up."""

    results: tuple[Result, ...]
    is_ready: bool


class Reported(NamedTuple):
    """An outcome went on record; `serial` is of the part that the writer means."""

    outcome: Outcome
    serial: int


class Opened(NamedTuple):
    """A reading was taken in: these parts wait for their verdict, as (epoch, TriggerId)."""

    parts: tuple[tuple[int, int], ...]


class Crashed(NamedTuple):
    """The rules met a state that they hold impossible."""

    words: str


Event = Crashed | Arrived | Gated | Scanned | Used | WentOut | Reported | Opened
