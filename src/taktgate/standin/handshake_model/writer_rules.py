"""The writer's real rules, as a function of a frozen state.

`WriterRules` owns one `Handshake`, one `BeatWatch`, one `Ownership` and one `StatusBoard`. Before
each call they are put back to where a state says, after it what they hold is the next state. So a
step costs some microseconds, and no rule is written twice.

Their clock keeps growing along a run. Two states that differ in it alone are one state to the
search (`world.key`): the rules compare differences of times only, and a property test holds them to
that.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import Beat
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.plc.contract.records import Command, ResultRecord, SlotEcho, StatusEcho, StatusRecord
from taktgate.plc.contract.tags import StatusError, WriterState
from taktgate.plc.errors import ForeignWriterError
from taktgate.plc.handshake.admission import Cause, Place
from taktgate.plc.handshake.parts import Part, PartState
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.handshake.watch import BeatWatch, PlcLife, PlcWatch
from taktgate.plc.opening.states import Progress
from taktgate.plc.writer.intake import Intake
from taktgate.plc.writer.ownership import Ownership
from taktgate.plc.writer.status import StatusBoard
from taktgate.standin.handshake_model.envelopes import envelope_of
from taktgate.standin.handshake_model.facts import NEVER, STEP_NS, Sheet, Status
from taktgate.standin.judge import STATION


class Writer(NamedTuple):
    """What one start of the writer knows between two calls of its rules."""

    boot_id: int
    epoch: int
    slots: tuple[tuple[int, Part], ...] = ()
    command: Command | None = None
    is_first_read: bool = True
    is_reopened: bool = True
    life: PlcLife = PlcLife.UNPROVEN
    plc_value: int | None = None
    plc_moved_ns: int = 0
    last_sequence: int = 0
    beat: Beat | None = None
    otherwise: StatusError = StatusError.NO_BEAT
    """What is said while no beat is fresh."""
    heartbeat: int = 0
    beat_ns: int | None = None
    written: tuple[StatusError, bool, bool] | None = None
    has_written: bool = False
    found: StatusEcho | None = None
    since_ns: int = 0
    may_write: bool = False
    read_began: int = NEVER
    """Step in which the previous read of this session began."""

    def parts(self, state: PartState) -> list[Part]:
        """Return the parts in *state*."""
        return [part for _, part in self.slots if part.state is state]


class Answer(NamedTuple):
    """The writer after a call, what the call returned, and what went on record."""

    writer: Writer
    outcomes: list[Outcome]
    cause: Cause | None = None
    is_edge: bool = False
    is_foreign: bool = False
    """Another writer is at work: this one ends."""
    records: tuple[ResultRecord, ...] = ()
    status: StatusRecord | None = None
    is_due: bool = True


class WriterRules:
    """The real objects, and a way to call them in any state."""

    def __init__(self, *, reserve_steps: int) -> None:
        self._last_epoch = 0
        self._rules = Handshake(
            place=Place(station=STATION, kernel_boot_id=""),
            write_reserve_ns=reserve_steps * STEP_NS,
            choose_epoch=self._choose_epoch,
        )
        self._beats = BeatWatch(self._rules._place)
        intake = Intake(rules=self._rules, beats=self._beats, lanes=frozenset(Lane))
        self._board = StatusBoard(
            rules=self._rules,
            beats=self._beats,
            intake=intake,
            progress=Progress(WriterState.DEGRADED),
            boot_id=0,
        )
        self._owner = Ownership(0)

    def session_opened(self, writer: Writer, boot: int) -> Answer:
        """Open a session (see `Session._open`)."""

        def call() -> None:
            self._owner.session_opened()
            self._rules.session_opened()

        return _reading_from(NEVER, self._call(writer, boot, call))

    def read(
        self, writer: Writer, boot: int, *, command: Command, echo: Status, began: int, now: int
    ) -> Answer:
        """Take one reading in, and answer for silent judges (see `Session._read` and `tick`)."""
        after = began if writer.read_began == NEVER else writer.read_began
        answer: dict[str, bool] = {}

        def call() -> None:
            self._owner.observe(
                StatusEcho(boot_id=echo.boot_id, heartbeat=echo.heartbeat, last_seq=echo.last_seq),
                now * STEP_NS,
            )
            self._rules.continue_sequence(echo.last_seq)
            answer["is_edge"] = self._rules.read(
                command, observed_after_ns=after * STEP_NS, now_ns=now * STEP_NS
            )
            self._rules.tick(now * STEP_NS)

        try:
            done = self._call(writer, boot, call)
        except ForeignWriterError:
            return Answer(writer=writer, outcomes=[], is_foreign=True)
        return _reading_from(began, done)._replace(is_edge=answer["is_edge"])

    def verdict(self, writer: Writer, boot: int, sheet: Sheet, now: int) -> Answer:
        """Hand one verdict over."""
        answer: dict[str, Cause | None] = {}

        def call() -> None:
            answer["cause"] = self._rules.verdict(envelope_of(sheet), Lane.LOCAL, now * STEP_NS)

        return self._call(writer, boot, call)._replace(cause=answer["cause"])

    def beat(self, writer: Writer, boot: int, *, sent: int, sent_boot: int, now: int) -> Answer:
        """Hand one beat of the judge over."""

        def call() -> None:
            self._beats.accept(beat_of(sent, sent_boot), now * STEP_NS)

        return self._call(writer, boot, call)

    def due(self, writer: Writer, boot: int, now: int) -> Answer:
        """Return what is to be written now (see `Session._write_once`)."""
        answer: list[tuple[tuple[ResultRecord, ...], StatusRecord, bool]] = []

        def call() -> None:
            is_due = self._rules.has_due or self._board.is_due(now * STEP_NS)
            records = self._rules.due(now * STEP_NS)
            answer.append((records, self._board.record(now * STEP_NS), is_due))

        done = self._call(writer, boot, call)
        ((records, status, is_due),) = answer
        return done._replace(records=records, status=status, is_due=is_due)

    def confirmed(
        self,
        writer: Writer,
        boot: int,
        records: tuple[ResultRecord, ...],
        now: int,
        *,
        echoes: tuple[SlotEcho, ...] | None,
    ) -> Answer:
        """Take note of the PLC's reply to a write, and of what the slots hold."""

        def call() -> None:
            self._owner.wrote()
            self._rules.confirmed(records, now * STEP_NS, echoes)

        return self._call(writer, boot, call)

    def link_lost(self, writer: Writer, boot: int, now: int) -> Answer:
        """Take note that the session is gone."""
        return self._call(writer, boot, lambda: self._rules.link_lost(now * STEP_NS))

    def _choose_epoch(self) -> int:
        self._last_epoch += 1
        return self._last_epoch

    def _call(self, writer: Writer, boot: int, call: Callable[[], None]) -> Answer:
        self._load(writer, boot)
        call()
        return Answer(writer=self._save(writer), outcomes=self._rules.take_outcomes())

    def _load(self, writer: Writer, boot: int) -> None:
        rules, beats, board, owner = self._rules, self._beats, self._board, self._owner
        self._last_epoch = writer.epoch
        rules._place = beats._place = _place_of(boot)
        rules._ring._slots = dict(writer.slots)
        rules._command, rules._is_first_read = writer.command, writer.is_first_read
        rules._is_reopened = writer.is_reopened
        rules.epoch, rules._delivery.last_sequence = writer.epoch, writer.last_sequence
        # Nothing but the status tag follows from it, and no rule of the PLC.
        rules.has_fault = False
        rules.plc = PlcWatch()
        rules.plc.life, rules.plc._value = writer.life, writer.plc_value
        rules.plc._moved_ns = writer.plc_moved_ns
        beats._newest, beats._otherwise = writer.beat, writer.otherwise
        board.boot_id, board._heartbeat = writer.boot_id, writer.heartbeat
        board._beat_ns, board._written = writer.beat_ns, writer.written
        owner._boot_id, owner._has_written = writer.boot_id, writer.has_written
        owner._found, owner._since_ns = writer.found, writer.since_ns
        owner.may_write = writer.may_write

    def _save(self, writer: Writer) -> Writer:
        rules, board, owner = self._rules, self._board, self._owner
        return Writer(
            boot_id=writer.boot_id,
            epoch=rules.epoch,
            slots=tuple(rules._ring._slots.items()),
            command=rules._command,
            is_first_read=rules._is_first_read,
            is_reopened=rules._is_reopened,
            life=rules.plc.life,
            plc_value=rules.plc._value,
            plc_moved_ns=rules.plc._moved_ns,
            last_sequence=rules.last_sequence,
            beat=self._beats._newest,
            otherwise=self._beats._otherwise,
            heartbeat=board._heartbeat,
            beat_ns=board._beat_ns,
            written=board._written,
            has_written=owner._has_written,
            found=owner._found,
            since_ns=owner._since_ns,
            may_write=owner.may_write,
            read_began=writer.read_began,
        )


def _reading_from(began: int, answer: Answer) -> Answer:
    return answer._replace(writer=answer.writer._replace(read_began=began))


@lru_cache(maxsize=16)
def _place_of(boot: int) -> Place:
    return Place(station=STATION, kernel_boot_id=str(boot))


@lru_cache(maxsize=1000)
def beat_of(sent: int, boot: int) -> Beat:
    """Return the beat that the judge sent in step *sent* of kernel boot *boot*."""
    return Beat(
        contract=CONTRACT_VERSION,
        station=STATION,
        kernel_boot_id=str(boot),
        judge_start_id="1",
        sequence=1,
        ready=True,
        reason="",
        model=None,
        sent_ns=sent * STEP_NS,
    )
