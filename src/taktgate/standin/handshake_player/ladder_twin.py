"""The ladder rungs that engineers import, run beside the stand-in's program on the same tags."""

from collections.abc import Iterable, Mapping
from typing import Final

from taktgate.plc.contract.tags import COMMAND_TAG, slot_of
from taktgate.plc.ladder.gate_operands import OPERANDS
from taktgate.plc.ladder.gate_program import rungs
from taktgate.standin.line.ladder_memory import contract_memory, program_memory
from taktgate.standin.line.program import Outputs
from taktgate.standin.line.records import Gate, PartClosed
from taktgate.standin.line.rll import Memory, Routine
from taktgate.standin.line.tags_view import Vision, members_of

_MILLISECOND: Final = 1_000_000
_NAMES: Final = OPERANDS["udt"]
RUNGS: Final = tuple(rung.text for rung in rungs())


class LadderTwin:
    """One controller's ladder. It acts like the program, or is stricter where this says so."""

    def __init__(self, *, base: int, deadline_ms: int, texts: tuple[str, ...] = RUNGS) -> None:
        self._memory = contract_memory(_NAMES) | program_memory(_NAMES)
        self._memory[COMMAND_TAG.name].update(TriggerId=base, DeadlineMs=deadline_ms)
        self._taken: set[int] = set()
        """Parts on the line that are no longer in the ladder's own table: it rejects them."""
        self._routine = Routine(texts, self._memory)
        self.start_program()

    def start_program(self) -> None:
        """Have the next scan be a first scan, after a prescan; tags are retentive."""
        self._routine.prescan()
        self._memory["S:FS"] = True

    def number_from(self, trigger_id: int) -> None:
        """Have the next part be the one after *trigger_id*."""
        self._memory["VIS01_Cmd"]["TriggerId"] = trigger_id

    def scan(
        self,
        now_ns: int,
        vision: Vision,
        outputs: Outputs,
        *,
        on_line: Iterable[int],
        latched: Mapping[int, bool],
    ) -> list[str]:
        """Run all rungs on what the program has just run on; return where they disagree.

        *on_line* are the parts that were between trigger and gate before this scan; *latched* tells
        of each that is there after it whether the program would let it pass.
        """
        memory = self._memory
        _load(memory, vision)
        if memory["S:FS"]:
            self._taken.update(on_line)
        memory["VIS01_PartIn"] = outputs.triggered is not None
        # The sensor lets go between two parts; the scan that sees it do so is left out.
        memory["VIS01_PartOns"] = 0
        differences = []
        passing: tuple[PartClosed | None, ...] = outputs.closed or (None,)
        for part in passing:
            memory["VIS01_AtGate"] = part is not None
            memory["VIS01_GateId"] = part.trigger_id if part is not None else 0
            self._routine.scan(now_ns // _MILLISECOND)
            memory["S:FS"] = memory["VIS01_PartIn"] = False
            does_open = bool(memory["VIS01_AcceptOut"])
            accepts = part is not None and part.gate is Gate.ACCEPT
            if part is not None and part.trigger_id in self._taken:
                accepts = False
            if does_open is not accepts:
                differences.append(f"VIS01_AcceptOut is {does_open} for {part}")
        differences += self._compared(vision, outputs)
        self._note_displaced(outputs, on_line)
        return [*differences, *self._latches(latched)]

    def _latches(self, latched: Mapping[int, bool]) -> list[str]:
        parts = self._memory["VIS01_Part"]
        return [
            f"VIS01_Part[{slot_of(number)}].Accept is not {accepts}, as the program says"
            for number, accepts in latched.items()
            if number not in self._taken and bool(parts[slot_of(number)]["Accept"]) is not accepts
        ]

    def _compared(self, vision: Vision, outputs: Outputs) -> list[str]:
        memory, command = self._memory, outputs.command
        valid = [
            slot.valid and index not in outputs.invalidated
            for index, slot in enumerate(vision.slots)
        ]
        facts = {
            "VIS01_CommOk": (bool(memory["VIS01_CommOk"]), outputs.comm_ok),
            "VIS01_Cmd.TriggerId": (memory["VIS01_Cmd"]["TriggerId"], command.trigger_id),
            "VIS01_Cmd.HbFault": (bool(memory["VIS01_Cmd"]["HbFault"]), command.hb_fault),
            "VIS01_Result[].Valid": ([bool(s["Valid"]) for s in memory["VIS01_Result"]], valid),
        }
        if not self._taken:
            facts["VIS01_Cmd.AckSeq"] = (memory["VIS01_Cmd"]["AckSeq"], command.ack_seq)
        return [
            f"{name}: the rungs say {rung}, the program {program}"
            for name, (rung, program) in facts.items()
            if rung != program
        ]

    def _note_displaced(self, outputs: Outputs, on_line: Iterable[int]) -> None:
        if outputs.triggered is None:
            return
        closed = {part.trigger_id for part in outputs.closed}
        slot = slot_of(outputs.triggered)
        self._taken.discard(outputs.triggered)
        self._taken.update(part for part in on_line if part not in closed and slot_of(part) == slot)


def _load(memory: Memory, vision: Vision) -> None:
    memory["VIS01_Sts"].update(Heartbeat=vision.heartbeat, Ready=vision.ready)
    for content, slot in zip(memory["VIS01_Result"], vision.slots, strict=True):
        content.update(members_of(slot))
