"""The writer's loop: ticks at absolute deadlines, and a verdict is handled when it arrives."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final, NamedTuple

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.process import RealtimeRights
from taktgate.plc.contract.tags import StatusError, WriterState
from taktgate.plc.handshake.admission import Place
from taktgate.plc.handshake.rules import OVERFLOW, Handshake
from taktgate.plc.handshake.watch import BeatWatch
from taktgate.plc.link.address import parse_address
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.opening import Checker, Finder, Opening
from taktgate.plc.opening.reconnect import Backoff
from taktgate.plc.opening.states import Progress
from taktgate.plc.writer.intake import Inbox, Intake
from taktgate.plc.writer.line import LineReporter
from taktgate.plc.writer.outlets import Outlets
from taktgate.plc.writer.session import Session
from taktgate.plc.writer.status import StatusBoard, WriterStatus
from taktgate.plc.writer.timing import Stopwatch, TimedLink

_DATAGRAMS_PER_TURN: Final = 64
"""A flood at the inbox may not keep the loop from its tick."""
_DRAIN_NS: Final = 2 * MILLISECOND
"""What the inbox gets of a turn even when the next tick is overdue: good messages take 0.1 ms."""
_STATUS_NS: Final = SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What one start of the writer is told."""

    place: Place
    writer_start_id: str
    boot_id: int
    controller: str
    """The address as the station file spells it."""
    tick_ms: int
    write_reserve_ms: int
    rights: RealtimeRights
    lanes: frozenset[Lane]
    """Those that carry verdicts here."""
    reads_back: bool = False
    """Each result slot is read again after its write, and compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the writer touches: everything else in it is pure."""

    link: TagLink
    probe: Finder
    checker: Checker
    inbox: Inbox
    outlets: Outlets
    clock: Callable[[], int]
    wait: Callable[[int], None]
    """Returns after so many nanoseconds, or earlier when a datagram is waiting."""
    choose_epoch: Callable[[], int]
    backoff: Backoff


class _Headline(NamedTuple):
    """The facts whose change the agent must hear of at once."""

    state: WriterState
    error: str
    has_fault: bool
    is_acknowledging: bool


class Writer:
    """The one thread that speaks with the controller."""

    def __init__(self, setup: Setup, around: Surroundings) -> None:
        self._setup = setup
        self._around = around
        self._clock = around.clock
        self._rules = Handshake(
            place=setup.place,
            write_reserve_ns=setup.write_reserve_ms * MILLISECOND,
            choose_epoch=around.choose_epoch,
        )
        self._beats = BeatWatch(setup.place)
        self._progress = Progress()
        self._intake = Intake(rules=self._rules, beats=self._beats, lanes=setup.lanes)
        self._board = StatusBoard(
            rules=self._rules,
            beats=self._beats,
            intake=self._intake,
            progress=self._progress,
            boot_id=setup.boot_id,
        )
        self._stopwatch = Stopwatch()
        link = TimedLink(around.link, self._stopwatch, around.clock)
        self._opening = Opening(
            address=parse_address(setup.controller),
            link=link,
            probe=around.probe,
            checker=around.checker,
            backoff=around.backoff,
            progress=self._progress,
        )
        self._session = Session(
            link=link,
            opening=self._opening,
            progress=self._progress,
            rules=self._rules,
            board=self._board,
            line=LineReporter(place=setup.place, writer_start_id=setup.writer_start_id),
            outlets=around.outlets,
            clock=around.clock,
            reads_back=setup.reads_back,
        )
        self._next_tick_ns = 0
        self._late_ticks = 0
        self._status_due_ns = 0
        self._told: _Headline | None = None
        self._is_stopping = False

    def stop(self) -> None:
        """Have `run` end after the current turn; safe to call from a signal handler."""
        self._is_stopping = True

    def run(self) -> None:
        """Work until `stop` is called, then take leave of the controller.

        Raises:
            ForeignWriterError: another writer is at work; nothing has been written since.
        """
        try:
            while not self._is_stopping:
                self.turn()
        except BaseException as error:
            # No farewell: the PLC's watchdog rejects as soon as the heartbeat stands still.
            self._session.abort(f"{type(error).__name__}: {error}")
            self._hand_over_outcomes()
            self._tell_status()
            raise
        self._rules.answer_open(Reason.NOT_READY)
        self._session.end()
        self._hand_over_outcomes()

    def turn(self) -> None:
        """Wait for a datagram or the tick, and do what is due.

        Raises:
            ForeignWriterError: another writer is at work.
        """
        self._around.wait(max(self._next_tick_ns - self._clock(), 0))
        self._drain()
        if self._clock() >= self._next_tick_ns:
            self._tick()
        self._hand_over_outcomes()
        self._tell_status()

    def _tick(self) -> None:
        planned_ns, began_ns = self._next_tick_ns, self._clock()
        had_session = self._session.is_open
        self._session.tick()
        if planned_ns > 0:
            self._stopwatch.lateness.add(began_ns - planned_ns)
        if planned_ns > 0 and had_session:
            self._stopwatch.cycle.add(self._clock() - planned_ns)
        self._plan_next_tick()

    def _drain(self) -> None:
        """Take in what waits, then write: two verdicts for one part meet before either is out.

        By number and by time: a message that cannot be read may cost as much as fifty good ones.
        """
        until_ns = max(self._next_tick_ns, self._clock() + _DRAIN_NS)
        due_since_ns: int | None = None
        for _ in range(_DATAGRAMS_PER_TURN):
            datagram = self._around.inbox.receive()
            if datagram is None:
                break
            now_ns = self._clock()
            self._intake.accept(datagram, now_ns)
            if due_since_ns is None and self._rules.has_due:
                due_since_ns = now_ns
            if self._clock() >= until_ns:
                break
        self._session.flush()
        if due_since_ns is not None and self._session.is_open and not self._rules.has_due:
            self._stopwatch.verdict.add(self._clock() - due_since_ns)

    def _plan_next_tick(self) -> None:
        """Keep to the grid; ticks that were missed are counted and left out."""
        tick_ns = self._setup.tick_ms * MILLISECOND
        now_ns = self._clock()
        due_ns = self._next_tick_ns + tick_ns
        if due_ns <= now_ns:
            self._late_ticks += self._next_tick_ns > 0
            due_ns = now_ns + tick_ns
        self._next_tick_ns = due_ns

    def _hand_over_outcomes(self) -> None:
        for outcome in self._rules.take_outcomes():
            self._around.outlets.outcome(outcome)
        self._around.outlets.hand_over()

    def _tell_status(self) -> None:
        now_ns = self._clock()
        headline = self._headline(now_ns)
        if headline != self._told or now_ns >= self._status_due_ns:
            self._around.outlets.status(self.status(now_ns))
            self._told, self._status_due_ns = headline, now_ns + _STATUS_NS

    def _headline(self, now_ns: int) -> _Headline:
        error = self._board.settle(now_ns)
        return _Headline(
            state=self._progress.state,
            error=self._session.error or self._words(error),
            has_fault=self._rules.has_fault,
            is_acknowledging=self._board.is_acknowledging,
        )

    def status(self, now_ns: int) -> WriterStatus:
        """Return how the writer is."""
        session, opening = self._session, self._opening
        error = self._board.settle(now_ns)
        return WriterStatus(
            contract=CONTRACT_VERSION,
            writer_start_id=self._setup.writer_start_id,
            state=self._progress.state.name.lower(),
            error=session.error or self._words(error),
            error_code=opening.code or error,
            controller=self._setup.controller,
            is_realtime=self._setup.rights.are_complete,
            rights=asdict(self._setup.rights),
            is_connected=session.is_open,
            is_ready=session.may_write and error is StatusError.NONE,
            has_fault=self._rules.has_fault,
            reconnects=self._board.reconnects,
            losses=session.losses,
            last_loss=session.last_loss,
            contract_checks=opening.checks,
            contract_check_ms=opening.check_ms,
            judge_restarts=self._beats.judge_restarts,
            overflows=self._rules.counts[OVERFLOW],
            late_ticks=self._late_ticks,
            refused={
                f"{cause} {lane}": number for (cause, lane), number in self._intake.refused.items()
            },
            used={str(lane): number for lane, number in self._intake.used.items()},
            lost={**self._around.outlets.lost(), "inbox": self._around.inbox.refused},
            timings=self._stopwatch.timings(),
            rewritten=self._board.rewritten,
            unacknowledged=self._board.unacknowledged,
            is_acknowledging=self._board.is_acknowledging,
        )

    def _words(self, error: StatusError) -> str:
        if error is StatusError.NONE:
            return ""
        reason = self._beats.reason() if error is StatusError.JUDGE_NOT_READY else ""
        return f"{error.name.lower()}: {reason}" if reason else error.name.lower()
