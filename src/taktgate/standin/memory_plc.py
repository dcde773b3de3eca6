"""A PLC in memory behind the writer's ports: how it is found, checked, read and written.

It keeps records and fails on order. Where bytes, a PLC program and chance matter:
`standin.verdict_storm.network`.
"""

import socket
from collections.abc import Sequence

from taktgate.plc.contract.records import (
    EMPTY_SLOT,
    Command,
    Reading,
    ResultRecord,
    SlotEcho,
    StatusEcho,
    StatusRecord,
    echo_of,
)
from taktgate.plc.contract.tags import slot_of
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.errors import LinkDeadError, LinkError
from taktgate.plc.link.port import Mode
from taktgate.plc.opening.check_report import CheckReport, Finding, Verified

VERIFIED = CheckReport(
    finding=Finding.VERIFIED,
    host="10.0.0.1",
    verified=Verified(
        address="10.0.0.1",
        profile="udt",
        serial=1,
        product_name="memory",
        table_version="01",
        handles={},
    ),
)


class MemoryLink:
    """Holds the three tags. Failures are put in by method name and happen once, in order."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.results: dict[int, ResultRecord] = {}
        self.status: StatusRecord | None = None
        self.echo = StatusEcho(boot_id=0, heartbeat=0, last_seq=0)
        self.written: list[ResultRecord] = []
        """Every result that was executed, also when its confirmation was lost."""
        self.foreign: dict[int, SlotEcho] = {}
        """Slots that hold something else than what was written there last."""
        methods = ("open", "recheck", "read", "write", "read_back")
        self.failures: dict[str, list[LinkError]] = {method: [] for method in methods}
        self.mode = Mode.RUN
        self.opens = 0
        self.closes: list[bool] = []
        """`abort` of each close."""
        self._is_open = False

    def open(self, connection: socket.socket, contract: VerifiedContract) -> None:
        """Open a session (see `TagLink.open`); *connection* leads nowhere."""
        connection.close()
        self._fail("open")
        self._is_open = True
        self.opens += 1

    def recheck(self) -> Mode:
        """Return the mode (see `TagLink.recheck`)."""
        self._require_session()
        self._fail("recheck")
        return self.mode

    def read(self, *, echo: bool) -> Reading:
        """Return the command (see `TagLink.read`)."""
        self._require_session()
        self._fail("read")
        return Reading(command=self.command, echo=self.echo if echo else None)

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        """Take *results* and *status* (see `TagLink.write`); a failure comes after the fact."""
        self._require_session()
        self.written.extend(results)
        self.results.update({slot_of(record.trigger_id): record for record in results})
        self.status = status
        self.echo = StatusEcho(
            boot_id=status.boot_id, heartbeat=status.heartbeat, last_seq=status.last_seq
        )
        self._fail("write")

    def read_back(self, slots: Sequence[int]) -> tuple[SlotEcho, ...]:
        """Return what the slots hold (see `TagLink.read_back`)."""
        self._require_session()
        self._fail("read_back")
        return tuple(self.foreign.get(slot) or self._echo_of(slot) for slot in slots)

    def close(self, *, abort: bool) -> None:
        """End the session."""
        self._is_open = False
        self.closes.append(abort)

    def _echo_of(self, slot: int) -> SlotEcho:
        record = self.results.get(slot)
        return EMPTY_SLOT if record is None else echo_of(record)

    def _require_session(self) -> None:
        if not self._is_open:
            raise LinkDeadError("no session is open")

    def _fail(self, method: str) -> None:
        if self.failures[method]:
            self._is_open = False
            raise self.failures[method].pop(0)


class MemoryProbe:
    """Answers at each look, unless it was told to stay silent."""

    def __init__(self) -> None:
        self.is_silent = False
        self.looks = 0
        self.error = ""

    def look(self, host: str, now_ns: int) -> socket.socket | None:
        """Return a socket that leads nowhere, or None."""
        self.looks += 1
        self.error = "nobody answers" if self.is_silent else ""
        return None if self.is_silent else socket.socket()

    def stop(self) -> None:
        """Do nothing: nothing is under way."""


class MemoryChecker:
    """Has its report at the poll after the start. Other reports are put in, and come once each."""

    def __init__(self) -> None:
        self.reports: list[CheckReport] = []
        self.starts = 0
        self.is_running = False

    def start(self) -> None:
        """Begin a check."""
        self.starts += 1
        self.is_running = True

    def poll(self) -> CheckReport | None:
        """Return the report."""
        self.is_running = False
        return self.reports.pop(0) if self.reports else VERIFIED

    def stop(self) -> None:
        """End the check."""
        self.is_running = False
