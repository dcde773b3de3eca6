"""The scan task: turns the program on the controller's memory and hands on what it does."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from taktgate.plc.contract.tags import RESULT_TAG, STATUS_TAG, slot_of
from taktgate.standin.line.audit import Audit, Finding
from taktgate.standin.line.program import LineProgram, Outputs
from taktgate.standin.line.records import Counters, PartClosed
from taktgate.standin.line.tags_view import LineTags
from taktgate.standin.logix.memory import TagMemory

_MILLISECOND: Final = 1_000_000
Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the program's outputs are wired to."""

    pulse_trigger: Callable[[int], None]
    """The camera's trigger output; the argument is the part's number, for the truth log only."""
    publish: Callable[[Event], None]


class ScanTask:
    """Scans every *scan_ms*, in the event loop of the server: no client's write is half seen."""

    def __init__(
        self, program: LineProgram, memory: TagMemory, wiring: Wiring, *, scan_ms: int = 5
    ) -> None:
        self.counters = Counters()
        self._program = program
        self._memory = memory
        self._tags = LineTags(memory)
        self._wiring = wiring
        self._scan_ms = scan_ms
        settings = program.settings
        self._audit = Audit(
            deadline_ms=settings.deadline_ms, watchdog_ms=settings.watchdog_ms, scan_ms=scan_ms
        )
        self._state: tuple[bool, bool] | None = None
        self._is_busy = False

    async def run(self) -> None:
        """Scan until cancelled. A scan that was missed is left out, as a controller does."""
        due_ns = time.monotonic_ns()
        while True:
            self.scan(time.monotonic_ns())
            now_ns = time.monotonic_ns()
            due_ns = max(due_ns + self._scan_ms * _MILLISECOND, now_ns)
            await asyncio.sleep((due_ns - now_ns) / 1e9)

    def state(self) -> Event:
        """Return CommOk and Ready as the program last saw them."""
        comm_ok, ready = self._state or (False, False)
        return {"comm_ok": comm_ok, "ready": ready}

    def scan(self, now_ns: int) -> None:
        """Read inputs, run the program, write outputs."""
        outputs = self._program.scan(self._tags.vision(), now_ns)
        for slot in outputs.invalidated:
            self._tags.invalidate(slot)
        self._tags.write(outputs.command)
        if outputs.triggered is not None:
            self._wiring.pulse_trigger(outputs.triggered)
        for part in outputs.closed:
            self._close(part)
        self._tell_changes(outputs, now_ns)

    def _close(self, part: PartClosed) -> None:
        finding = self._audit.judge(
            part,
            result_writes=self._memory.writes(
                RESULT_TAG.name, slot_of(part.trigger_id), since_ns=part.trigger_ns
            ),
            status_writes=self._memory.writes(
                STATUS_TAG.name, since_ns=part.trigger_ns - self._audit.hindsight_ns
            ),
        )
        self.counters.count(part, unsafe=finding.unsafe, unexplained=finding.unexplained)
        self._wiring.publish({"event": "part", **_facts(part, finding)})

    def _tell_changes(self, outputs: Outputs, now_ns: int) -> None:
        state = (outputs.comm_ok, outputs.ready)
        if state != self._state:
            self._state = state
            self._wiring.publish({"event": "state", **self.state(), "at_ns": now_ns})
        was_busy, self._is_busy = self._is_busy, outputs.command.enable
        if was_busy and not self._is_busy:
            self._wiring.publish({"event": "finished", **self.counters.as_dict()})


def _facts(part: PartClosed, finding: Finding) -> dict[str, Any]:
    return asdict(part) | asdict(finding)
