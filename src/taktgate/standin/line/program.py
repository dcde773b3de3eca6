"""One scan of the line program: inputs in, outputs out, no clock and no socket."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from taktgate.plc.contract.tags import RESULT_SLOTS, slot_of
from taktgate.standin.line.conveyor import BeltSettings, Conveyor
from taktgate.standin.line.ladder import Rule, accepts
from taktgate.standin.line.part import OpenPart
from taktgate.standin.line.production import Production
from taktgate.standin.line.records import Gate, PartClosed
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
        gate_delay_ms: From the trigger to the eye of the reject gate.
        watchdog_ms: A vision heartbeat that stands still this long is a fault.
        flap_ms: From the gate's eye to its flap.
        gate_move_ms: What the flap takes to move.
    """

    deadline_ms: int = 200
    gate_delay_ms: int = 300
    watchdog_ms: int = 400
    flap_ms: int = 500
    gate_move_ms: int = 30

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
        self.belt()

    def belt(self) -> BeltSettings:
        """Return the distances on the belt.

        Raises:
            ValueError: they break a rule.
        """
        return BeltSettings(
            gate_delay_ms=self.gate_delay_ms,
            flap_ms=self.flap_ms,
            gate_move_ms=self.gate_move_ms,
        )

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


class Program(Protocol):
    """What the scan task runs: `LineProgram`, or the imported ladder (`LadderProgram`)."""

    settings: LineSettings
    production: Production

    @property
    def open_parts(self) -> int:
        """Return how many parts are between trigger and gate."""
        ...

    @property
    def conveyor(self) -> Conveyor:
        """Return the belt, with its parts."""
        ...

    def scan(self, vision: Vision, now_ns: int) -> Outputs:
        """Run the program once, top to bottom."""
        ...

    def restart(self, *, base: int | None, retained: Command) -> None:
        """Make the next scan a first one.

        Tags are retentive: the program goes on from what VIS01_Cmd holds. With a *base*, parts are
        numbered anew from there.
        """
        ...

    def stand_still(self, now_ns: int) -> tuple[PartClosed, ...]:
        """Return the parts that met the gate at rest because no scan decided about them."""
        ...


class PartsOnLine:
    """The parts between trigger and gate: where they are, and what their result slots showed."""

    def __init__(self, settings: LineSettings, *, rule: Rule) -> None:
        self.conveyor = Conveyor(settings.belt())
        self._deadline_ns = settings.deadline_ms * _MILLISECOND
        self._rule = rule
        self._parts: deque[OpenPart] = deque()

    def __len__(self) -> int:
        return len(self._parts)

    def by_slot(self) -> list[OpenPart]:
        """Return the parts slot by slot, as the unrolled rungs of the imported routine look."""
        return sorted(self._parts, key=lambda part: slot_of(part.trigger_id))

    def enter(self, trigger_id: int, now_ns: int) -> None:
        """Let a part in, at its trigger. An old result in its slot can no longer count for it."""
        self.conveyor.enter(trigger_id, now_ns)
        self._parts.append(
            OpenPart(
                trigger_id=trigger_id,
                trigger_ns=now_ns,
                deadline_ns=self._deadline_ns,
                rule=self._rule,
            )
        )

    def take_slot(self, trigger_id: int) -> None:
        """Have a newer part take its slot: one that still has it is forgotten, as by the rungs.

        Not on this line's own parts: its rate leaves each its slot until the gate.
        """
        for part in self._parts:
            if slot_of(part.trigger_id) == slot_of(trigger_id):
                part.abandon()

    def abandon(self) -> None:
        """Reject all parts for good, as a first scan does."""
        for part in self._parts:
            part.abandon()

    @property
    def first(self) -> OpenPart:
        """Return the part that comes to the gate next."""
        return self._parts[0]

    def close(self, record: PartClosed, now_ns: int) -> None:
        """Let the first part go on to the flap, by what its *record* says."""
        part = self._parts.popleft()
        self.conveyor.sort(part.trigger_id, now_ns, is_accepted=record.gate is Gate.ACCEPT)

    def pass_by(self, now_ns: int) -> Iterator[PartClosed]:
        """Close the parts that no scan decided about in time: they met the flap at rest."""
        for _ in self.conveyor.out_of_reach(now_ns):
            record = self.first.pass_by(now_ns)
            self.close(record, now_ns)
            yield record


class LineProgram:
    """Parts arrive, are triggered, watched and gated. State changes only in `scan`."""

    def __init__(self, settings: LineSettings, *, base: int, rule: Rule = accepts) -> None:
        self.settings = settings
        self.production = Production()
        self._parts = PartsOnLine(settings, rule=rule)
        self._trigger_id = base
        self._ack_seq = 0
        self._pulse = Pulse()
        self._watchdog = Watchdog(preset_ns=settings.watchdog_ms * _MILLISECOND)
        self._is_first_scan = True
        self._was_ready = False

    @property
    def open_parts(self) -> int:
        """Return how many parts are between trigger and gate."""
        return len(self._parts)

    @property
    def conveyor(self) -> Conveyor:
        """Return the belt, with its parts."""
        return self._parts.conveyor

    def restart(self, *, base: int | None, retained: Command) -> None:
        """Make the next scan a first one; see `Program`."""
        self._trigger_id = retained.trigger_id if base is None else base
        self._ack_seq = retained.ack_seq
        self._pulse = Pulse(count=retained.heartbeat)
        self._watchdog = Watchdog(preset_ns=self.settings.watchdog_ms * _MILLISECOND)
        self._is_first_scan = True
        self._was_ready = False

    def scan(self, vision: Vision, now_ns: int) -> Outputs:
        """Run the program once, top to bottom."""
        is_first_scan, self._is_first_scan = self._is_first_scan, False
        heartbeat = self._pulse.scan(now_ns)
        comm_ok = self._watchdog.scan(vision.heartbeat, now_ns)
        if is_first_scan:
            self._parts.abandon()
        else:
            self._watch(vision, now_ns, comm_ok=comm_ok)
        closed = (*self._parts.pass_by(now_ns), *self._gate(now_ns, comm_ok=comm_ok))
        invalidated = tuple(range(RESULT_SLOTS)) if is_first_scan else ()
        triggered = None
        # The eye is an input, read before the scan with what the last one had found. On a first
        # scan it makes no edge: the prescan of its one-shot sees to that.
        if not is_first_scan and self.production.is_due(now_ns, is_ready=self._was_ready):
            self._trigger_id = triggered = self._trigger_id + 1
            self._parts.enter(triggered, now_ns)
            invalidated = (*invalidated, slot_of(triggered))
        self._was_ready = comm_ok and vision.ready
        return Outputs(
            command=Command(
                heartbeat=heartbeat,
                trigger_id=self._trigger_id,
                ack_seq=self._ack_seq,
                deadline_ms=self.settings.deadline_ms,
                enable=self.production.is_running or bool(self._parts),
                hb_fault=not comm_ok,
            ),
            triggered=triggered,
            invalidated=invalidated,
            closed=closed,
            comm_ok=comm_ok,
            ready=vision.ready,
        )

    def stand_still(self, now_ns: int) -> tuple[PartClosed, ...]:
        """Return the parts that met the gate at rest because no scan decided about them."""
        return tuple(self._parts.pass_by(now_ns))

    def _watch(self, vision: Vision, now_ns: int, *, comm_ok: bool) -> None:
        for part in self._parts.by_slot():
            consumed = part.scan(vision, now_ns, comm_ok=comm_ok)
            if consumed is not None:
                self._ack_seq = consumed

    def _gate(self, now_ns: int, *, comm_ok: bool) -> Iterator[PartClosed]:
        for _ in self._parts.conveyor.at_gate(now_ns):
            record = self._parts.first.close(now_ns, comm_ok=comm_ok)
            self._parts.close(record, now_ns)
            yield record
