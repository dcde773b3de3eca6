"""The ladder that engineers import, executed beside the stand-in's program: they never differ."""

import random
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.plc.contract.tags import RESULT_SLOTS, slot_of
from taktgate.plc.ladder.gate_operands import OPERANDS, Operands
from taktgate.plc.ladder.gate_program import Rung, rungs
from taktgate.standin.line.ladder_memory import contract_memory, program_memory
from taktgate.standin.line.program import LineProgram, LineSettings, Outputs
from taktgate.standin.line.records import Gate
from taktgate.standin.line.rll import LadderError, Memory, Routine, parse
from taktgate.standin.line.tags_view import ResultSlot, Vision, members_of

MS = 1_000_000
SCAN_MS = 10
BASE = 1000
SETTINGS = LineSettings(deadline_ms=100, gate_delay_ms=150)
UDT, FLAT = OPERANDS["udt"], OPERANDS["flat"]

both_profiles = pytest.mark.parametrize("names", [UDT, FLAT], ids=["udt", "flat"])


def fresh_memory(names: Operands) -> Memory:
    return contract_memory(names) | program_memory(names)


class BothPrograms:
    """The imported ladder and the stand-in's program on the same tags, scan by scan."""

    def __init__(self, names: Operands, program: tuple[Rung, ...] = ()) -> None:
        self.now_ms = 0
        self.heartbeat = 7
        self.is_ready = True
        self.slots = [ResultSlot() for _ in range(RESULT_SLOTS)]
        self.names = names
        self.ladder = Routine([rung.text for rung in program or rungs(names)], fresh_memory(names))
        self.ladder.store(names.command("TriggerId"), BASE)
        self.ladder.store(names.command("DeadlineMs"), SETTINGS.deadline_ms)
        self.line = LineProgram(SETTINGS, base=BASE)
        self.line.production.run(parts=None, rate=20, wait_ready_s=0)
        self.newest = BASE

    def scan(self) -> None:
        """Run one scan of both; their outputs must be the same."""
        vision = Vision(heartbeat=self.heartbeat, ready=self.is_ready, slots=tuple(self.slots))
        outputs = self.line.scan(vision, self.now_ms * MS)
        self._scan_ladder(outputs)
        held = self.ladder.value
        accepted = bool(outputs.closed) and outputs.closed[0].gate is Gate.ACCEPT
        assert bool(held("VIS01_AcceptOut")) is accepted
        assert bool(held("VIS01_RejectOut")) is not accepted
        assert bool(held("VIS01_TriggerOut")) is (outputs.triggered is not None)
        assert bool(held("VIS01_CommOk")) is outputs.comm_ok
        command, said = self.names.command, outputs.command
        assert held(command("TriggerId")) == said.trigger_id
        assert held(command("AckSeq")) == said.ack_seq
        assert held(command("PlcHeartbeat")) == said.heartbeat
        assert bool(held(command("HbFault"))) is said.hb_fault
        for slot in outputs.invalidated:
            self.slots[slot] = replace(self.slots[slot], valid=False)
        assert [bool(held(self.names.result(slot, "Valid"))) for slot in range(RESULT_SLOTS)] == [
            slot.valid for slot in self.slots
        ]
        self.newest = said.trigger_id
        self.now_ms += SCAN_MS

    def _scan_ladder(self, outputs: Outputs) -> None:
        store = self.ladder.store
        store(self.names.status("Heartbeat"), self.heartbeat)
        store(self.names.status("Ready"), self.is_ready)
        for number, slot in enumerate(self.slots):
            for member, value in members_of(slot).items():
                store(self.names.result(number, member), value)
        store("VIS01_PartIn", outputs.triggered is not None)
        store("VIS01_AtGate", bool(outputs.closed))
        store("VIS01_GateId", outputs.closed[0].trigger_id if outputs.closed else 0)
        self.ladder.scan(self.now_ms)
        store("S:FS", False)


def result(sequence: int, trigger_id: int, decision: int) -> ResultSlot:
    return ResultSlot(
        seq_begin=sequence,
        trigger_id=trigger_id,
        decision=decision,
        valid=True,
        passed=decision == 1,
        reject=decision != 1,
        late=decision == 4,
        seq_end=sequence,
    )


def slips(whole: ResultSlot) -> list[ResultSlot]:
    """Return what the result could be instead: torn, another part's, or at odds with itself."""
    return [
        replace(whole, seq_end=whole.seq_begin - 1),
        replace(whole, trigger_id=whole.trigger_id - RESULT_SLOTS),
        replace(whole, valid=False),
        replace(whole, reject=not whole.reject),
        replace(whole, late=not whole.late),
        replace(whole, decision=0),
        replace(whole, decision=5),
    ]


def shift(both: BothPrograms, seed: int, scans: int = 120) -> None:
    """Let parts come and results be written by chance; both programs must act alike."""
    chance = random.Random(seed)
    is_lively = chance.random() < 0.7
    for sequence in range(1, scans):
        both.is_ready = chance.random() < 0.9
        both.heartbeat += is_lively or sequence < 40 or chance.random() < 0.02
        if chance.random() < 0.5:
            trigger_id = both.newest - chance.choice((0, 0, 1, 2, 3))
            written = result(sequence, trigger_id, chance.choice((1, 1, 1, 2, 3, 4)))
            if chance.random() < 0.3:
                written = chance.choice(slips(written))
            both.slots[slot_of(trigger_id)] = written
        both.scan()


@both_profiles
def test_imported_ladder_and_stand_in_program_act_alike(names: Operands) -> None:
    @settings(max_examples=15, deadline=None)
    @given(seed=st.integers(0, 2**32))
    def act_alike(seed: int) -> None:
        shift(BothPrograms(names), seed)

    act_alike()


@both_profiles
def test_gate_opens_for_a_pass_in_time_and_for_nothing_else(names: Operands) -> None:
    both = BothPrograms(names)
    opened = 0
    for sequence in range(1, 60):
        both.heartbeat += 1
        if both.newest > BASE:
            both.slots[slot_of(both.newest)] = result(sequence, both.newest, 1)
        both.scan()
        opened += bool(both.ladder.value("VIS01_AcceptOut"))
    assert opened > 5


FORGOTTEN = [
    (f"EQU({UDT.copied('SeqBegin')},{UDT.copied('SeqEnd')})", ""),
    ("EQU(VIS01_Copy.TriggerId,VIS01_Part[3].Id)", ""),
    ("XIC(VIS01_Copy.Valid)", ""),
    ("XIO(VIS01_Copy.Reject)", ""),
    ("XIC(VIS01_CommOk)", ""),
    ("XIO(VIS01_Part[*].DeadlineTmr.DN)OTL", "OTL"),
    ("XIC(VIS01_Part[3].Rejected)OTU(VIS01_Part[3].Accept)", "XIC(VIS01_HbSeen)"),
    (",OTU(VIS01_Result[VIS01_NewSlot].Valid) ", ""),
    ("MOV(VIS01_Cmd.DeadlineMs,VIS01_Part[VIS01_NewSlot].DeadlineTmr.PRE) ", ""),
]


@pytest.mark.parametrize(("forgotten", "replacement"), FORGOTTEN)
def test_rung_that_forgets_a_contact_is_found_out(forgotten: str, replacement: str) -> None:
    broken = changed(UDT, forgotten, replacement)

    with pytest.raises(AssertionError):
        _shifts(UDT, broken)


def changed(names: Operands, text: str, replacement: str) -> tuple[Rung, ...]:
    """Return the routine with *replacement* for each *text* in it, which there must be.

    `[*]` in *text* is any slot.
    """
    pattern = re.escape(text).replace(r"\[\*\]", r"\[\d\]")
    broken = tuple(
        replace(rung, text=re.sub(pattern, lambda _: replacement, rung.text))
        for rung in rungs(names)
    )
    assert broken != rungs(names)
    return broken


def _shifts(names: Operands, program: tuple[Rung, ...]) -> None:
    for seed in range(100):
        shift(BothPrograms(names, program), seed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("XIC(VIS01_PartIn)", "rule: one ';'"),
        ("JSR(Other,0);", "JSR: is not known here"),
        ("XIC(a)[OTE(b) OTE(c);", "rule: ',' or ']'"),
    ],
)
def test_what_is_no_rung_is_refused(text: str, words: str) -> None:
    with pytest.raises(LadderError, match=words):
        parse(text)


def test_unknown_tag_is_refused_by_name() -> None:
    with pytest.raises(LadderError, match="VIS02_Part"):
        Routine(["XIC(VIS02_Part[0].Open)OTE(VIS02_Out);"], {}).scan(0)
