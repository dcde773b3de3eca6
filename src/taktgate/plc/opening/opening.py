"""From no session to an open one, in steps that hardly wait.

    probe ── answers ──► full check in its own process ── verified ──► probe ── answers ──► open
      ▲                    (only where nothing is known)                                     │
      └────────────── session lost: what is known of the controller stays known ◄────────────┘

Whatever changes at the controller is found by comparing its marks: then the check comes again.
"""

import logging
import socket
from typing import Final, Protocol

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.contract.tags import StatusError
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.errors import (
    ContractChangedError,
    ContractMismatchError,
    LinkError,
    LinkRefusedError,
)
from taktgate.plc.link.address import ControllerAddress
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.check_report import CheckReport, Finding
from taktgate.plc.opening.reconnect import MISMATCH_DELAY_NS, Backoff
from taktgate.plc.opening.states import Event, Progress

log = logging.getLogger(__name__)

NAME_AGE_NS: Final = 10 * SECOND
"""A name is looked up again when nobody has answered behind it for so long."""
_NEEDS_A_PERSON: Final = {
    Finding.MISMATCH: StatusError.TAGS,
    Finding.FOREIGN: StatusError.CONTROLLER,
}


class Finder(Protocol):
    """Looks for the controller without waiting (see `probe.Probe`)."""

    error: str

    def look(self, host: str, now_ns: int) -> socket.socket | None:
        """Return a connection on which the controller has answered, or None."""

    def stop(self) -> None:
        """Drop what is under way."""


class Checker(Protocol):
    """Checks a controller in a process of its own (see `checker.ProcessChecker`)."""

    @property
    def is_running(self) -> bool:
        """Tell whether a report is still to come."""
        ...

    def start(self) -> None:
        """Begin a check."""

    def poll(self) -> CheckReport | None:
        """Return the report once there is one."""

    def stop(self) -> None:
        """End what is under way."""


class Opening:
    """What is known of the controller, and the next step towards a session with it."""

    def __init__(
        self,
        *,
        address: ControllerAddress,
        link: TagLink,
        probe: Finder,
        checker: Checker,
        backoff: Backoff,
        progress: Progress,
    ) -> None:
        self._address = address
        self._link = link
        self._probe = probe
        self._checker = checker
        self._backoff = backoff
        self._progress = progress
        self._host = address.host if address.is_numeric else ""
        self._heard_ns: int | None = None
        """When somebody last answered at the host, or its name was looked up."""
        self._contract: VerifiedContract | None = None
        self._is_untried = False
        """The contract was verified, but no session has confirmed it yet."""
        self._due_ns = 0
        self._began_ns = 0
        self.error = ""
        """Why there is no session, in words."""
        self.code = StatusError.NONE
        """What a person has to mend before there can be one."""
        self.checks = 0
        """Full checks since the start of the writer."""
        self.check_ms = 0
        """How long the last of them took, from its start to its report."""

    def step(self, now_ns: int) -> bool:
        """Go one step; return True when the link is open."""
        if self._checker.is_running:
            report = self._checker.poll()
            if report is not None:
                self._take(report, now_ns)
            return False
        if now_ns < self._due_ns:
            return False
        if not self._host:
            self._begin_check(now_ns)
            return False
        connection = self._probe.look(self._host, now_ns)
        if connection is None:
            self._note_silence(now_ns)
            return False
        self._heard_ns = now_ns
        if self._contract is None:
            connection.close()
            self._begin_check(now_ns)
            return False
        return self._open(connection, self._contract, now_ns)

    def lost(self, error: LinkError, now_ns: int) -> None:
        """Take note that the session is gone; what is known of the controller stays known."""
        self._due_ns = self._backoff.lost(now_ns)
        self._heard_ns = now_ns
        self.error = str(error)
        if isinstance(error, ContractChangedError):
            self._contract = None
        self._forget_a_stranger()

    def stop(self) -> None:
        """End what is under way."""
        self._probe.stop()
        self._checker.stop()

    def _open(self, connection: socket.socket, contract: VerifiedContract, now_ns: int) -> bool:
        try:
            self._link.open(connection, contract)
        except ContractChangedError as error:
            # Once is a download. Changed again right after the check is checked with a delay.
            self._due_ns = self._backoff.refused(now_ns) if self._is_untried else now_ns
            self._contract = None
            self._say(error)
            return False
        except ContractMismatchError as error:
            self._need_person(StatusError.TAGS, str(error), now_ns)
            return False
        except LinkError as error:
            has_refused = isinstance(error, LinkRefusedError)
            self._due_ns = (self._backoff.refused if has_refused else self._backoff.died)(now_ns)
            self._forget_a_stranger()
            self._say(error)
            return False
        self._backoff.opened(now_ns)
        self._is_untried = False
        self.error = ""
        return True

    def _begin_check(self, now_ns: int) -> None:
        self.checks += 1
        self._began_ns = now_ns
        self._checker.start()

    def _take(self, report: CheckReport, now_ns: int) -> None:
        self.check_ms = (now_ns - self._began_ns) // MILLISECOND
        self._host, self._heard_ns = report.host or self._host, now_ns
        self._contract = report.contract
        self._is_untried = self._contract is not None
        if self._contract is not None:
            self._due_ns, self.error, self.code = now_ns, "", StatusError.NONE
            self._progress.note(Event.VERIFIED)
            log.info("the controller's tags are ours", extra={"checked": str(self._contract)})
        elif report.finding in _NEEDS_A_PERSON:
            self._need_person(_NEEDS_A_PERSON[report.finding], report.words, now_ns)
        else:
            self._due_ns = self._backoff.refused(now_ns)
            self._say_unless_broken(report.words)

    def _need_person(self, code: StatusError, reason: str, now_ns: int) -> None:
        """Write nothing to this controller, and look again later."""
        self._contract = None
        self._due_ns, self.code = now_ns + MISMATCH_DELAY_NS, code
        self._progress.note(Event.MISMATCHED)
        self._say(reason)

    def _note_silence(self, now_ns: int) -> None:
        """Keep the reason, and doubt a name behind which nobody answers."""
        if self._probe.error:
            self._forget_a_stranger()
            self._say_unless_broken(f"{self._host}:{self._address.port}: {self._probe.error}")
        if self._heard_ns is None:
            self._heard_ns = now_ns
        if not self._address.is_numeric and now_ns - self._heard_ns > NAME_AGE_NS:
            self._probe.stop()
            self._host = ""

    def _forget_a_stranger(self) -> None:
        """A controller without any mark may be another one as soon as it was out of sight."""
        if self._contract is not None and not self._contract.can_be_recognised:
            self._contract = None

    def _say_unless_broken(self, reason: str) -> None:
        """A silence does not take back that the tags were wrong when last seen."""
        if self.code is StatusError.NONE:
            self._say(reason)

    def _say(self, reason: LinkError | str) -> None:
        """Keep why there is no session, and log it when it is a new reason."""
        if str(reason) != self.error:
            log.error("no session with the controller", extra={"error": str(reason)})
        self.error = str(reason)
