"""From a decision to the PLC's acknowledge: what is written, what is written again, what is known.

    due ──► a request ──► `confirmed` ──► AckSeq, or no more waiting for it ──► the record
                     └──► `link_lost` ──► `resume`: the same result once more, or a reject

A result whose write ended in doubt may be written again, to the last bit and under the same number,
but only where it is proven that the PLC's program went on as it was (`PlcWatch.goes_on`), and a
PASS only while it can still be confirmed in time. Everything else becomes a reject.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import ResultRecord, SlotEcho, echo_of
from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.plc.handshake.parts import (
    Decision,
    Part,
    PartState,
    confirm,
    expired,
    no_decision,
    overrule,
    repeat,
    send,
)
from taktgate.plc.handshake.results import next_sequence, to_record
from taktgate.plc.handshake.ring import PartRing

ACK_LIMIT_NS: Final = 300 * MILLISECOND
"""From a confirmed write to the AckSeq that names it, at most: a scan, and a read."""
MAX_RETRIES: Final = 1
REWRITTEN: Final = "rewritten"
UNACKNOWLEDGED: Final = "unacknowledged"


class Delivery:
    """The results of one start of the writer, through as many sessions as it takes."""

    def __init__(self, ring: PartRing, counts: Counter[str], *, write_reserve_ns: int) -> None:
        self._ring = ring
        self._counts = counts
        """By verdict: each PASS that the PLC surely had in time, each reject that it confirmed;
        beside them REWRITTEN and UNACKNOWLEDGED."""
        self._reserve_ns = write_reserve_ns
        self._ack_seq: int | None = None
        self._ack_moved_ns = 0
        self.last_sequence = 0
        self.unacknowledged_in_a_row = 0

    def due(self, now_ns: int, *, epoch: int) -> tuple[ResultRecord, ...]:
        """Return the results to write now; a PASS that would come too late goes out as LATE."""
        records = []
        for part in self._ring.within(PartState.DUE):
            if part.pass_went_out and not part.can_be_revoked(now_ns):
                self._ring.give_up(part, now_ns)
                continue
            sent = self._send(self._last_look(part, now_ns, epoch), now_ns)
            self._ring.update(sent)
            assert sent.record is not None
            records.append(sent.record)
        return tuple(records)

    def confirmed(
        self,
        records: Sequence[ResultRecord],
        now_ns: int,
        *,
        epoch: int,
        echoes: Sequence[SlotEcho] | None,
    ) -> bool:
        """Take note of the PLC's reply to the write of *records*, and of what the slots hold since.

        Returns True when a person should look: a slot holds something else, again.
        """
        expected = [echo_of(record) for record in records]
        found = expected if echoes is None else echoes
        stands = {
            record.sequence: is_as_written == echo
            for record, is_as_written, echo in zip(records, expected, found, strict=True)
        }
        has_fault = False
        for part in self._ring.within(PartState.DUE):
            if part.record is None or part.sequence not in stands:
                continue
            if stands[part.sequence]:
                self._confirm(part, now_ns)
            else:
                has_fault |= self._doubt(part, now_ns, epoch)
        return has_fault

    def acknowledged(self, ack_seq: int, now_ns: int) -> None:
        """Take note of one reading of AckSeq: it names the result that was consumed last."""
        if ack_seq != self._ack_seq:
            self._ack_seq, self._ack_moved_ns = ack_seq, now_ns
        for part in (*self._ring.within(PartState.WRITTEN), *self._ring.within(PartState.LOST)):
            if part.record is not None and part.sequence == ack_seq:
                self._acknowledge(part, now_ns)
        for part in self._ring.within(PartState.WRITTEN):
            assert part.confirmed_ns is not None
            if now_ns - part.confirmed_ns > ACK_LIMIT_NS:
                self._miss_acknowledge(part, part.confirmed_ns)
                self._ring.close(part, now_ns)

    def link_lost(self, now_ns: int) -> None:
        """Give up all that was open or on its way, until the PLC is seen again."""
        self._ring.lose_all(now_ns)

    def resume(self, newest: int, now_ns: int, *, epoch: int, is_continued: bool) -> None:
        """Deal with what was lost, now that *newest* was read as TriggerId in *epoch*.

        *is_continued* says that the PLC's program is proven to have gone on all the time.
        """
        for part in self._ring.within(PartState.LOST):
            is_history = part.pass_went_out and not part.can_be_revoked(now_ns)
            if newest - part.trigger_id >= RESULT_SLOTS or is_history:
                continue
            if is_continued and part.retries < MAX_RETRIES:
                self._ring.update(repeat(part, epoch))
            else:
                self._ring.update(overrule(part, no_decision(Reason.RESTARTED)))

    def _last_look(self, part: Part, now_ns: int, epoch: int) -> Part:
        """Return *part* as it goes out: a PASS has to be in time, and of this epoch."""
        decision = part.decision
        assert decision is not None
        if not decision.is_pass:
            return part
        if epoch not in (part.epoch, part.continued_in):
            return overrule(part, no_decision(Reason.RESTARTED))
        if not part.can_be_confirmed(now_ns, reserve_ns=self._reserve_ns):
            return overrule(part, expired(decision))
        return part

    def _send(self, part: Part, now_ns: int) -> Part:
        """Return *part* with its result on its way: the one that was sent before, or a new one."""
        if part.record is not None:
            self._counts[REWRITTEN] += 1
            return send(part, part.record)
        assert part.decision is not None
        self.last_sequence = next_sequence(self.last_sequence)
        return send(
            part, to_record(part, part.decision, sequence=self.last_sequence, now_ns=now_ns)
        )

    def _confirm(self, part: Part, now_ns: int) -> None:
        decision = part.decision
        assert decision is not None
        if decision.is_pass and now_ns >= part.deadline_ns and part.can_be_revoked(now_ns):
            self._ring.update(overrule(part, expired(decision)))
            return
        written = confirm(part, now_ns)
        self._counts[decision.verdict] += _is_counted(written)
        self._ring.update(written)
        if part.was_found:
            # The PLC's program may never have known it, or have closed it long ago.
            self._ring.close(written, now_ns)

    def _doubt(self, part: Part, now_ns: int, epoch: int) -> bool:
        """Deal with a slot that does not hold the result of *part*: again, then a reject."""
        decision = part.decision
        assert decision is not None
        if part.retries < MAX_RETRIES:
            self._ring.update(repeat(part, epoch))
            return False
        if decision.is_pass and part.can_be_revoked(now_ns):
            self._ring.update(overrule(part, contradicted(decision)))
        else:
            self._ring.give_up(part, now_ns)
        return True

    def _acknowledge(self, part: Part, now_ns: int) -> None:
        assert part.decision is not None
        self._counts[part.decision.verdict] += not _is_counted(part)
        self.unacknowledged_in_a_row = 0
        self._ring.close(part, now_ns, is_acknowledged=True)

    def _miss_acknowledge(self, part: Part, confirmed_ns: int) -> None:
        """Count a result that the PLC did not consume, unless another's AckSeq may have hidden it.

        One that may have come too late is none of these: nobody acknowledges that.
        """
        if self._ack_moved_ns < confirmed_ns and part.is_certain:
            self._counts[UNACKNOWLEDGED] += 1
            self.unacknowledged_in_a_row += 1


def _is_counted(part: Part) -> bool:
    is_written = part.state is PartState.WRITTEN
    return is_written and (part.is_certain or not part.holds_pass)


def contradicted(decision: Decision) -> Decision:
    """Return the reject that takes the place of *decision* when something else contradicts it."""
    return replace(decision, verdict=Verdict.NO_DECISION, reason=Reason.CONFLICT)
