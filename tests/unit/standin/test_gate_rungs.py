"""The imported rungs in the moments that a line program cannot show: torn writes, power-up, Run."""

import re
from collections.abc import Iterator
from itertools import combinations, compress
from typing import Any

import pytest
from tests.unit.standin.test_gate_program import FLAT, UDT, both_profiles, changed, fresh_memory

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.encoding import Value, result_values
from taktgate.plc.contract.records import ResultRecord
from taktgate.plc.contract.tags import (
    DECISIONS,
    RESULT,
    RESULT_SLOTS,
    RESULT_TAG,
    TAGS,
    CipType,
    slot_of,
)
from taktgate.plc.ladder.gate_operands import PART_MEMBERS, Operands
from taktgate.plc.ladder.gate_program import Rung, program_tags, rungs
from taktgate.standin.line.rll import LadderError, Routine

BASE = 1000
PART = BASE + 1
SLOT = slot_of(PART)
SCAN_MS = 10


class Controller:
    """The routine on a controller's memory; the vision side lives and is ready."""

    def __init__(
        self, names: Operands, program: tuple[Rung, ...] = (), kind: type[Routine] = Routine
    ) -> None:
        self.names = names
        self.routine = kind([rung.text for rung in program or rungs(names)], fresh_memory(names))
        self.value, self.store = self.routine.value, self.routine.store
        self.store(names.command("TriggerId"), BASE)
        self.store(names.command("DeadlineMs"), 100)
        self.store(names.status("Ready"), True)
        self.now_ms = 0
        self.heartbeat = 0
        self.routine.prescan()

    def scan(self, times: int = 1) -> None:
        for _ in range(times):
            self.heartbeat += 1
            self.store(self.names.status("Heartbeat"), self.heartbeat)
            self.routine.scan(self.now_ms)
            self.store("S:FS", False)
            self.now_ms += SCAN_MS

    def bring_part(self) -> None:
        """Let part 1001 come: two scans for the heartbeat, one for its edge."""
        self.scan(2)
        self.store("VIS01_PartIn", True)
        self.scan()
        self.store("VIS01_PartIn", False)

    def write(self, record: ResultRecord) -> None:
        for member, value in result_values(record).items():
            self.write_member(slot_of(record.trigger_id), member, value)

    def write_member(self, slot: int, member: str, value: Value) -> None:
        self.store(self.names.result(slot, member), value)

    def clear_gate(self) -> None:
        """Let the part at the gate go: its eye sees nothing for a scan."""
        self.store("VIS01_AtGate", False)
        self.scan()

    def gate_accepts(self, part: int) -> bool:
        self.store("VIS01_AtGate", True)
        self.store("VIS01_GateId", part)
        self.scan()
        return bool(self.value("VIS01_AcceptOut"))


def record(sequence: int, trigger_id: int, verdict: Verdict) -> ResultRecord:
    return ResultRecord(
        sequence=sequence,
        trigger_id=trigger_id,
        decision=DECISIONS[verdict],
        error_code=0,
        score=0.5,
        age_ms=20,
    )


OLD_PASS = record(8, PART - RESULT_SLOTS, Verdict.PASS)
"""A whole result that stood in the slot: late, and of another part."""


def of_one_slot(program: tuple[Rung, ...]) -> tuple[Rung, ...]:
    """Return *program* without the rungs of the other slots' parts."""
    indices = [set(re.findall(r"\[(\d)\]", rung.text)) for rung in program]
    wanted = [not used or str(SLOT) in used for used in indices]
    return tuple(compress(program, wanted))


class WrittenMeanwhile(Routine):
    """The flat routine, while the vision side replaces one result member by member.

    *written_at* says how many of its 14 members are there before the first, the second, ... of the
    14 reads that copy the slot.
    """

    written_at: Iterator[int] = iter(())
    steps: Iterator[tuple[str, Value]] = iter(())
    done = 0

    def value(self, operand: str) -> Any:
        if operand.startswith(f"{RESULT_TAG.name}_") and operand.endswith(f"[{SLOT}]"):
            wanted = next(self.written_at, self.done)
            while self.done < wanted:
                member, value = next(self.steps)
                self.store(FLAT.result(SLOT, member), value)
                self.done += 1
        return super().value(operand)


def scan_while_written(
    written: ResultRecord, written_at: tuple[int, ...], program: tuple[Rung, ...] = ()
) -> Controller:
    """Scan the flat routine once while *written* replaces `OLD_PASS` (see `WrittenMeanwhile`)."""
    program = of_one_slot(program or rungs(FLAT))
    controller = Controller(FLAT, program, kind=WrittenMeanwhile)
    controller.bring_part()
    controller.write(OLD_PASS)
    routine = controller.routine
    assert isinstance(routine, WrittenMeanwhile)
    routine.steps, routine.written_at = iter(result_values(written).items()), iter(written_at)
    controller.scan()
    assert next(routine.written_at, None) is None
    return controller


def interleavings() -> Iterator[tuple[int, ...]]:
    """Yield where 14 writes can fall among 14 reads when they come in two bursts.

    More bursts show nothing new: a copy is torn by what it holds of each member, old or new, and
    reads against the order of the writes leave one border between the two.
    """
    size = len(RESULT.members)
    for first, second in combinations(range(size + 1), 2):
        for turn in range(1, size, 3):
            yield (first,) * turn + (second,) * (size - turn)


def accepted(controller: Controller) -> bool:
    return bool(controller.value(FLAT.part(SLOT, "Accept")))


def rejected(controller: Controller) -> bool:
    return bool(controller.value(FLAT.part(SLOT, "Rejected")))


def test_no_torn_copy_accepts_a_part_that_fails() -> None:
    fail = record(9, PART, Verdict.FAIL)
    assert not [at for at in interleavings() if accepted(scan_while_written(fail, at))]


def test_a_pass_is_accepted_only_when_the_first_read_saw_it_whole() -> None:
    passed, size = record(9, PART, Verdict.PASS), len(RESULT.members)
    for at in interleavings():
        # SeqEnd is read first: it is new when all 14 members were.
        assert accepted(scan_while_written(passed, at)) is (at[0] == size)


def test_a_torn_copy_decides_nothing_and_the_next_scan_sees_the_result() -> None:
    controller = scan_while_written(record(9, PART, Verdict.PASS), (5,) * 14)
    assert (accepted(controller), rejected(controller)) == (False, False)
    controller.write(record(9, PART, Verdict.PASS))
    controller.scan()
    assert accepted(controller)


def test_copying_in_the_order_of_the_writes_is_found_out() -> None:
    copied = FLAT.copy(SLOT)
    moves = copied[1:-2].split(" ,")
    program = changed(FLAT, copied, f"[{' ,'.join(reversed(moves))} ]")
    fail = record(9, PART, Verdict.FAIL)
    assert any(accepted(scan_while_written(fail, at, program)) for at in interleavings())


@both_profiles
def test_power_up_forgets_an_accepted_part(names: Operands) -> None:
    controller = Controller(names)
    controller.bring_part()
    controller.write(record(9, PART, Verdict.PASS))
    controller.scan()
    controller.store("S:FS", True)
    controller.routine.prescan()
    controller.scan(3)
    assert not controller.value(names.result(SLOT, "Valid"))
    assert not controller.gate_accepts(PART)


@both_profiles
def test_without_power_cut_that_part_passes(names: Operands) -> None:
    controller = Controller(names)
    controller.bring_part()
    controller.write(record(9, PART, Verdict.PASS))
    controller.scan()
    assert controller.gate_accepts(PART)


def accepted_part_at_gate(names: Operands) -> Controller:
    controller = Controller(names)
    controller.bring_part()
    controller.write(record(9, PART, Verdict.PASS))
    controller.scan()
    assert controller.gate_accepts(PART)
    return controller


@both_profiles
def test_gate_stays_open_for_as_long_as_its_part_is_there(names: Operands) -> None:
    controller = accepted_part_at_gate(names)
    assert all(controller.gate_accepts(PART) for _ in range(5))


@both_profiles
def test_pass_opens_the_gate_once_though_the_tracking_tells_its_number_again(
    names: Operands,
) -> None:
    controller = accepted_part_at_gate(names)
    controller.clear_gate()
    assert not controller.gate_accepts(PART)


@both_profiles
def test_pass_is_used_up_also_when_the_next_part_follows_without_a_gap(names: Operands) -> None:
    controller = accepted_part_at_gate(names)
    assert not controller.gate_accepts(PART + 1)
    assert not controller.gate_accepts(PART)


@both_profiles
def test_part_that_left_the_gate_does_not_close_the_next_one_of_its_slot(names: Operands) -> None:
    controller = accepted_part_at_gate(names)
    later = PART + RESULT_SLOTS
    controller.store(names.command("TriggerId"), later - 1)
    controller.store("VIS01_PartIn", True)
    controller.scan()
    controller.write(record(10, later, Verdict.PASS))
    controller.clear_gate()
    assert controller.gate_accepts(later)


@both_profiles
def test_part_that_waits_at_power_up_is_no_new_part(names: Operands) -> None:
    controller = Controller(names)
    controller.store("VIS01_PartIn", True)
    controller.routine.prescan()
    controller.scan(3)
    assert controller.value(names.command("TriggerId")) == BASE
    assert not controller.value("VIS01_TriggerOut")


@both_profiles
def test_result_from_before_power_up_counts_for_nobody(names: Operands) -> None:
    controller = Controller(names)
    controller.write(record(7, PART, Verdict.PASS))
    controller.bring_part()
    controller.scan()
    assert not controller.gate_accepts(PART)


@both_profiles
@pytest.mark.parametrize("deadline_ms", [-1, 0, 10_001])
def test_deadline_out_of_range_is_over_at_once(names: Operands, deadline_ms: int) -> None:
    controller = Controller(names)
    controller.store(names.command("DeadlineMs"), deadline_ms)
    controller.bring_part()
    controller.write(record(9, PART, Verdict.PASS))
    controller.scan(2)
    assert not controller.gate_accepts(PART)


@both_profiles
def test_watchdog_preset_cannot_be_changed_from_outside(names: Operands) -> None:
    controller = Controller(names)
    controller.scan(3)
    assert controller.value("VIS01_CommOk")
    controller.store("VIS01_HbTmr.PRE", 2**31 - 1)
    for _ in range(500 // SCAN_MS):
        controller.routine.scan(controller.now_ms)
        controller.now_ms += SCAN_MS
    assert not controller.value("VIS01_CommOk")
    assert controller.value(names.command("HbFault"))


def test_negative_preset_stops_a_controller() -> None:
    routine = Routine(["TON(T,?,?);"], {"T": {"PRE": -1, "ACC": 0, "EN": False, "DN": False}})
    with pytest.raises(LadderError, match="major fault"):
        routine.scan(0)


def test_bits_of_a_number_are_read_and_written_alone() -> None:
    routine = Routine(
        ["XIC(A[1].0)OTL(B.2)OTU(B.0);", "XIC(A[0].0)OTL(B.3);"], {"A": [0b10, 0b01], "B": 0b011}
    )
    routine.scan(0)
    assert routine.memory["B"] == 0b110


@both_profiles
def test_rungs_differ_in_names_only(names: Operands) -> None:
    assert [rung.comment for rung in rungs(names)] == [rung.comment for rung in rungs(UDT)]


BIT_INSTRUCTIONS = {"XIC", "XIO", "OTE", "OTL", "OTU", "ONS"}
FIXED_BITS = {"S:FS", "DN"}


def bits_of(names: Operands) -> set[str]:
    """Return the names that are BOOLs: tags, members of types, and bits of numbers."""
    own = {tag.name for tag in program_tags(names) if tag.type == "BOOL"}
    contract = {tag.name for tag in names.contract_tags if tag.type is CipType.BOOL}
    members = {member.name for tag in TAGS for member in tag.udt.members if member.bit is not None}
    parts = {member.name for member in PART_MEMBERS if member.type == "BOOL"}
    return own | contract | members | parts | FIXED_BITS | {"0"}


@both_profiles
def test_bit_instructions_have_bits_as_operands(names: Operands) -> None:
    text = " ".join(rung.text for rung in rungs(names))
    used = [
        operand
        for instruction, operand in re.findall(r"([A-Z]+)\(([^,()]+)\)", text)
        if instruction in BIT_INSTRUCTIONS
    ]
    assert used
    known = bits_of(names)
    assert not [each for each in used if re.sub(r"\[\w+\]", "", each).split(".")[-1] not in known]
