"""Where an order stands: every transition of the stager, and what a restart means, in two tables.

Pure. The record is saved before the work of its phase begins, so after a power cut it says what was
under way, never more than was reached.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import STRICT_DOCUMENT
from taktgate.contracts.twins import ModelOrder, StagingPhase, TypedError
from taktgate.staging.errors import IllegalTransitionError

MAX_UNFINISHED: Final = 5
"""So often may the process die in one order's work before the order is given up."""


class Event(StrEnum):
    """What can happen to an order."""

    ORDERED = "ordered"
    """The twin asks for another model, or for the same one by another order."""
    WITHDRAWN = "withdrawn"
    """The twin asks for no model. What is staged stays."""
    FOUND = "found"
    """A slot holds the ordered bundle already."""
    FETCHED = "fetched"
    """The archive is complete on the disk."""
    DAMAGED = "damaged"
    """The slot that should hold it does not verify, or is gone."""
    POSTPONED = "postponed"
    """The world does not let us: later again."""
    REFUSED = "refused"
    """This order cannot be staged."""
    BARRED = "barred"
    """The digest was rolled back here under this order."""
    CLEARED = "cleared"
    """The rollback was taken off the list of blocked digests."""
    ANNOUNCED = "announced"
    """`announced.json` names the slot."""


P, E = StagingPhase, Event

TRANSITIONS: Final = {
    (P.IDLE, E.ORDERED): P.FETCHING,
    (P.IDLE, E.WITHDRAWN): P.IDLE,
    #
    (P.FETCHING, E.ORDERED): P.FETCHING,
    (P.FETCHING, E.WITHDRAWN): P.IDLE,
    (P.FETCHING, E.FOUND): P.VERIFYING,
    (P.FETCHING, E.FETCHED): P.VERIFYING,
    (P.FETCHING, E.POSTPONED): P.FETCHING,
    (P.FETCHING, E.REFUSED): P.FAILED,
    (P.FETCHING, E.BARRED): P.BLOCKED,
    #
    (P.VERIFYING, E.ORDERED): P.FETCHING,
    (P.VERIFYING, E.WITHDRAWN): P.IDLE,
    (P.VERIFYING, E.POSTPONED): P.FETCHING,
    (P.VERIFYING, E.REFUSED): P.FAILED,
    (P.VERIFYING, E.BARRED): P.BLOCKED,
    (P.VERIFYING, E.ANNOUNCED): P.STAGED,
    #
    (P.STAGED, E.ORDERED): P.FETCHING,
    (P.STAGED, E.WITHDRAWN): P.IDLE,
    (P.STAGED, E.DAMAGED): P.FETCHING,
    (P.STAGED, E.BARRED): P.BLOCKED,
    #
    (P.FAILED, E.ORDERED): P.FETCHING,
    (P.FAILED, E.WITHDRAWN): P.IDLE,
    #
    (P.BLOCKED, E.ORDERED): P.FETCHING,
    (P.BLOCKED, E.WITHDRAWN): P.IDLE,
    (P.BLOCKED, E.CLEARED): P.FETCHING,
}

RESUME: Final = {
    P.IDLE: P.IDLE,
    P.FETCHING: P.FETCHING,
    P.VERIFYING: P.FETCHING,  # half an unpacked bundle is worth nothing
    P.STAGED: P.STAGED,
    P.FAILED: P.FAILED,
    P.BLOCKED: P.BLOCKED,
}
"""The phase that a restart goes on with, for each saved one."""

AT_WORK: Final = frozenset({P.FETCHING, P.VERIFYING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the twin asks for, and where it lies. Any difference makes another order."""

    __pydantic_config__ = STRICT_DOCUMENT

    model: ModelOrder
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`staging.json`: the stager's memory across restarts."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str = CONTRACT_VERSION
    phase: StagingPhase = StagingPhase.IDLE
    request: Request | None = None
    error: TypedError | None = None
    unfinished: Annotated[int, Field(ge=0)] = 0
    """Restarts in a row that found this order's work begun and not ended."""


def next_phase(phase: StagingPhase, event: Event) -> StagingPhase:
    """Return the phase that *event* leads to.

    Raises:
        IllegalTransitionError: *phase* does not know *event*: a bug in the caller.
    """
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} while {phase}") from None


def ordered(record: Record, request: Request | None) -> Record:
    """Return *record* with *request* as its order; None withdraws the order.

    Raises:
        IllegalTransitionError: never, as every phase takes both events.
    """
    event = Event.WITHDRAWN if request is None else Event.ORDERED
    return Record(phase=next_phase(record.phase, event), request=request)


def after(record: Record, event: Event, *, error: TypedError | None = None) -> Record:
    """Return *record* after *event*; *error* says what went wrong, None that all is well.

    Raises:
        IllegalTransitionError: the phase of *record* does not know *event*: a bug in the caller.
    """
    phase = next_phase(record.phase, event)
    unfinished = record.unfinished if phase in AT_WORK and event is not E.POSTPONED else 0
    return replace(record, phase=phase, error=error, unfinished=unfinished)


def resumed(record: Record) -> Record:
    """Return what a restart makes of the saved *record*; a loop of crashes ends as FAILED."""
    phase = RESUME[record.phase]
    if phase not in AT_WORK:
        return replace(record, phase=phase)
    unfinished = record.unfinished + 1
    if unfinished <= MAX_UNFINISHED:
        return replace(record, phase=phase, unfinished=unfinished)
    error = TypedError(
        reason="RESTART_LOOP",
        message=f"the stager died {unfinished} times in a row in the work of this order",
        order=record.request.model.order if record.request else None,
    )
    return replace(record, phase=StagingPhase.FAILED, error=error, unfinished=0)
