"""What the writer says about itself: to the PLC by tags, to its agent by a message of its own."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT
from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.tags import StatusError, WriterState
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.results import MAX_DINT
from taktgate.plc.handshake.rules import OVERFLOW, Handshake
from taktgate.plc.handshake.watch import BeatWatch, assess
from taktgate.plc.link.port import StatusRecord
from taktgate.plc.writer.intake import Intake

HEARTBEAT_NS: Final = 100 * MILLISECOND
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterStatus:
    """From the writer to its agent, on change and every second. Counts are since its start."""

    __pydantic_config__ = STRICT_DOCUMENT

    contract: str
    writer_start_id: str
    state: str
    error: str
    controller: str
    is_realtime: bool
    is_connected: bool
    is_ready: bool
    has_fault: bool
    reconnects: Count
    judge_restarts: Count
    overflows: Count
    late_ticks: Count
    refused: dict[str, Count]
    """Datagrams not used, by "cause lane"."""
    used: dict[str, Count]
    """Verdicts that decided a part, by lane."""
    lost: dict[str, Count]
    """Datagrams that could not be handed over, by receiver, and those refused at the inbox."""


class StatusBoard:
    """Builds `VIS01_Sts` and knows when it has to be written."""

    def __init__(self, *, rules: Handshake, beats: BeatWatch, intake: Intake, boot_id: int) -> None:
        self._rules = rules
        self._beats = beats
        self._intake = intake
        self.boot_id = boot_id
        self.reconnects = 0
        self._heartbeat = 0
        self._beat_ns: int | None = None
        self._written: tuple[StatusError, bool, bool] | None = None

    def error(self, now_ns: int) -> StatusError:
        """Return why no verdict may be expected for the next part; NONE when one may."""
        return assess(
            judge=self._beats.error(now_ns),
            plc=self._rules.plc.life,
            deadline_is_valid=self._rules.deadline_is_valid,
        )

    def is_due(self, now_ns: int) -> bool:
        """Tell whether the tag must be written although no result is."""
        return self._is_beat_due(now_ns) or self._facts(now_ns) != self._written

    def record(self, now_ns: int, *, stopping: bool = False) -> StatusRecord:
        """Return the tag as it is to be written at *now_ns*; the heartbeat moves every 100 ms."""
        if self._is_beat_due(now_ns):
            self._heartbeat = self._heartbeat % MAX_DINT + 1
            self._beat_ns = now_ns
        self._written = self._facts(now_ns)
        error = StatusError.STOPPING if stopping else self.error(now_ns)
        counts = self._rules.counts
        rejects = counts[Verdict.FAIL] + counts[Verdict.NO_DECISION] + counts[Verdict.LATE]
        return StatusRecord(
            heartbeat=self._heartbeat,
            boot_id=self.boot_id,
            state=WriterState.INIT if stopping else state_of(error),
            error_code=error,
            queue_depth=self._rules.open_count,
            last_seq=self._rules.last_sequence,
            last_trigger_id=self._rules.last_trigger_id,
            cnt_pass=counts[Verdict.PASS] & MAX_DINT,
            cnt_reject=rejects & MAX_DINT,
            cnt_late=counts[Verdict.LATE] & MAX_DINT,
            cnt_dup=self._intake.count(Cause.DUPLICATE) & MAX_DINT,
            cnt_overflow=counts[OVERFLOW] & MAX_DINT,
            cnt_reconnect=self.reconnects & MAX_DINT,
            online=not stopping,
            ready=error is StatusError.NONE,
            fault=self._rules.has_fault,
        )

    def _is_beat_due(self, now_ns: int) -> bool:
        return self._beat_ns is None or now_ns - self._beat_ns >= HEARTBEAT_NS

    def _facts(self, now_ns: int) -> tuple[StatusError, bool, bool]:
        error = self.error(now_ns)
        return error, error is StatusError.NONE, self._rules.has_fault


def state_of(error: StatusError) -> WriterState:
    """Return the state of a writer with an open session."""
    return WriterState.RUN if error is StatusError.NONE else WriterState.DEGRADED
