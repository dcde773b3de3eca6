"""The session with the controller over time: opened, lost, opened again; reads and writes."""

import logging
from collections.abc import Callable

from taktgate.plc.contract.tags import WriterState
from taktgate.plc.errors import ContractMismatchError, LinkError
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.reconnect import MISMATCH_DELAY_NS, Backoff
from taktgate.plc.writer.line import LineReporter
from taktgate.plc.writer.outlets import Outlets
from taktgate.plc.writer.ownership import Ownership
from taktgate.plc.writer.status import HEARTBEAT_NS, StatusBoard

log = logging.getLogger(__name__)

_WRITE_ROUNDS = 2
"""A PASS that was confirmed too late is overruled at once; nothing overrules that."""
_WAITING = "VIS01_Sts holds another BootId: watching whether its heartbeat moves"


class Session:
    """One controller, through as many connections as it takes."""

    def __init__(
        self,
        *,
        link: TagLink,
        rules: Handshake,
        board: StatusBoard,
        line: LineReporter,
        outlets: Outlets,
        clock: Callable[[], int],
        backoff: Backoff,
    ) -> None:
        self._link = link
        self._rules = rules
        self._board = board
        self._line = line
        self._outlets = outlets
        self._clock = clock
        self._backoff = backoff
        self._owner = Ownership(board.boot_id)
        self._open_due_ns = 0
        self._has_been_open = False
        self._restart_reads()
        self.is_open = False
        self.state = WriterState.CONNECTING
        self.error = ""
        """Why there is no session, in words."""

    @property
    def may_write(self) -> bool:
        """True while a session is open and the controller's tags are ours to write."""
        return self.is_open and self._owner.may_write

    def tick(self) -> None:
        """Open the session if it is time, read the command, write what is due.

        Raises:
            ForeignWriterError: another writer writes our status tag.
        """
        if not self.is_open and self._clock() >= self._open_due_ns:
            self._open()
        if not self.is_open:
            return
        try:
            self._read()
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
        self._link.close(abort=False)
        self.is_open = False

    def abort(self, reason: str) -> None:
        """Drop the session at once; whatever is open stays without a result."""
        self._link.close(abort=True)
        self._rules.link_lost(self._clock())
        self.is_open = False
        self.state, self.error = WriterState.FAULT, reason

    def _open(self) -> None:
        try:
            self._link.open()
        except ContractMismatchError as error:
            self._note_refusal(WriterState.FAULT, error)
            self._open_due_ns = self._clock() + MISMATCH_DELAY_NS
            return
        except LinkError as error:
            self._note_refusal(WriterState.CONNECTING, error)
            self._open_due_ns = self._backoff.failed(self._clock())
            return
        self._board.reconnects += self._has_been_open
        self._has_been_open = self.is_open = True
        self._backoff.opened(self._clock())
        self._restart_reads()
        self._owner.session_opened()
        self._rules.session_opened()
        self.state, self.error = WriterState.RUN, ""
        log.info("session with the controller is open")

    def _note_refusal(self, state: WriterState, error: LinkError) -> None:
        """Keep the reason, and log it when it is a new one."""
        if str(error) != self.error:
            log.error("no session with the controller", extra={"error": str(error)})
        self.state, self.error = state, str(error)

    def _lose(self, error: LinkError) -> None:
        now_ns = self._clock()
        log.error("session with the controller lost", extra={"error": str(error)})
        self._link.close(abort=True)
        self._rules.link_lost(now_ns)
        self.is_open = False
        self.state, self.error = WriterState.CONNECTING, str(error)
        self._open_due_ns = self._backoff.failed(now_ns)

    def _restart_reads(self) -> None:
        self._read_began_ns: int | None = None
        self._echo_due_ns = 0

    def _read(self) -> None:
        began_ns = self._clock()
        wants_echo = began_ns >= self._echo_due_ns or not self._owner.may_write
        reading = self._link.read(echo=wants_echo)
        now_ns = self._clock()
        if reading.echo is not None:
            self._owner.observe(reading.echo, now_ns)
            self.error = "" if self._owner.may_write else _WAITING
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
        self._rules.confirmed(records, self._clock())
