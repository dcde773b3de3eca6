"""A controller in memory behind the port `TagLink`: to try the writer without a network."""

from collections.abc import Sequence

from taktgate.plc.contract.tags import slot_of
from taktgate.plc.errors import LinkDeadError, LinkError
from taktgate.plc.link.port import Command, Reading, ResultRecord, StatusEcho, StatusRecord


class MemoryLink:
    """Holds the three tags. Failures are put in by method name and happen once, in order."""

    def __init__(self, command: Command) -> None:
        self.command = command
        self.results: dict[int, ResultRecord] = {}
        self.status: StatusRecord | None = None
        self.echo = StatusEcho(boot_id=0, heartbeat=0, last_seq=0)
        self.written: list[ResultRecord] = []
        """Every result that was executed, also when its confirmation was lost."""
        self.failures: dict[str, list[LinkError]] = {"open": [], "read": [], "write": []}
        self.opens = 0
        self.closes: list[bool] = []
        """`abort` of each close."""
        self._is_open = False

    def open(self) -> None:
        """Open a session (see `TagLink.open`)."""
        self._fail("open")
        self._is_open = True
        self.opens += 1

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

    def close(self, *, abort: bool) -> None:
        """End the session."""
        self._is_open = False
        self.closes.append(abort)

    def _require_session(self) -> None:
        if not self._is_open:
            raise LinkDeadError("no session is open")

    def _fail(self, method: str) -> None:
        if self.failures[method]:
            self._is_open = False
            raise self.failures[method].pop(0)
