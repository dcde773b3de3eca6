"""What the writer says about itself: to the PLC by tags, to its agent by a message of its own."""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT
from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import StatusRecord
from taktgate.plc.contract.tags import StatusError
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.delivery import REWRITTEN, UNACKNOWLEDGED
from taktgate.plc.handshake.results import MAX_DINT
from taktgate.plc.handshake.rules import OVERFLOW, Handshake
from taktgate.plc.handshake.watch import BeatWatch, assess
from taktgate.plc.opening.states import Event, Progress
from taktgate.plc.writer.intake import Intake
from taktgate.plc.writer.timing import Timings

HEARTBEAT_NS: Final = 100 * MILLISECOND
MISSED_ACKNOWLEDGES: Final = 3
"""So many in a row are no accident."""
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
    """True when every real-time right was granted; `rights` says which."""
    rights: dict[str, bool]
    """`scheduling` (SCHED_FIFO) and `memory` (locked): granted or not."""
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
    timings: Timings
    rewritten: Count = 0
    """Results that were written again because what came of a write was unknown."""
    unacknowledged: Count = 0
    """Results that the PLC confirmed, and whose AckSeq never came."""
    is_acknowledging: bool = True
    """False after three of these in a row: the PLC's program consumes nothing, or does not say so.
    No fault and no reason against Ready: an older ladder may have no AckSeq."""
    error_code: Count = 0
    """`StatusError`: as in the tag, and also while nothing can be written."""
    losses: Count = 0
    """Sessions that were lost."""
    last_loss: str = ""
    """Why the last of them was; empty while none was."""
    contract_checks: Count = 0
    """Full checks of the controller's tags."""
    contract_check_ms: Count = 0
    """How long the last of them took."""


class StatusBoard:
    """Builds `VIS01_Sts` and knows when it has to be written."""

    def __init__(
        self,
        *,
        rules: Handshake,
        beats: BeatWatch,
        intake: Intake,
        progress: Progress,
        boot_id: int,
    ) -> None:
        self._rules = rules
        self._progress = progress
        self._beats = beats
        self._intake = intake
        self.boot_id = boot_id
        self.reconnects = 0
        self.is_in_program = False
        """The controller said so when it was last asked."""
        self._heartbeat = 0
        self._beat_ns: int | None = None
        self._written: tuple[StatusError, bool, bool] | None = None

    def error(self, now_ns: int) -> StatusError:
        """Return why no verdict may be expected for the next part; NONE when one may."""
        if self.is_in_program:
            return StatusError.PLC_PROGRAM
        return assess(
            judge=self._beats.error(now_ns),
            plc=self._rules.plc.life,
            deadline_is_valid=self._rules.deadline_is_valid,
        )

    @property
    def rewritten(self) -> int:
        """Results that were written again."""
        return self._rules.counts[REWRITTEN]

    @property
    def unacknowledged(self) -> int:
        """Results that the PLC did not acknowledge."""
        return self._rules.counts[UNACKNOWLEDGED]

    @property
    def is_acknowledging(self) -> bool:
        """False while the PLC seems to consume nothing."""
        return self._rules.unacknowledged_in_a_row < MISSED_ACKNOWLEDGES

    def settle(self, now_ns: int) -> StatusError:
        """Return `error`, and have it in the writer's state while a session is open."""
        error = self.error(now_ns)
        if self._progress.is_in_session:
            self._progress.note(Event.READY if error is StatusError.NONE else Event.NOT_READY)
        return error

    def is_due(self, now_ns: int) -> bool:
        """Tell whether the tag must be written although no result is."""
        return self._is_beat_due(now_ns) or self._facts(now_ns) != self._written

    def record(self, now_ns: int, *, stopping: bool = False) -> StatusRecord:
        """Return the tag as it is to be written at *now_ns*; the heartbeat moves every 100 ms."""
        if self._is_beat_due(now_ns):
            self._heartbeat = self._heartbeat % MAX_DINT + 1
            self._beat_ns = now_ns
        self._written = self._facts(now_ns)
        error = self.settle(now_ns)
        if stopping:
            error = StatusError.STOPPING
            self._progress.note(Event.STOPPED)
        counts = self._rules.counts
        rejects = counts[Verdict.FAIL] + counts[Verdict.NO_DECISION] + counts[Verdict.LATE]
        return StatusRecord(
            heartbeat=self._heartbeat,
            boot_id=self.boot_id,
            state=self._progress.state,
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
