"""One part between its trigger and its gate."""

from dataclasses import dataclass, replace
from typing import Final

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES, slot_of
from taktgate.standin.line.ladder import Contact, Rule
from taktgate.standin.line.records import Gate, PartClosed
from taktgate.standin.line.tags_view import ResultSlot, Vision

_VERDICTS: Final = {decision: verdict for verdict, decision in DECISIONS.items()}
_REASONS: Final = {code: reason for reason, code in ERROR_CODES.items()}
_MILLISECOND: Final = 1_000_000
ACCEPTED: Final = "ACCEPTED"
REVOKED: Final = "REVOKED"
RESTARTED: Final = "RESTARTED"
"""A first scan came between trigger and gate."""
NO_SCAN: Final = "NO_SCAN"
"""The program did not scan while the part was at the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A complete result as the program has taken it over."""

    verdict: Verdict
    reason: str
    seq: int


class OpenPart:
    """Watches the part's result slot in every scan.

    A result is consumed before the deadline only. A verdict other than PASS is sticky, and revokes
    an accept up to and including the scan in which the deadline timer is done, so that no reject
    that was written in time is missed.
    """

    def __init__(self, *, trigger_id: int, trigger_ns: int, deadline_ns: int, rule: Rule) -> None:
        self.trigger_id = trigger_id
        self.trigger_ns = trigger_ns
        self._rule = rule
        self._deadline_ns = trigger_ns + deadline_ns
        self._last_look_ns = trigger_ns
        self._deadline_done = False
        self._standing: Result | None = None
        self._acknowledged_seq = 0
        self._acknowledged_ns: int | None = None
        self._is_latched = False
        self._is_revoked = False
        self._is_abandoned = False
        self._late_result: Result | None = None
        self._seen: set[Verdict] = set()
        self._why: str = Contact.VALID

    def scan(self, vision: Vision, now_ns: int, *, comm_ok: bool) -> int | None:
        """Look at the slot; return the SeqEnd to acknowledge when a result was just consumed."""
        if self._is_abandoned:
            return None
        slot = vision.slots[slot_of(self.trigger_id)]
        was_done, self._deadline_done = self._deadline_done, now_ns >= self._deadline_ns
        result = _complete_result(slot, self.trigger_id)
        if result is not None:
            self._seen.add(result.verdict)
        if was_done:
            self._note_late(result)
            return None
        rung = self._rule(
            slot,
            part_id=self.trigger_id,
            comm_ok=comm_ok,
            ready=vision.ready,
            deadline_done=self._deadline_done,
        )
        if result is not None and result.verdict is not Verdict.PASS:
            self._revoke(result)
        if self._deadline_done:
            self._note_late(result)
            return None
        self._last_look_ns = now_ns
        if rung.accept:
            self._is_latched = not self._is_revoked
        elif not self._is_latched and self._why != REVOKED:
            self._why = rung.open_contacts[0]
        return self._consume(result, now_ns)

    def abandon(self) -> None:
        """Reject the part for good: after a first scan nothing is known of its deadline.

        Or another part has its slot.
        """
        self._is_abandoned = True
        self._is_latched = False
        self._why = RESTARTED

    def pass_by(self, now_ns: int) -> PartClosed:
        """Return the record of a part that no scan decided about: the gate was at rest."""
        why = RESTARTED if self._is_abandoned else NO_SCAN
        return replace(self.close(now_ns, comm_ok=False), why=why)

    def close(self, now_ns: int, *, comm_ok: bool) -> PartClosed:
        """Act at the gate, and return the record of the part."""
        is_accepted = self._is_latched and not self._is_revoked and comm_ok
        known = self._standing or _overdue(self._late_result)
        return PartClosed(
            trigger_id=self.trigger_id,
            trigger_ns=self.trigger_ns,
            verdict=known.verdict if known else Verdict.NO_DECISION,
            reason=known.reason if known else Reason.SILENT,
            gate=Gate.ACCEPT if is_accepted else Gate.REJECT,
            why=ACCEPTED if is_accepted else self._refusal(comm_ok),
            result_seq=known.seq if known else 0,
            ack_ms=self._ack_ms(),
            second_verdict=len(self._seen) > 1,
            late_write=self._late_result is not None,
            last_look_ns=self._last_look_ns,
            gate_ns=now_ns,
        )

    def _ack_ms(self) -> float | None:
        if self._acknowledged_ns is None:
            return None
        return (self._acknowledged_ns - self.trigger_ns) / _MILLISECOND

    def _consume(self, result: Result | None, now_ns: int) -> int | None:
        if result is None or result.seq == self._acknowledged_seq:
            return None
        self._acknowledged_seq = result.seq
        standing = self._standing
        is_rival = standing is not None and standing.verdict is not result.verdict
        if standing is None or (is_rival and result.verdict is not Verdict.PASS):
            self._standing = result
            self._acknowledged_ns = self._acknowledged_ns or now_ns
        return result.seq

    def _revoke(self, result: Result) -> None:
        self._is_revoked = True
        if self._is_latched and self._standing is not None:
            self._is_latched = False
            self._standing = result
            self._why = REVOKED

    def _note_late(self, result: Result | None) -> None:
        known = self._standing
        if result is not None and (known is None or known.seq != result.seq):
            self._late_result = self._late_result or result

    def _refusal(self, comm_ok: bool) -> str:
        if self._is_latched and not comm_ok:
            return Contact.COMM_OK
        if self._is_abandoned:
            return RESTARTED
        if self._standing is None and self._late_result is not None:
            return Contact.DEADLINE
        return self._why


def _complete_result(slot: ResultSlot, trigger_id: int) -> Result | None:
    """Return the result in *slot* if it is whole and for this part; its bits may still disagree."""
    is_whole = slot.valid and slot.seq_begin == slot.seq_end
    if not is_whole or slot.trigger_id != trigger_id:
        return None
    verdict = _VERDICTS.get(slot.decision)
    reason = str(_REASONS.get(slot.error_code, f"CODE_{slot.error_code}"))
    is_pass = slot.passed and not slot.reject and not slot.late
    is_consistent = is_pass == (verdict is Verdict.PASS) and slot.passed != slot.reject
    if verdict is None or not is_consistent:
        verdict, reason = Verdict.NO_DECISION, str(Reason.CONTRACT)
    return Result(verdict=verdict, reason=reason, seq=slot.seq_end)


def _overdue(result: Result | None) -> Result | None:
    """Return what a result that came after the deadline counts as: a decision then is LATE."""
    if result is None or result.verdict not in (Verdict.PASS, Verdict.FAIL):
        return result
    return Result(verdict=Verdict.LATE, reason=Reason.EXPIRED, seq=result.seq)
