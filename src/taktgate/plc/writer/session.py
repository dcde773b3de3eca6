"""The session with the controller over time: opened, lost, opened again; reads and writes."""

import logging
from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.contract.tags import WriterState, slot_of
from taktgate.plc.errors import LinkError
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.handshake.watch import PlcLife
from taktgate.plc.link.port import Mode, TagLink
from taktgate.plc.opening.opening import Opening
from taktgate.plc.opening.states import Event, Progress
from taktgate.plc.writer.line import LineReporter
from taktgate.plc.writer.outlets import Outlets
from taktgate.plc.writer.ownership import Ownership
from taktgate.plc.writer.status import HEARTBEAT_NS, StatusBoard

log = logging.getLogger(__name__)

_WRITE_ROUNDS = 2
"""A PASS that was confirmed too late is overruled at once; nothing overrules that."""
RECHECK_NS: Final = 5 * SECOND
"""Between two looks at the controller's marks, which a download changes, and at its mode."""
_RECHECK_SOON_NS: Final = 500 * MILLISECOND
"""While its program stands still: it may be a download."""
_WAITING = "VIS01_Sts holds another BootId: watching whether its heartbeat moves"


class Session:
    """One controller, through as many connections as it takes."""

    def __init__(
        self,
        *,
        link: TagLink,
        opening: Opening,
        progress: Progress,
        rules: Handshake,
        board: StatusBoard,
        line: LineReporter,
        outlets: Outlets,
        clock: Callable[[], int],
        reads_back: bool = False,
    ) -> None:
        self._link = link
        self._opening = opening
        self._progress = progress
        self._rules = rules
        self._board = board
        self._line = line
        self._outlets = outlets
        self._clock = clock
        self._reads_back = reads_back
        self._owner = Ownership(board.boot_id)
        self._has_been_open = False
        self._restart_reads()
        self.is_open = False
        self.losses = 0
        self.last_loss = ""
        """Why the last session was lost, in words."""
        self._trouble = ""

    @property
    def error(self) -> str:
        """Return why nothing is written, in words; empty when something is."""
        return self._trouble or self._opening.error

    @property
    def may_write(self) -> bool:
        """True while a session is open and the controller's tags are ours to write."""
        return self.is_open and self._owner.may_write

    def tick(self) -> None:
        """Open the session if it is time, read the command, write what is due.

        Raises:
            ForeignWriterError: another writer writes our status tag.
        """
        if not self.is_open:
            self._seek()
        if not self.is_open:
            return
        try:
            self._read()
            self._recheck()
            self._rules.tick(self._clock())
            if self.may_write:
                self._write_due()
        except LinkError as error:
            self._lose(error)

    def flush(self) -> None:
        """Write the results that became due between two ticks."""
        if not self.may_write or not self._rules.has_due:
            return
        try:
            self._write_due()
        except LinkError as error:
            self._lose(error)

    def end(self) -> None:
        """Say goodbye: Ready = 0, Online = 0, then close in good order."""
        if self.may_write:
            try:
                self._write_once(stopping=True)
                if self._rules.has_due:
                    self._write_once(stopping=True)
            except LinkError as error:
                self._lose(error)
                return
        # Whatever could not be written is on record all the same.
        self._rules.link_lost(self._clock())
        self._opening.stop()
        self._link.close(abort=False)
        self._progress.note(Event.STOPPED)
        self.is_open = False

    def abort(self, reason: str) -> None:
        """Drop the session at once; whatever is open stays without a result."""
        self._opening.stop()
        self._link.close(abort=True)
        self._rules.link_lost(self._clock())
        self.is_open = False
        self._progress.note(Event.BROKEN)
        self._trouble = reason

    def _seek(self) -> None:
        if self._progress.state is WriterState.INIT:
            self._progress.note(Event.SOUGHT)
        if not self._opening.step(self._clock()):
            return
        self._board.reconnects += self._has_been_open
        self._has_been_open = self.is_open = True
        self._restart_reads()
        self._owner.session_opened()
        self._rules.session_opened()
        log.info("session with the controller is open")

    def _lose(self, error: LinkError) -> None:
        now_ns = self._clock()
        log.error("session with the controller lost", extra={"error": str(error)})
        self._link.close(abort=True)
        self._rules.link_lost(now_ns)
        self._opening.lost(error, now_ns)
        self._progress.note(Event.LOST)
        self.is_open = False
        self.losses += 1
        self.last_loss, self._trouble = str(error), ""

    def _restart_reads(self) -> None:
        self._read_began_ns: int | None = None
        self._echo_due_ns = 0
        self._rechecked_ns: int | None = None
        self._rechecked_epoch: int | None = None
        self._board.is_in_program = False

    def _read(self) -> None:
        began_ns = self._clock()
        wants_echo = began_ns >= self._echo_due_ns or not self._owner.may_write
        reading = self._link.read(echo=wants_echo)
        now_ns = self._clock()
        if reading.echo is not None:
            self._owner.observe(reading.echo, now_ns)
            self._note_owner()
            self._rules.continue_sequence(reading.echo.last_seq)
            self._echo_due_ns = began_ns + HEARTBEAT_NS
        after_ns = began_ns if self._read_began_ns is None else self._read_began_ns
        self._read_began_ns = began_ns
        is_edge = self._rules.read(reading.command, observed_after_ns=after_ns, now_ns=now_ns)
        state = self._line.observe(
            reading.command,
            epoch=self._rules.epoch,
            is_edge=is_edge,
            observed_after_ns=after_ns,
            observed_ns=now_ns,
        )
        if state is not None:
            self._outlets.line(state)

    def _note_owner(self) -> None:
        """Have the writer's state say whether the tags are ours to write."""
        self._trouble = "" if self._owner.may_write else _WAITING
        if self._owner.may_write != self._progress.is_in_session:
            self._progress.note(Event.OWNED if self._owner.may_write else Event.LOST)

    def _recheck(self) -> None:
        """Find a download that did not cost the connection, and Program mode.

        At once where the program was interrupted: no result goes into tags of a project that may
        be another one.
        """
        now_ns, epoch = self._clock(), self._rules.epoch
        has_stopped = self._board.is_in_program or self._rules.plc.life is PlcLife.STALLED
        every_ns = _RECHECK_SOON_NS if has_stopped else RECHECK_NS
        is_new = self._rechecked_ns is None or epoch != self._rechecked_epoch
        if not is_new and now_ns - (self._rechecked_ns or 0) < every_ns:
            return
        self._rechecked_ns, self._rechecked_epoch = now_ns, epoch
        self._board.is_in_program = self._link.recheck() is Mode.PROGRAM

    def _write_due(self) -> None:
        for _ in range(_WRITE_ROUNDS):
            if not self._rules.has_due and not self._board.is_due(self._clock()):
                return
            self._write_once()

    def _write_once(self, *, stopping: bool = False) -> None:
        now_ns = self._clock()
        records = self._rules.due(now_ns)
        self._link.write(records, self._board.record(now_ns, stopping=stopping))
        self._owner.wrote()
        confirmed_ns = self._clock()
        echoes = None
        if self._reads_back and records:
            echoes = self._link.read_back([slot_of(record.trigger_id) for record in records])
        self._rules.confirmed(records, confirmed_ns, echoes)
