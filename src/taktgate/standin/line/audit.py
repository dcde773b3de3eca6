"""The second opinion on every gate action, from nothing but the clients' raw writes.

Shares no code with the ladder: it reads the members by the tag table's offsets itself. A part was
rightly accepted only if a fresh, matched, in-deadline PASS is in the log, no other verdict for that
part before the deadline, no second writer at work beside the first, and no restart of the program
between its trigger and the gate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import RESULT
from taktgate.standin.line.audit_status import StatusHistory
from taktgate.standin.line.raw_members import flag, number
from taktgate.standin.line.records import Gate, PartClosed
from taktgate.standin.line.standstill import Outage
from taktgate.standin.logix.memory import LoggedWrite

_MILLISECOND: Final = 1_000_000
_SECOND: Final = 1_000 * _MILLISECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the audit holds against a gate action; both False is a clean part."""

    unsafe: bool
    """Accepted without a PASS that could justify it, beside a second writer, or over a restart."""
    unexplained: bool
    """The action does not follow from the verdict, and nothing on the vision side excuses that."""


class Audit:
    """Judges closed parts. Its figures are the presets of the line, not the program's state."""

    def __init__(self, *, deadline_ms: int, watchdog_ms: int, scan_ms: int) -> None:
        self._deadline_ns = deadline_ms * _MILLISECOND
        self._watchdog_ns = watchdog_ms * _MILLISECOND
        # What happens within this time of a limit, the program may rightly see on either side.
        self._slack_ns = 2 * scan_ms * _MILLISECOND
        self.hindsight_ns = self._watchdog_ns + _SECOND
        """How long before a part's trigger the status writes have to begin."""

    def judge(
        self,
        part: PartClosed,
        *,
        result_writes: Sequence[LoggedWrite],
        status_writes: Sequence[LoggedWrite],
        outages: Sequence[Outage] = (),
    ) -> Finding:
        """Return the finding on *part*.

        It follows from the writes to its result slot and to the status tag, and from when the
        controller's program did not scan.
        """
        history = StatusHistory(status_writes, outages)
        if part.gate is Gate.ACCEPT:
            return self._judge_accept(part, result_writes, history, outages)
        # After a first scan the vision heartbeat has to change once more before it counts.
        since_ns = part.trigger_ns - self._watchdog_ns
        if any(outage.meets(since_ns, part.gate_ns) for outage in outages):
            return Finding(unsafe=False, unexplained=False)
        return self._judge_reject(part, result_writes, history)

    def _judge_reject(
        self, part: PartClosed, writes: Sequence[LoggedWrite], history: StatusHistory
    ) -> Finding:
        # To reject, a rival that came too late is reason enough, and so is a PASS that was
        # overwritten so soon that no scan may have seen it.
        passed_ns = _justifying_pass(part, writes, end_ns=part.gate_ns, stood_ns=self._slack_ns)
        if passed_ns is None or passed_ns >= part.last_look_ns:
            return Finding(unsafe=False, unexplained=False)
        limit_ns = self._watchdog_ns - self._slack_ns
        was_down = history.was_down(passed_ns, part.gate_ns, watchdog_ns=limit_ns)
        return Finding(unsafe=False, unexplained=not was_down)

    def _judge_accept(
        self,
        part: PartClosed,
        writes: Sequence[LoggedWrite],
        history: StatusHistory,
        outages: Sequence[Outage],
    ) -> Finding:
        end_ns = part.trigger_ns + self._deadline_ns
        passed_ns = _justifying_pass(part, writes, end_ns=end_ns)
        # Whoever restarts has lost count of the part's deadline.
        was_restarted = any(
            outage.is_restart and outage.meets(part.trigger_ns, part.gate_ns - 1)
            for outage in outages
        )
        two_writers = history.had_two_writers(part.trigger_ns, part.gate_ns)
        if passed_ns is None or two_writers or was_restarted:
            return Finding(unsafe=True, unexplained=True)
        limit_ns = self._watchdog_ns + self._slack_ns
        is_explained = (
            part.verdict is Verdict.PASS
            and history.was_up(passed_ns, end_ns, watchdog_ns=limit_ns)
            and history.was_beating(part.gate_ns, watchdog_ns=limit_ns)
        )
        return Finding(unsafe=False, unexplained=not is_explained)


def _justifying_pass(
    part: PartClosed, writes: Sequence[LoggedWrite], *, end_ns: int, stood_ns: int = 0
) -> int | None:
    """Return when the part's first PASS came that stood for *stood_ns*.

    None without one, or when another verdict for the part came before *end_ns*.
    """
    passed_ns: int | None = None
    for write, following in zip_longest(writes, writes[1:]):
        if not part.trigger_ns <= write.at_ns < end_ns:
            continue
        is_pass = _is_pass(write.content, part.trigger_id)
        if is_pass is False:
            return None
        has_stood = following is None or following.at_ns - write.at_ns >= stood_ns
        if is_pass and has_stood and passed_ns is None:
            passed_ns = write.at_ns
    return passed_ns


def _is_pass(content: bytes, trigger_id: int) -> bool | None:
    """Return True for PASS, False for another verdict, None when it is none for the part."""
    is_whole = flag(RESULT, content, "Valid") and (
        number(RESULT, content, "SeqBegin") == number(RESULT, content, "SeqEnd")
    )
    decision = number(RESULT, content, "Decision")
    if not is_whole or number(RESULT, content, "TriggerId") != trigger_id:
        return None
    bits = [flag(RESULT, content, name) for name in ("Pass", "Reject", "Late")]
    return decision == 1 and bits == [True, False, False]
