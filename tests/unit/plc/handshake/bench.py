"""What the tests of the handshake share: words, and the way a result is written."""

from collections.abc import Callable
from dataclasses import replace

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES
from taktgate.plc.handshake.rules import Handshake

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


def acknowledge(rules: Handshake, command: Command, sequence: int, now_ns: int) -> None:
    """Read a command whose AckSeq names *sequence*."""
    rules.read(
        replace(command, ack_seq=sequence), observed_after_ns=now_ns - MILLISECOND, now_ns=now_ns
    )


def settle(rules: Handshake, command: Command, now_ns: int) -> None:
    """Have the PLC run on for a second and acknowledge nothing: every outcome goes on record."""
    for beat in range(1, 11):
        later_ns = now_ns + beat * 100 * MILLISECOND
        running = replace(command, plc_heartbeat=command.plc_heartbeat + beat)
        rules.read(running, observed_after_ns=later_ns - MILLISECOND, now_ns=later_ns)


def no_decision(reason: Reason) -> tuple[int, int]:
    return NO_DECISION, ERROR_CODES[reason]


def reconnect(rules: Handshake, command: Command, now_ns: int) -> None:
    """Lose the link, open it again, and read *command* first."""
    rules.link_lost(now_ns)
    rules.session_opened()
    rules.read(command, observed_after_ns=now_ns, now_ns=now_ns)
