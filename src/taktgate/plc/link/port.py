"""The port to the controller: what the writer needs of it, and nothing of any vendor."""

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.verified import VerifiedContract

if TYPE_CHECKING:
    import socket  # a name in one signature


class Mode(StrEnum):
    """What the controller does, by the status word of its identity object."""

    RUN = "run"
    PROGRAM = "program"
    """No program is scanned: nobody judges at the gate."""
    UNKNOWN = "unknown"
    """A status word that is no Logix controller's: the PLC's heartbeat alone has to tell."""


class TagLink(Protocol):
    """One session with one controller, used by one thread.

    After any LinkError the session is gone: only `open` may follow.
    """

    def open(self, connection: "socket.socket", contract: VerifiedContract) -> None:
        """Open a session on *connection*, which is connected, and compare the controller's marks.

        The short open: no tag definition is uploaded. Takes *connection* over, also when it fails.
        Each exchange is bounded by the reply timeout.

        Raises:
            LinkRefusedError: the controller refused the session or the connection in it.
            LinkDeadError: no answer that can be trusted came in time.
            ContractChangedError: it is not as it was when *contract* was verified.
            ConnectionTooSmallError: what it grants holds no whole verdict.
        """

    def recheck(self) -> Mode:
        """Compare the marks once more, in one exchange; return what the controller does.

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
            ContractChangedError: the controller has changed since the session was opened.
        """

    def read(self, *, echo: bool) -> Reading:
        """Read the command, and with *echo* also what the status tag holds, in one exchange.

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Write *results*, each to its slot, and *status*, in one request.

        Raises:
            LinkDeadError: the outcome is unknown, or a tag was refused.
        """

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        """Read what the result slots *slots* (0..7) hold, in that order, in one exchange.

        Raises:
            LinkDeadError: no answer that can be trusted came in time.
        """

    def close(self, *, abort: bool) -> None:
        """End the session: politely, or at once when the controller cannot be trusted to answer."""
