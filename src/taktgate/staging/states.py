"""The life of an order: every transition of the stager, and what a restart means, in two tables.

Words and order are RAUC's: a *bundle* is checked, installed into a *slot* that is not in use, and
only then made known; to *mark good* is left to who has judged parts with it (inference). As in
Mender, the record is saved before the work of its phase begins, and the transitions of one order
are counted, so that no loop goes on for ever.

Pure. After a power cut the record says what was under way, never more than was reached.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import STRICT_DOCUMENT, Digest
from taktgate.contracts.twins import ModelOrder, PhaseStart, StagingPhase, TypedError
from taktgate.staging.errors import IllegalTransitionError

MAX_UNFINISHED: Final = 5
"""So often may the process die in one order's work, with no chunk more of its download to show for
it, before the order is given up."""
MAX_TRANSITIONS: Final = 56
"""So many transitions may one order make before it is given up when it would begin anew: twice
Mender's `kMaxStateDataStoreCount`, as ours counts inference's part of the way too."""


class Event(StrEnum):
    """What can happen to an order."""

    ORDERED = "ordered"
    """The twin asks for another model, or for the same one by another order."""
    WITHDRAWN = "withdrawn"
    """The twin asks for no model. What is staged stays."""
    HELD = "held"
    """The station says: not now."""
    RELEASED = "released"
    """Nothing holds it back any more."""
    FOUND = "found"
    """A slot claims to hold the ordered bundle already."""
    FETCHED = "fetched"
    """The archive is complete on the disk."""
    VERIFIED = "verified"
    """What the disk gives back is signed, whole, for this device and as the registry says."""
    ANNOUNCED = "announced"
    """It passed the smoke test, lies in its slot, and `announced.json` names it."""
    POSTPONED = "postponed"
    """The world does not let us: later again."""
    REFUSED = "refused"
    """This order cannot be staged."""
    DAMAGED = "damaged"
    """The slot that should hold it does not verify, or is gone."""
    TRIED = "tried"
    """Inference has it on trial."""
    CONFIRMED = "confirmed"
    """Inference has marked it good: it is last-known-good."""
    SET_ASIDE = "set_aside"
    """Inference neither tries it nor has it as last-known-good, and has not rolled it back."""
    BARRED = "barred"
    """The digest was rolled back here under this order."""
    CLEARED = "cleared"
    """The rollback was taken off the list of blocked digests."""


P, E = StagingPhase, Event

TRANSITIONS: Final = {
    (P.IDLE, E.ORDERED): P.FETCHING,
    (P.IDLE, E.WITHDRAWN): P.IDLE,
    #
    (P.HELD, E.ORDERED): P.FETCHING,
    (P.HELD, E.WITHDRAWN): P.IDLE,
    (P.HELD, E.RELEASED): P.FETCHING,
    #
    (P.FETCHING, E.ORDERED): P.FETCHING,
    (P.FETCHING, E.WITHDRAWN): P.IDLE,
    (P.FETCHING, E.HELD): P.HELD,
    (P.FETCHING, E.FOUND): P.VERIFYING,
    (P.FETCHING, E.FETCHED): P.VERIFYING,
    (P.FETCHING, E.POSTPONED): P.FETCHING,
    (P.FETCHING, E.REFUSED): P.FAILED,
    (P.FETCHING, E.BARRED): P.BLOCKED,
    #
    (P.VERIFYING, E.ORDERED): P.FETCHING,
    (P.VERIFYING, E.WITHDRAWN): P.IDLE,
    (P.VERIFYING, E.HELD): P.HELD,
    (P.VERIFYING, E.DAMAGED): P.FETCHING,
    (P.VERIFYING, E.VERIFIED): P.TESTING,
    (P.VERIFYING, E.POSTPONED): P.FETCHING,
    (P.VERIFYING, E.REFUSED): P.FAILED,
    (P.VERIFYING, E.BARRED): P.BLOCKED,
    #
    (P.TESTING, E.ORDERED): P.FETCHING,
    (P.TESTING, E.WITHDRAWN): P.IDLE,
    (P.TESTING, E.HELD): P.HELD,
    (P.TESTING, E.ANNOUNCED): P.STAGED,
    (P.TESTING, E.POSTPONED): P.FETCHING,
    (P.TESTING, E.REFUSED): P.FAILED,
    (P.TESTING, E.BARRED): P.BLOCKED,
    #
    (P.STAGED, E.ORDERED): P.FETCHING,
    (P.STAGED, E.WITHDRAWN): P.IDLE,
    (P.STAGED, E.DAMAGED): P.FETCHING,
    (P.STAGED, E.TRIED): P.TRIAL,
    (P.STAGED, E.CONFIRMED): P.CONFIRMED,  # between two looks, or it was live already
    (P.STAGED, E.BARRED): P.BLOCKED,
    #
    (P.TRIAL, E.ORDERED): P.FETCHING,
    (P.TRIAL, E.WITHDRAWN): P.IDLE,
    (P.TRIAL, E.DAMAGED): P.FETCHING,
    (P.TRIAL, E.CONFIRMED): P.CONFIRMED,
    (P.TRIAL, E.SET_ASIDE): P.STAGED,
    (P.TRIAL, E.BARRED): P.BLOCKED,
    #
    (P.CONFIRMED, E.ORDERED): P.FETCHING,
    (P.CONFIRMED, E.WITHDRAWN): P.IDLE,
    (P.CONFIRMED, E.DAMAGED): P.FETCHING,
    (P.CONFIRMED, E.TRIED): P.TRIAL,
    (P.CONFIRMED, E.SET_ASIDE): P.STAGED,  # an operator of the station chose another model
    (P.CONFIRMED, E.BARRED): P.BLOCKED,  # a guardrail struck after the trial
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
    P.HELD: P.HELD,
    P.FETCHING: P.FETCHING,
    P.VERIFYING: P.FETCHING,  # half an unpacked bundle is worth nothing
    P.TESTING: P.FETCHING,  # what died with a test is not said to have passed it
    P.STAGED: P.STAGED,
    P.TRIAL: P.TRIAL,
    P.CONFIRMED: P.CONFIRMED,
    P.FAILED: P.FAILED,
    P.BLOCKED: P.BLOCKED,
}
"""The phase that a restart goes on with, for each saved one."""

AT_WORK: Final = frozenset({P.FETCHING, P.VERIFYING, P.TESTING})
ANNOUNCED: Final = frozenset({P.STAGED, P.TRIAL, P.CONFIRMED})
"""The phases in which `announced.json` is about this order; inference's record says which one."""
STANDINGS: Final = {
    P.STAGED: E.SET_ASIDE,
    P.TRIAL: E.TRIED,
    P.CONFIRMED: E.CONFIRMED,
    P.BLOCKED: E.BARRED,
}
"""The event that leads from one of the phases ANNOUNCED to where inference has the model."""
_UNCOUNTED: Final = frozenset({E.HELD, E.RELEASED})
"""People, clocks and the line make holds, and there is no work in one. What a hold made of no avail
is no loop of ours either: a line that stops often may do that every minute."""


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
    course: tuple[PhaseStart, ...] = ()
    """The phases under this order; the journal knows the time, and keeps it."""
    error: TypedError | None = None
    unfinished: Annotated[int, Field(ge=0)] = 0
    """Restarts in a row that found its work begun, not ended, and no further than before."""
    fetched_chunks: Annotated[int, Field(ge=0)] = 0
    """So many chunks of its download were there at most when a restart looked."""
    transitions: Annotated[int, Field(ge=0)] = 0
    """Changes of phase under this order since its last hold, holds apart."""
    barred: Digest | None = None
    """What was rolled back here under this order: it stays BLOCKED until that is cleared."""


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


def after(
    record: Record, event: Event, *, error: TypedError | None = None, barred: str | None = None
) -> Record:
    """Return *record* after *event*; *error* says what went wrong, None that all is well.

    *barred* is the digest that a BARRED is about.

    An order that would begin its work anew once too often is FAILED instead: see `given_up`.

    Raises:
        IllegalTransitionError: the phase of *record* does not know *event*: a bug in the caller.
    """
    phase = next_phase(record.phase, event)
    is_counted = phase is not record.phase and event not in _UNCOUNTED
    transitions = 0 if event is E.HELD else record.transitions + is_counted
    if is_counted and phase is StagingPhase.FETCHING and transitions > MAX_TRANSITIONS:
        return given_up(record, "TRANSITION_LOOP", f"{transitions} transitions, and no end", error)
    unfinished = record.unfinished if phase in AT_WORK and event is not E.POSTPONED else 0
    return replace(
        record,
        phase=phase,
        error=error,
        unfinished=unfinished,
        transitions=transitions,
        barred=barred,
    )


def resumed(record: Record, *, fetched_chunks: int = 0) -> Record:
    """Return what a restart makes of the saved *record*; a loop of crashes ends as FAILED.

    A restart that finds more of the download than any before it, *fetched_chunks*, is none of a
    loop: the count begins anew. That ends too, as a bundle has so many chunks and no more.
    """
    phase = RESUME[record.phase]
    if phase not in AT_WORK:
        return replace(record, phase=phase)
    if record.request is None:
        return Record()  # no code of ours leaves this; without an order there is no work
    is_further = fetched_chunks > record.fetched_chunks
    unfinished = 1 if is_further else record.unfinished + 1
    if unfinished <= MAX_UNFINISHED:
        most = max(fetched_chunks, record.fetched_chunks)
        return replace(record, phase=phase, unfinished=unfinished, fetched_chunks=most)
    times = f"the stager died {unfinished} times in a row in the work of this order"
    return given_up(record, "RESTART_LOOP", times)


def given_up(record: Record, reason: str, message: str, cause: TypedError | None = None) -> Record:
    """Return *record* as FAILED for *reason*; a new order begins with all counters at zero."""
    if cause is not None:
        message = f"{message}; last: {cause.reason}: {cause.message}"[:500]
    error = TypedError(
        reason=reason,
        message=message,
        order=record.request.model.order if record.request else None,
    )
    return Record(
        phase=StagingPhase.FAILED, request=record.request, course=record.course, error=error
    )
