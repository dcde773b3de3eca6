"""The scan task: turns the program on the controller's memory and hands on what it does."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from taktgate.plc.contract.tags import RESULT_TAG, STATUS_TAG, slot_of
from taktgate.standin.line.audit import Audit, Finding
from taktgate.standin.line.pace import ScanPace
from taktgate.standin.line.program import Outputs, Program
from taktgate.standin.line.records import Counters, PartClosed
from taktgate.standin.line.standstill import RunState, Standstill
from taktgate.standin.line.tags_view import LineTags, StatusView
from taktgate.standin.logix.memory import TagMemory

_MILLISECOND: Final = 1_000_000
_LONG_GAP_NS: Final = 50 * _MILLISECOND
"""Two scans that are further apart than this, and than ten periods, are an outage of their own."""
Event = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What the program's outputs are wired to."""

    pulse_trigger: Callable[[int], None]
    """The camera's trigger output; the argument is the part's number, for the truth log only."""
    publish: Callable[[Event], None]


class ScanTask:
    """Scans at its pace, in the event loop of the server: a scan is never interrupted by a write.

    While the controller stands still the belt does not: parts that pass the gate then are rejected.
    """

    def __init__(
        self,
        program: Program,
        memory: TagMemory,
        wiring: Wiring,
        *,
        scan_ms: int = 5,
        pace: ScanPace | None = None,
        run_state: RunState | None = None,
        choose_base: Callable[[], int] | None = None,
    ) -> None:
        self.counters = Counters()
        self.run_state = run_state or RunState()
        self.pace = pace or ScanPace(period_ms=scan_ms)
        self._program = program
        self._memory = memory
        self._tags = LineTags(memory)
        self._status = StatusView(memory)
        self._wiring = wiring
        self._choose_base = choose_base
        self._long_gap_ns = max(_LONG_GAP_NS, 10 * scan_ms * _MILLISECOND)
        settings = program.settings
        self._audit = Audit(
            deadline_ms=settings.deadline_ms, watchdog_ms=settings.watchdog_ms, scan_ms=scan_ms
        )
        self._state: tuple[bool, bool] | None = None
        self._scanned_ns: int | None = None
        self._is_busy = False
        self._standstill: tuple[Standstill, ...] = ()

    async def run(self) -> None:
        """Scan until cancelled. A scan that was missed is left out, as a controller does."""
        while True:
            self.turn(time.monotonic_ns())
            now_ns = time.monotonic_ns()
            await asyncio.sleep((self.pace.end(now_ns) - now_ns) / 1e9)

    def turn(self, now_ns: int) -> None:
        """Scan, or let the belt go on beside a controller that stands still."""
        self.pace.begin(now_ns)
        if self.run_state.is_scanning:
            self.scan(now_ns)
        else:
            self._scanned_ns = None
            self._stand_still(now_ns)
        self._tell_standstill(now_ns)
        said = self._status.news()
        if said is not None:
            self._wiring.publish({"event": "vision", **said, "at_ns": now_ns})

    def state(self) -> Event:
        """Return CommOk and Ready as the program last saw them."""
        comm_ok, ready = self._state or (False, False)
        return {"comm_ok": comm_ok, "ready": ready}

    def vision(self) -> Event:
        """Return VIS01_Sts as it stands."""
        return self._status.now()

    def scan(self, now_ns: int) -> None:
        """Read inputs, run the program, write outputs."""
        self._note_gap(now_ns)
        self._restart_if_told()
        outputs = self._program.scan(self._tags.vision(), now_ns)
        for slot in outputs.invalidated:
            self._tags.invalidate(slot)
        self._tags.write(outputs.command)
        if outputs.triggered is not None:
            self._wiring.pulse_trigger(outputs.triggered)
        for part in outputs.closed:
            self._close(part)
        self._tell_changes(outputs, now_ns)

    def _note_gap(self, now_ns: int) -> None:
        last_ns, self._scanned_ns = self._scanned_ns, now_ns
        if last_ns is not None and now_ns - last_ns > self._long_gap_ns:
            self.run_state.note_gap(last_ns, now_ns)

    def _restart_if_told(self) -> None:
        restart = self.run_state.take_restart()
        if restart is None:
            return
        # What was written before may be gone: a download brings the tags' own values.
        self._tags = LineTags(self._memory)
        base = self._choose_base() if restart.renumbers and self._choose_base else None
        self._program.restart(base=base, retained=self._tags.command())

    def _tell_standstill(self, now_ns: int) -> None:
        reasons = self.run_state.reasons
        if reasons != self._standstill:
            self._standstill = reasons
            self._wiring.publish({"event": "program", "standstill": list(reasons), "at_ns": now_ns})

    def _stand_still(self, now_ns: int) -> None:
        for part in self._program.stand_still(now_ns):
            self._close(part)

    def _close(self, part: PartClosed) -> None:
        finding = self._audit.judge(
            part,
            result_writes=self._memory.writes(
                RESULT_TAG.name, slot_of(part.trigger_id), since_ns=part.trigger_ns
            ),
            status_writes=self._memory.writes(
                STATUS_TAG.name, since_ns=part.trigger_ns - self._audit.hindsight_ns
            ),
            outages=self.run_state.outages(),
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
    return {name: getattr(source, name) for source in (part, finding) for name in source.__slots__}
