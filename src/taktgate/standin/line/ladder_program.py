"""The imported ladder as the line's program: its rungs decide, on the controller's own memory."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS_TAG,
    Tag,
)
from taktgate.plc.ladder.gate_operands import OPERANDS
from taktgate.plc.ladder.gate_program import rungs
from taktgate.standin.line.conveyor import Conveyor
from taktgate.standin.line.ladder import accepts
from taktgate.standin.line.ladder_memory import program_memory
from taktgate.standin.line.part import ACCEPTED
from taktgate.standin.line.production import Production
from taktgate.standin.line.program import LineSettings, Outputs, PartsOnLine
from taktgate.standin.line.records import Gate, PartClosed
from taktgate.standin.line.rll import Memory, Routine
from taktgate.standin.line.tags_view import Command, Vision
from taktgate.standin.logix.memory import TagMemory

_MILLISECOND: Final = 1_000_000
_NAMES: Final = OPERANDS["udt"]
OTHERWISE: Final = "OTHERWISE"
"""The rungs rejected what the python program would have accepted: one of them is wrong."""


class LadderProgram:
    """Runs `plc/ladder/gate_program.py` with the plant around it: eyes, belt, presets, camera.

    The rungs read and write the tags themselves; what they say goes to trigger and gate. The parts'
    records (verdict, reason, why) are of a witness that looks at the same slots; it decides
    nothing.
    """

    def __init__(self, settings: LineSettings, memory: TagMemory, *, base: int) -> None:
        self.settings = settings
        self.production = Production()
        self._memory = memory
        self._parts = PartsOnLine(settings, rule=accepts)
        self._was_ready = False
        self._load()
        self._tags[COMMAND_TAG.name]["TriggerId"] = base

    @property
    def open_parts(self) -> int:
        """Return how many parts are between trigger and gate."""
        return len(self._parts)

    @property
    def conveyor(self) -> Conveyor:
        """Return the belt, with its parts."""
        return self._parts.conveyor

    def restart(self, *, base: int | None, retained: Command) -> None:
        """Make the next scan a first one; see `Program`. All tags are retentive, ours too."""
        if base is not None:
            # New numbers come with a new power-up or project: our own tags start anew as well.
            self._load()
        self._tags[COMMAND_TAG.name]["TriggerId"] = retained.trigger_id if base is None else base
        self._routine.prescan()
        self._tags["S:FS"] = True
        self._was_ready = False

    def scan(self, vision: Vision, now_ns: int) -> Outputs:
        """Run all rungs once, with the plant's inputs as they were before."""
        tags, is_first_scan = self._tags, bool(self._tags["S:FS"])
        at_gate = self._read_plant(now_ns)
        self._routine.scan(now_ns // _MILLISECOND)
        tags["S:FS"] = False
        comm_ok, command = bool(tags["VIS01_CommOk"]), self._command()
        self._watch(vision, now_ns, comm_ok=comm_ok, is_first_scan=is_first_scan)
        closed = (*self._parts.pass_by(now_ns), *self._gate(at_gate, now_ns, comm_ok=comm_ok))
        triggered = command.trigger_id if tags["VIS01_TriggerOut"] else None
        if triggered is not None:
            self._parts.enter(triggered, now_ns)
        self._was_ready = comm_ok and vision.ready
        return Outputs(
            command=command,
            triggered=triggered,
            invalidated=(),
            closed=closed,
            comm_ok=comm_ok,
            ready=vision.ready,
        )

    def stand_still(self, now_ns: int) -> tuple[PartClosed, ...]:
        """Return the parts that met the gate at rest because no scan decided about them."""
        return tuple(self._parts.pass_by(now_ns))

    def _load(self) -> None:
        """Put the routine and its own tags into the controller, as a download does."""
        self._tags = program_memory(_NAMES) | _contract_tags(self._memory)
        ladder = rungs(watchdog_ms=self.settings.watchdog_ms)
        self._routine = Routine([rung.text for rung in ladder], self._tags)

    def _read_plant(self, now_ns: int) -> int | None:
        """Set the inputs that the plant sets; return the part at the gate's eye."""
        tags = self._tags
        # Between two parts the eye sees light for a scan, or the one-shot would miss the second;
        # on a first scan it is no edge.
        is_blind = bool(tags["VIS01_PartIn"] or tags["S:FS"])
        tags["VIS01_PartIn"] = not is_blind and self.production.is_due(
            now_ns, is_ready=self._was_ready
        )
        at_gate = next(iter(self._parts.conveyor.at_gate(now_ns)), None)
        tags["VIS01_AtGate"] = at_gate is not None
        tags["VIS01_GateId"] = at_gate or 0
        command = tags[COMMAND_TAG.name]
        command["DeadlineMs"] = self.settings.deadline_ms
        return at_gate

    def _watch(self, vision: Vision, now_ns: int, *, comm_ok: bool, is_first_scan: bool) -> None:
        if is_first_scan:
            self._parts.abandon()
            return
        for part in self._parts.by_slot():
            part.scan(vision, now_ns, comm_ok=comm_ok)

    def _gate(self, at_gate: int | None, now_ns: int, *, comm_ok: bool) -> Iterator[PartClosed]:
        if at_gate is None:
            return
        seen = self._parts.first.close(now_ns, comm_ok=comm_ok)
        record = _as_decided(seen, is_accepted=bool(self._tags["VIS01_AcceptOut"]))
        self._parts.close(record, now_ns)
        yield record

    def _command(self) -> Command:
        command = self._tags[COMMAND_TAG.name]
        enable = self.production.is_running or bool(self._parts)
        return Command(
            heartbeat=command["PlcHeartbeat"],
            trigger_id=command["TriggerId"],
            ack_seq=command["AckSeq"],
            deadline_ms=command["DeadlineMs"],
            enable=enable or bool(self._tags["VIS01_TriggerOut"]),
            hb_fault=command["HbFault"],
        )


def _as_decided(seen: PartClosed, *, is_accepted: bool) -> PartClosed:
    """Return the record with the gate as the rungs moved it."""
    gate = Gate.ACCEPT if is_accepted else Gate.REJECT
    if gate is seen.gate:
        return seen
    return replace(seen, gate=gate, why=ACCEPTED if is_accepted else OTHERWISE)


def _contract_tags(memory: TagMemory) -> Memory:
    return {
        RESULT_TAG.name: [_Structure(memory, RESULT_TAG, slot) for slot in range(RESULT_SLOTS)],
        STATUS_TAG.name: _Structure(memory, STATUS_TAG),
        COMMAND_TAG.name: _Structure(memory, COMMAND_TAG),
    }


class _Structure:
    """One UDT in the controller's memory, member by member as the rungs address it."""

    def __init__(self, memory: TagMemory, tag: Tag, element: int = 0) -> None:
        self._memory = memory
        self._tag = tag
        self._element = element

    def __getitem__(self, member: str) -> Any:
        return self._memory.load(self._tag.name, member, self._element)

    def __setitem__(self, member: str, value: Any) -> None:
        self._memory.store(self._tag.name, member, value, self._element)

    def __copy__(self) -> Memory:
        """Return what CPS copies: the members as they stand at this moment."""
        return {member.name: self[member.name] for member in self._tag.udt.members}
