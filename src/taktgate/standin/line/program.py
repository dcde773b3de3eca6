"""One scan of the line program: inputs in, outputs out, no clock and no socket."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from taktgate.plc.contract.tags import RESULT_SLOTS, slot_of
from taktgate.standin.line.ladder import Rule, accepts
from taktgate.standin.line.part import OpenPart
from taktgate.standin.line.production import Production
from taktgate.standin.line.records import PartClosed
from taktgate.standin.line.tags_view import Command, Vision
from taktgate.standin.line.watchdog import Pulse, Watchdog

_MILLISECOND: Final = 1_000_000
HIGHEST_BASE: Final = 1_000_000
"""A PLC start numbers its parts from a base within 1..this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """Presets of the program.

    Attributes:
        deadline_ms: From the trigger to the acknowledge; written to VIS01_Cmd.DeadlineMs.
        gate_delay_ms: From the trigger to the reject gate.
        watchdog_ms: A vision heartbeat that stands still this long is a fault.
    """

    deadline_ms: int = 200
    gate_delay_ms: int = 300
    watchdog_ms: int = 400

    def __post_init__(self) -> None:
        rules = {
            "deadline_ms must be 10..10000": 10 <= self.deadline_ms <= 10_000,
            "gate_delay_ms must be at least deadline_ms + 20": self.gate_delay_ms
            >= self.deadline_ms + 20,
            "gate_delay_ms must be at most 60000": self.gate_delay_ms <= 60_000,
            "watchdog_ms must be 100..10000": 100 <= self.watchdog_ms <= 10_000,
        }
        for rule, holds in rules.items():
            if not holds:
                raise ValueError(rule)

    def highest_rate(self) -> float:
        """Return the parts per second that the result slots are enough for.

        Two are spare: a scan that came late lets the next parts come closer together.
        """
        return (RESULT_SLOTS - 2) * 1000 / self.gate_delay_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What one scan does to the world."""

    command: Command
    triggered: int | None
    """The camera's trigger output is pulsed, for this part."""
    invalidated: tuple[int, ...]
    """Result slots whose Valid is cleared: all on the first scan, a part's own at its trigger."""
    closed: tuple[PartClosed, ...]
    comm_ok: bool
    ready: bool


class LineProgram:
    """Parts arrive, are triggered, watched and gated. State changes only in `scan`."""

    def __init__(self, settings: LineSettings, *, base: int, rule: Rule = accepts) -> None:
        self.settings = settings
        self._rule = rule
        self.production = Production()
        self._trigger_id = base
        self._ack_seq = 0
        self._pulse = Pulse()
        self._watchdog = Watchdog(preset_ns=settings.watchdog_ms * _MILLISECOND)
        self._open: deque[OpenPart] = deque()
        self._is_first_scan = True

    @property
    def open_parts(self) -> int:
        """Return how many parts are between trigger and gate."""
        return len(self._open)

    def scan(self, vision: Vision, now_ns: int) -> Outputs:
        """Run the program once, top to bottom."""
        heartbeat = self._pulse.scan(now_ns)
        comm_ok = self._watchdog.scan(vision.heartbeat, now_ns)
        invalidated = tuple(range(RESULT_SLOTS)) if self._is_first_scan else ()
        if not self._is_first_scan:
            self._watch(vision, now_ns, comm_ok=comm_ok)
        self._is_first_scan = False
        closed = self._gate(now_ns, comm_ok=comm_ok)
        triggered = None
        if self.production.is_due(now_ns, is_ready=comm_ok and vision.ready):
            triggered = self._trigger(now_ns)
            invalidated = (*invalidated, slot_of(triggered))
        return Outputs(
            command=Command(
                heartbeat=heartbeat,
                trigger_id=self._trigger_id,
                ack_seq=self._ack_seq,
                deadline_ms=self.settings.deadline_ms,
                enable=self.production.is_running or bool(self._open),
                hb_fault=not comm_ok,
            ),
            triggered=triggered,
            invalidated=invalidated,
            closed=closed,
            comm_ok=comm_ok,
            ready=vision.ready,
        )

    def _watch(self, vision: Vision, now_ns: int, *, comm_ok: bool) -> None:
        # Slot by slot, as the unrolled rungs of the imported routine do.
        for part in sorted(self._open, key=lambda each: slot_of(each.trigger_id)):
            consumed = part.scan(vision, now_ns, comm_ok=comm_ok)
            if consumed is not None:
                self._ack_seq = consumed

    def _gate(self, now_ns: int, *, comm_ok: bool) -> tuple[PartClosed, ...]:
        delay_ns = self.settings.gate_delay_ms * _MILLISECOND
        closed = []
        while self._open and now_ns - self._open[0].trigger_ns >= delay_ns:
            closed.append(self._open.popleft().close(now_ns, comm_ok=comm_ok))
        return tuple(closed)

    def _trigger(self, now_ns: int) -> int:
        """Number a new part. An old result in its slot can no longer count for it."""
        self._trigger_id += 1
        part = OpenPart(
            trigger_id=self._trigger_id,
            trigger_ns=now_ns,
            deadline_ns=self.settings.deadline_ms * _MILLISECOND,
            rule=self._rule,
        )
        self._open.append(part)
        return self._trigger_id
