"""What the judge is told about the line: each change of the command, and a repeat every 100 ms."""

from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import LineState
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command
from taktgate.plc.handshake.admission import Place
from taktgate.plc.handshake.rules import is_valid_deadline

REPEAT_NS: Final = 100 * MILLISECOND


class LineReporter:
    """Turns readings into line states."""

    def __init__(self, *, place: Place, writer_start_id: str) -> None:
        self._place = place
        self._writer_start_id = writer_start_id
        self._sequence = 0
        self._last_facts: tuple[int, int, int, bool] | None = None
        self._last_ns = 0

    def observe(
        self,
        command: Command,
        *,
        epoch: int,
        is_edge: bool,
        observed_after_ns: int,
        observed_ns: int,
    ) -> LineState | None:
        """Return the state to send, or None when nothing changed and no repeat is due.

        A deadline outside of the contract is not sent on: without a valid one no part is judged.
        """
        facts = (epoch, command.trigger_id, command.deadline_ms, command.enable)
        is_repeat_due = observed_ns - self._last_ns >= REPEAT_NS
        if not is_valid_deadline(command) or (facts == self._last_facts and not is_repeat_due):
            return None
        self._last_facts, self._last_ns = facts, observed_ns
        self._sequence += 1
        return LineState(
            contract=CONTRACT_VERSION,
            station=self._place.station,
            kernel_boot_id=self._place.kernel_boot_id,
            writer_start_id=self._writer_start_id,
            plc_epoch=epoch,
            sequence=self._sequence,
            trigger_id=command.trigger_id,
            is_edge=is_edge,
            deadline_ms=command.deadline_ms,
            enable=command.enable,
            observed_after_ns=observed_after_ns,
            observed_ns=observed_ns,
        )
