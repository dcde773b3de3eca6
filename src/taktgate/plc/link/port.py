"""The port to the controller: what the writer needs of it, and nothing of any vendor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from taktgate.plc.contract.tags import WriterState


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


class TagLink(Protocol):
    """One session with one controller, used by one thread.

    After any LinkError the session is gone: only `open` may follow.
    """

    def open(self) -> None:
        """Open a session and hold the controller's tags against the contract.

        Raises:
            LinkRefusedError: the controller cannot be reached or refused the session.
            ContractMismatchError: its tags are not ours.
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

    def close(self, *, abort: bool) -> None:
        """End the session: politely, or at once when the controller cannot be trusted to answer."""
