"""What the tests of the handshake share: words, and the way a result is written."""

from collections.abc import Callable

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.link.port import Command

MakeEnvelope = Callable[..., VerdictEnvelope]
At = Callable[[int], int]
"""The time so many milliseconds after the start."""

PASS, FAIL = DECISIONS[Verdict.PASS], DECISIONS[Verdict.FAIL]
NO_DECISION, LATE = DECISIONS[Verdict.NO_DECISION], DECISIONS[Verdict.LATE]


def write(rules: Handshake, now_ns: int) -> dict[int, tuple[int, int]]:
    """Write what is due; return decision and error code by part."""
    records = rules.due(now_ns)
    rules.confirmed(records, now_ns)
    return {record.trigger_id: (record.decision, record.error_code) for record in records}


def no_decision(reason: Reason) -> tuple[int, int]:
    return NO_DECISION, ERROR_CODES[reason]


def reconnect(rules: Handshake, command: Command, now_ns: int) -> None:
    """Lose the link, open it again, and read *command* first."""
    rules.link_lost(now_ns)
    rules.session_opened()
    rules.read(command, observed_after_ns=now_ns, now_ns=now_ns)
