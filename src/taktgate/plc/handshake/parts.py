"""One part at the writer: its states, and the only ways from one to the next."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.plc.errors import IllegalTransitionError


class PartState(StrEnum):
    """Where a part stands. Every state but OPEN is closed, and no way leads back to OPEN."""

    OPEN = "open"
    """Waits for its verdict."""
    DUE = "due"
    """Decided; the result is to be written."""
    SETTLED = "settled"
    """The PLC has confirmed the result."""
    LOST = "lost"
    """Decided or given up while the link died, or confirmed too late to be changed: what the PLC
    made of it is unknown."""


class PartEvent(StrEnum):
    """What may happen to a part."""

    DECIDED = "decided"
    CONFIRMED = "confirmed"
    OVERRULED = "overruled"
    """A reject takes the place of what was decided before; a PASS never does."""
    LINK_LOST = "link_lost"


TRANSITIONS: Final = {
    (PartState.OPEN, PartEvent.DECIDED): PartState.DUE,
    (PartState.OPEN, PartEvent.LINK_LOST): PartState.LOST,
    (PartState.DUE, PartEvent.CONFIRMED): PartState.SETTLED,
    (PartState.DUE, PartEvent.OVERRULED): PartState.DUE,
    (PartState.DUE, PartEvent.LINK_LOST): PartState.LOST,
    (PartState.SETTLED, PartEvent.OVERRULED): PartState.DUE,
    (PartState.LOST, PartEvent.OVERRULED): PartState.DUE,
    (PartState.LOST, PartEvent.CONFIRMED): PartState.SETTLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the writer answers for one part, and the envelope it rests on, if any."""

    verdict: Verdict
    reason: Reason
    lane: Lane = Lane.WRITER
    envelope: VerdictEnvelope | None = None

    @property
    def is_pass(self) -> bool:
        """True for the one decision that lets a part through."""
        return self.verdict is Verdict.PASS


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part. It was triggered after `trigger_ns` and not later than `observed_ns`."""

    epoch: int
    trigger_id: int
    trigger_ns: int
    observed_ns: int
    deadline_ns: int
    """Counted from the earlier end of the interval: a PASS has to be confirmed by then."""
    state: PartState = PartState.OPEN
    decision: Decision | None = None
    sequence: int = 0
    """SeqBegin of its newest result; 0 while none was written."""
    pass_went_out: bool = False
    """A PASS was sent for it, whatever was decided since."""

    @property
    def holds_pass(self) -> bool:
        """True while the PASS that closed it stands."""
        return self.decision is not None and self.decision.is_pass

    def can_be_revoked(self, now_ns: int) -> bool:
        """Tell whether a reject may still come before the PLC's own deadline.

        That one counts from the trigger itself, so perhaps from the later end of the interval.
        """
        return now_ns <= self.deadline_ns + self.observed_ns - self.trigger_ns


def no_decision(reason: Reason, lane: Lane = Lane.WRITER) -> Decision:
    """Return the writer's own answer for a part that has none."""
    return Decision(verdict=Verdict.NO_DECISION, reason=reason, lane=lane)


def expired(decision: Decision) -> Decision:
    """Return the LATE that takes the place of *decision*."""
    return replace(decision, verdict=Verdict.LATE, reason=Reason.EXPIRED)


def advance(state: PartState, event: PartEvent) -> PartState:
    """Return the state that *event* leads to.

    Raises:
        IllegalTransitionError: the table has no such way: a bug in the caller.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransitionError(f"{event} while {state}") from None


def decide(part: Part, decision: Decision) -> Part:
    """Return *part*, closed with its first decision.

    Raises:
        IllegalTransitionError: it is closed already.
    """
    return replace(part, state=advance(part.state, PartEvent.DECIDED), decision=decision)


def overrule(part: Part, decision: Decision) -> Part:
    """Return *part* with a reject in the place of its earlier decision.

    Raises:
        IllegalTransitionError: it is open, or *decision* is a PASS.
    """
    if decision.is_pass:
        raise IllegalTransitionError("a PASS overrules nothing")
    return replace(part, state=advance(part.state, PartEvent.OVERRULED), decision=decision)


def confirm(part: Part) -> Part:
    """Return *part* after the PLC's confirmation: its reply to the write, or its AckSeq.

    Raises:
        IllegalTransitionError: no result was on its way.
    """
    return replace(part, state=advance(part.state, PartEvent.CONFIRMED))


def lose(part: Part) -> Part:
    """Return *part* after its fate became unknown; an open one was given up as RESTARTED.

    Raises:
        IllegalTransitionError: its result was confirmed before.
    """
    decision = part.decision or no_decision(Reason.RESTARTED)
    return replace(part, state=advance(part.state, PartEvent.LINK_LOST), decision=decision)
