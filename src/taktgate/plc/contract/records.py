"""What passes between writer and controller, as values: command, results, status, echoes."""

from dataclasses import dataclass
from typing import Final

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import DECISIONS, WriterState


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`VIS01_Cmd`, as read."""

    plc_heartbeat: int
    trigger_id: int
    ack_seq: int = 0
    recipe_id: int = 0
    deadline_ms: int
    enable: bool
    reset: bool = False
    hb_fault: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusEcho:
    """What `VIS01_Sts` holds at the controller: whose it is, and where its counters stand."""

    boot_id: int
    heartbeat: int
    last_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One read exchange. `echo` is there only when it was asked for."""

    command: Command
    echo: StatusEcho | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotEcho:
    """What one element of `VIS01_Result` holds at the controller, as far as a gate depends on it.

    Valid is not among it: the PLC's program clears that for the next part of the slot.
    """

    sequence_begin: int
    trigger_id: int
    decision: int
    is_pass: bool
    is_reject: bool
    is_late: bool
    sequence_end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """One element of `VIS01_Result`. Valid, Pass, Reject, Late and SeqEnd follow from the rest."""

    sequence: int
    trigger_id: int
    decision: int
    error_code: int
    score: float
    age_ms: int
    model_rev: int = 0
    defect_code: int = 0
    defect_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRecord:
    """`VIS01_Sts`, as written."""

    heartbeat: int
    boot_id: int
    state: WriterState
    error_code: int
    queue_depth: int
    last_seq: int
    last_trigger_id: int
    cnt_pass: int
    cnt_reject: int
    cnt_late: int
    cnt_dup: int
    cnt_overflow: int
    cnt_reconnect: int
    online: bool
    ready: bool
    fault: bool


BLANK_STATUS: Final = StatusRecord(
    heartbeat=0,
    boot_id=0,
    state=WriterState.INIT,
    error_code=0,
    queue_depth=0,
    last_seq=0,
    last_trigger_id=0,
    cnt_pass=0,
    cnt_reject=0,
    cnt_late=0,
    cnt_dup=0,
    cnt_overflow=0,
    cnt_reconnect=0,
    online=False,
    ready=False,
    fault=False,
)
"""What `VIS01_Sts` holds that nobody has written to."""
EMPTY_SLOT: Final = SlotEcho(
    sequence_begin=0,
    trigger_id=0,
    decision=0,
    is_pass=False,
    is_reject=False,
    is_late=False,
    sequence_end=0,
)
"""What a slot holds that nobody has written to."""


def echo_of(record: ResultRecord) -> SlotEcho:
    """Return what the slot of *record* holds once the whole of it has been written there."""
    is_pass = record.decision == DECISIONS[Verdict.PASS]
    return SlotEcho(
        sequence_begin=record.sequence,
        trigger_id=record.trigger_id,
        decision=record.decision,
        is_pass=is_pass,
        is_reject=not is_pass,
        is_late=record.decision == DECISIONS[Verdict.LATE],
        sequence_end=record.sequence,
    )
