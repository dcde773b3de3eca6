"""The writer's rules, without I/O and without a clock: readings and verdicts in, results out.

    reading ──► parts are opened, skipped, or answered at once
    verdict ──► the part that it is bound to is decided
    time    ──► a part without a verdict is decided by the writer
    due     ──► results to write; `confirmed` or `link_lost` says what became of them

Only `verdict` can bring a PASS about, only for an OPEN part, and `due` looks at clock and epoch
once more before it goes out. A contradiction takes a PASS back for as long as the PLC may wait for
its deadline; after that nothing is written, and the record says what is known.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import Reason, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command, ResultRecord, SlotEcho
from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.plc.handshake.admission import (
    Cause,
    Place,
    Stranger,
    foreign,
    is_copy,
    mismatch,
    objection,
    stranger_of,
)
from taktgate.plc.handshake.delivery import Delivery, contradicted
from taktgate.plc.handshake.parts import (
    Decision,
    Part,
    PartState,
    decide,
    expired,
    no_decision,
    overrule,
)
from taktgate.plc.handshake.ring import PartRing
from taktgate.plc.handshake.watch import PlcLife, PlcWatch

MAX_DEADLINE_MS: Final = 10_000
NO_PART: Final = 0
"""TriggerId before the first part: nothing to answer for."""
OVERFLOW: Final = "overflow"


class Handshake:
    """All parts of one start of the writer, through as many sessions as it takes."""

    def __init__(
        self, *, place: Place, write_reserve_ns: int, choose_epoch: Callable[[], int]
    ) -> None:
        self._place = place
        self._reserve_ns = write_reserve_ns
        self._choose_epoch = choose_epoch
        self._ring = PartRing(station=place.station)
        self._command: Command | None = None
        self._is_first_read = True
        self._is_reopened = True
        self.epoch = choose_epoch()
        self.plc = PlcWatch()
        self.has_fault = False
        """Something happened that a person should look at; the PLC's Reset clears it."""
        self.counts: Counter[str] = Counter()
        """Results by verdict (see `Delivery`), and refused parts under OVERFLOW."""
        self._delivery = Delivery(self._ring, self.counts, write_reserve_ns=write_reserve_ns)

    def session_opened(self) -> None:
        """Begin a new epoch: the PLC may have done anything since the last session."""
        self._begin_epoch()
        self._is_reopened = True

    def continue_sequence(self, last_seq: int) -> None:
        """Number results from where the PLC's tag stands, unless we have numbered some already."""
        if self._delivery.last_sequence == 0:
            self._delivery.last_sequence = max(last_seq, 0)

    def read(self, command: Command, *, observed_after_ns: int, now_ns: int) -> bool:
        """Take in one reading; return True when TriggerId moved on since the one before."""
        before, self._command = self._command, command
        is_reset = command.reset and not (before is not None and before.reset)
        self.has_fault = self.has_fault and not is_reset
        is_continued = self._follow_program(before, command, now_ns)
        self._delivery.acknowledged(command.ack_seq, now_ns)
        if before is None or self._is_first_read:
            self._is_first_read = False
            self._resume(before, command, now_ns, is_continued=is_continued)
            return False
        if command.trigger_id == before.trigger_id:
            return False
        self._follow(before.trigger_id, command, observed_after_ns, now_ns)
        return True

    def verdict(self, envelope: VerdictEnvelope, lane: Lane, now_ns: int) -> Cause | None:
        """Take in one verdict; return why it was not used, or None when it was."""
        part = self._ring.find(envelope.trigger_id)
        # A PASS stands until the gate, also when a new epoch has begun since: its rivals count.
        epoch = part.epoch if part is not None and part.holds_pass else self.epoch
        cause = foreign(self._place, epoch, envelope, now_ns) or mismatch(envelope, part)
        if cause is Cause.CONTRACT:
            self.stranger(stranger_of(envelope), lane, now_ns)
        if cause is not None or part is None:
            return cause
        if part.state is not PartState.OPEN:
            return self._rival(part, envelope, lane, now_ns)
        objected = objection(envelope, part)
        if objected is not None:
            cause, reason = objected
            refused = replace(no_decision(reason, lane), envelope=envelope)
            self._decide(part, refused)
            return cause
        self._decide(part, self._judgement(part, envelope, lane, now_ns))
        return None

    def stranger(self, stranger: Stranger, lane: Lane, now_ns: int) -> None:
        """Answer for the part of which a judge of another contract spoke: it gets no PASS."""
        own = (self._place.station, self._place.kernel_boot_id)
        if (stranger.station, stranger.kernel_boot_id) != own:
            return
        for part in self._ring.parts():
            if (part.epoch, part.trigger_id) != (stranger.plc_epoch, stranger.trigger_id):
                continue
            if part.state is PartState.OPEN:
                self._decide(part, no_decision(Reason.CONTRACT, lane))
            elif part.holds_pass:
                self._contradict(part, lane, now_ns)

    def tick(self, now_ns: int) -> None:
        """Answer for every part whose judge stayed silent until the writer has to."""
        for part in self._ring.within(PartState.OPEN):
            if now_ns >= part.deadline_ns - self._reserve_ns:
                self._decide(part, no_decision(Reason.NO_VERDICT))

    def answer_open(self, reason: Reason) -> None:
        """Answer for every open part: its verdict could not be acted on any more."""
        for part in self._ring.within(PartState.OPEN):
            self._decide(part, no_decision(reason))

    def due(self, now_ns: int) -> tuple[ResultRecord, ...]:
        """Return the results to write now; a PASS that would come too late goes out as LATE."""
        return self._delivery.due(now_ns, epoch=self.epoch)

    def confirmed(
        self,
        records: Sequence[ResultRecord],
        now_ns: int,
        echoes: Sequence[SlotEcho] | None = None,
    ) -> None:
        """Take note of the PLC's reply to the write of *records*, at *now_ns*.

        *echoes* is what their slots held when they were read back after it; None where they were
        not. A difference is a write of unknown outcome; a second one for the part is a fault.
        """
        has_fault = self._delivery.confirmed(records, now_ns, epoch=self.epoch, echoes=echoes)
        self.has_fault = self.has_fault or has_fault

    def link_lost(self, now_ns: int) -> None:
        """Give up all that was open or on its way, until the PLC is seen again."""
        self._delivery.link_lost(now_ns)

    def take_outcomes(self) -> list[Outcome]:
        """Return what became of parts since the last call."""
        return self._ring.take_outcomes()

    @property
    def open_count(self) -> int:
        """How many parts wait for their verdict."""
        return len(self._ring.within(PartState.OPEN))

    @property
    def last_sequence(self) -> int:
        """SeqBegin of the newest result."""
        return self._delivery.last_sequence

    @property
    def unacknowledged_in_a_row(self) -> int:
        """How many results the PLC did not acknowledge since it last did."""
        return self._delivery.unacknowledged_in_a_row

    @property
    def has_due(self) -> bool:
        """True while a result waits to be written."""
        return bool(self._ring.within(PartState.DUE))

    @property
    def last_trigger_id(self) -> int:
        """The newest TriggerId that was read."""
        return NO_PART if self._command is None else self._command.trigger_id

    @property
    def deadline_is_valid(self) -> bool:
        """True while DeadlineMs is one that the contract of `line` allows."""
        return self._command is None or is_valid_deadline(self._command)

    def _begin_epoch(self) -> None:
        self.epoch = self._choose_epoch()
        self._is_first_read = True

    def _follow_program(self, before: Command | None, now: Command, now_ns: int) -> bool:
        """Look for signs of life; return True when a new session is proven to continue the last."""
        is_continued = self._is_reopened and self._proves_continuity(before, now, now_ns)
        if self._is_reopened and not is_continued:
            self.plc = PlcWatch()
        self._is_reopened = False
        was_interrupted = self.plc.observe(now.plc_heartbeat, now_ns)
        if was_interrupted or (before is not None and now.trigger_id < before.trigger_id):
            self._begin_epoch()
        if self.plc.life is PlcLife.STALLED:
            self.answer_open(Reason.NOT_READY)
        return is_continued

    def _proves_continuity(self, before: Command | None, now: Command, now_ns: int) -> bool:
        """Tell whether the PLC's program went on as it was since the last session, without doubt.

        Numbers and heartbeat go on, the heartbeat by as much as the time allows, and the PLC has
        not missed ours: a first scan waits for a change of it, and tells so by HbFault.
        """
        return (
            before is not None
            and now.trigger_id >= before.trigger_id
            and not now.hb_fault
            and self.plc.goes_on(now.plc_heartbeat, now_ns)
        )

    def _resume(
        self, before: Command | None, command: Command, now_ns: int, *, is_continued: bool
    ) -> None:
        """Answer for what was open while nobody looked: the first read of an epoch."""
        newest = command.trigger_id
        if before is None or not _went_on(before, command):
            self._ring.lose_all(now_ns)
            self._ring.clear()
            self._close_unseen(newest, Reason.RESTARTED, now_ns, now_ns)
            return
        self._delivery.resume(newest, now_ns, epoch=self.epoch, is_continued=is_continued)
        for missed in _newest_ids(before.trigger_id + 1, newest):
            self._close_unseen(missed, Reason.RESTARTED, now_ns, now_ns)

    def _follow(self, last: int, command: Command, observed_after_ns: int, now_ns: int) -> None:
        """Answer for the skipped parts, and open the new one."""
        *skipped, newest = _newest_ids(last + 1, command.trigger_id)
        for trigger_id in skipped:
            self._close_unseen(trigger_id, Reason.SKIPPED, observed_after_ns, now_ns)
        if not self._may_open(command):
            self._close_unseen(newest, Reason.NOT_READY, observed_after_ns, now_ns)
            return
        self.tick(now_ns)
        part = Part(
            epoch=self.epoch,
            trigger_id=newest,
            trigger_ns=observed_after_ns,
            observed_ns=now_ns,
            deadline_ns=observed_after_ns + command.deadline_ms * MILLISECOND,
        )
        if self._ring.can_take(newest):
            self._ring.add(part, now_ns)
        else:
            self._refuse(part, now_ns)

    def _may_open(self, command: Command) -> bool:
        is_stalled = self.plc.life is PlcLife.STALLED
        return command.enable and is_valid_deadline(command) and not is_stalled

    def _decide(self, part: Part, decision: Decision) -> None:
        self._ring.update(decide(part, decision, queue_depth=self.open_count - 1))

    def _close_unseen(self, trigger_id: int, reason: Reason, trigger_ns: int, now_ns: int) -> None:
        """Answer for a part that never was open here."""
        if trigger_id == NO_PART:
            return
        part = decide(
            Part(
                epoch=self.epoch,
                trigger_id=trigger_id,
                trigger_ns=trigger_ns,
                observed_ns=now_ns,
                deadline_ns=trigger_ns,
                was_found=reason is Reason.RESTARTED,
            ),
            no_decision(reason),
            queue_depth=self.open_count,
        )
        if self._ring.can_take(trigger_id):
            self._ring.add(part, now_ns)
        else:
            self._ring.report(part, now_ns, written=False)

    def _refuse(self, part: Part, now_ns: int) -> None:
        """Eight parts are open: the newest stays without a result, and the PLC rejects it."""
        self.counts[OVERFLOW] += 1
        self.has_fault = True
        refused = decide(part, no_decision(Reason.NOT_READY), queue_depth=self.open_count)
        self._ring.report(refused, now_ns, written=False)

    def _judgement(
        self, part: Part, envelope: VerdictEnvelope, lane: Lane, now_ns: int
    ) -> Decision:
        """Return the decision that *envelope* makes: what it says, or LATE.

        A PASS is late by its own deadline too: the judge may know of one that we do not.
        """
        decision = Decision(
            verdict=envelope.verdict, reason=envelope.reason, lane=lane, envelope=envelope
        )
        limit_ns = part.deadline_ns
        if decision.is_pass:
            limit_ns = min(limit_ns, envelope.deadline_ns)
        was_decided_late = envelope.decided_ns > limit_ns
        is_in_time = part.can_be_confirmed(now_ns, reserve_ns=self._reserve_ns)
        if was_decided_late or not is_in_time:
            return expired(decision)
        return decision

    def _rival(self, part: Part, envelope: VerdictEnvelope, lane: Lane, now_ns: int) -> Cause:
        """Deal with a second verdict for a closed part: reject wins, and a person should look."""
        decision = part.decision
        if decision is None or decision.envelope is None:
            return Cause.CLOSED
        if is_copy(envelope, decision.envelope):
            return Cause.DUPLICATE
        self._contradict(part, lane, now_ns)
        return Cause.CONFLICT

    def _contradict(self, part: Part, lane: Lane, now_ns: int) -> None:
        """Take the PASS of *part* back while that may help; a person should look in any case."""
        self.has_fault = True
        decision = part.decision
        if decision is None or not decision.is_pass or not part.can_be_revoked(now_ns):
            return
        self._ring.update(overrule(part, replace(contradicted(decision), lane=lane)))


def is_valid_deadline(command: Command) -> bool:
    """Tell whether `DeadlineMs` is one that the contract of `line` allows."""
    return 1 <= command.deadline_ms <= MAX_DEADLINE_MS


def _newest_ids(first: int, last: int) -> range:
    """Return the ids *first* to *last*, of these the eight newest."""
    return range(max(first, last - RESULT_SLOTS + 1), last + 1)


def _went_on(before: Command, now: Command) -> bool:
    """Tell whether *now* may be the continuation of *before*: nothing went backwards."""
    return now.trigger_id >= before.trigger_id and now.plc_heartbeat >= before.plc_heartbeat
