"""One part at the writer: its states, and the only ways from one to the next."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.plc.contract.records import ResultRecord
from taktgate.plc.errors import IllegalTransitionError


class PartState(StrEnum):
    """Where a part stands. Every state but OPEN is closed, and no way leads back to OPEN."""

    OPEN = "open"
    """Waits for its verdict."""
    DUE = "due"
    """Decided; the result is to be written."""
    WRITTEN = "written"
    """The PLC has confirmed the write; its program has not acknowledged the result yet."""
    SETTLED = "settled"
    """Nothing more is expected: its program has acknowledged the result, or will not."""
    LOST = "lost"
    """Decided or given up while the link died, or too late to be changed: what the PLC made of it
    is unknown."""


class PartEvent(StrEnum):
    """What may happen to a part."""

    DECIDED = "decided"
    CONFIRMED = "confirmed"
    """By the PLC's reply to the write."""
    REPEATED = "repeated"
    """What came of the write is unknown, and the very same result may be written again."""
    OVERRULED = "overruled"
    """A reject takes the place of what was decided before; a PASS never does."""
    CLOSED = "closed"
    """AckSeq named the result, or will not any more."""
    LINK_LOST = "link_lost"


TRANSITIONS: Final = {
    (PartState.OPEN, PartEvent.DECIDED): PartState.DUE,
    (PartState.OPEN, PartEvent.LINK_LOST): PartState.LOST,
    (PartState.DUE, PartEvent.CONFIRMED): PartState.WRITTEN,
    (PartState.DUE, PartEvent.REPEATED): PartState.DUE,
    (PartState.DUE, PartEvent.OVERRULED): PartState.DUE,
    (PartState.DUE, PartEvent.LINK_LOST): PartState.LOST,
    (PartState.WRITTEN, PartEvent.OVERRULED): PartState.DUE,
    (PartState.WRITTEN, PartEvent.CLOSED): PartState.SETTLED,
    (PartState.SETTLED, PartEvent.OVERRULED): PartState.DUE,
    (PartState.LOST, PartEvent.REPEATED): PartState.DUE,
    (PartState.LOST, PartEvent.OVERRULED): PartState.DUE,
    (PartState.LOST, PartEvent.CLOSED): PartState.SETTLED,
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
    """Counted from the earlier end of the interval: a PASS has to be confirmed before it."""
    state: PartState = PartState.OPEN
    decision: Decision | None = None
    queue_depth: int = 0
    """Parts that were still open when it was decided."""
    record: ResultRecord | None = None
    """What was sent for its present decision; None while nothing was."""
    sequence: int = 0
    """SeqBegin of its newest result; 0 while none was sent."""
    retries: int = 0
    """How often a result of it was sent again."""
    continued_in: int | None = None
    """A later epoch that was proven to continue its own: its result may go out there too."""
    pass_went_out: bool = False
    """A PASS was sent for it, whatever was decided since."""
    was_found: bool = False
    """It was there when the writer came: an earlier start may have answered for it."""
    was_lost: bool = False
    """The link died with it: what was sent for it may still be executed, at any time."""
    confirmed_ns: int | None = None
    """When the PLC's reply to the write came."""

    @property
    def holds_pass(self) -> bool:
        """True while the PASS that closed it stands."""
        return self.decision is not None and self.decision.is_pass

    @property
    def is_certain(self) -> bool:
        """Tell whether the confirmed result is surely what the PLC's program goes by.

        A reject is, where no PASS was ever sent. Otherwise it has to be confirmed in time, and no
        write may be adrift that could still take its place; then only AckSeq can tell.
        """
        may_pass = self.holds_pass or self.pass_went_out or self.was_found
        if self.confirmed_ns is None:
            return False
        return not may_pass or (self.confirmed_ns < self.deadline_ns and not self.was_lost)

    def can_be_confirmed(self, now_ns: int, *, reserve_ns: int) -> bool:
        """Tell whether a result sent now can be confirmed by its deadline."""
        return now_ns + reserve_ns <= self.deadline_ns

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


def decide(part: Part, decision: Decision, *, queue_depth: int = 0) -> Part:
    """Return *part*, closed with its first decision.

    Raises:
        IllegalTransitionError: it is closed already.
    """
    state = advance(part.state, PartEvent.DECIDED)
    return replace(part, state=state, decision=decision, queue_depth=queue_depth)


def send(part: Part, record: ResultRecord) -> Part:
    """Return *part* with *record* on its way, for the first time or again."""
    return replace(
        part,
        retries=part.retries + (part.record is not None),
        record=record,
        sequence=record.sequence,
        pass_went_out=part.pass_went_out or part.holds_pass,
    )


def confirm(part: Part, now_ns: int) -> Part:
    """Return *part* after the PLC's reply to the write, at *now_ns*.

    Raises:
        IllegalTransitionError: no result was on its way.
    """
    return replace(part, state=advance(part.state, PartEvent.CONFIRMED), confirmed_ns=now_ns)


def repeat(part: Part, epoch: int) -> Part:
    """Return *part* with its decision due once more, in *epoch*: the same result, if one was sent.

    Raises:
        IllegalTransitionError: nothing is unknown about it.
    """
    return replace(part, state=advance(part.state, PartEvent.REPEATED), continued_in=epoch)


def overrule(part: Part, decision: Decision) -> Part:
    """Return *part* with a reject in the place of its earlier decision.

    Raises:
        IllegalTransitionError: it is open, or *decision* is a PASS.
    """
    if decision.is_pass:
        raise IllegalTransitionError("a PASS overrules nothing")
    state = advance(part.state, PartEvent.OVERRULED)
    return replace(part, state=state, decision=decision, record=None, confirmed_ns=None)


def close(part: Part) -> Part:
    """Return *part* after its acknowledge, or when none is waited for any more.

    Raises:
        IllegalTransitionError: no result of it was written.
    """
    return replace(part, state=advance(part.state, PartEvent.CLOSED))


def lose(part: Part) -> Part:
    """Return *part* after its fate became unknown; an open one was given up as RESTARTED.

    Raises:
        IllegalTransitionError: its result was confirmed before.
    """
    decision = part.decision or no_decision(Reason.RESTARTED)
    state = advance(part.state, PartEvent.LINK_LOST)
    return replace(part, state=state, decision=decision, was_lost=True)
