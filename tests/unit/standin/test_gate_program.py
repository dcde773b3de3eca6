"""The ladder that engineers import, executed beside the stand-in's program: they never differ."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.plc.contract.tags import COMMAND, RESULT, RESULT_SLOTS, STATUS, Udt, slot_of
from taktgate.plc.ladder.gate_program import PART_MEMBERS, PROGRAM_TAGS, Rung, rungs
from taktgate.standin.line.program import LineProgram, LineSettings, Outputs
from taktgate.standin.line.records import Gate
from taktgate.standin.line.rll import LadderError, Routine, parse, timer
from taktgate.standin.line.tags_view import ResultSlot, Vision

MS = 1_000_000
SCAN_MS = 10
BASE = 1000
SETTINGS = LineSettings(deadline_ms=100, gate_delay_ms=150)


def zeros(udt: Udt) -> dict[str, Any]:
    return {member.name: 0 for member in udt.members}


def fresh_memory() -> dict[str, Any]:
    parts = [
        {each.name: timer() if each.type == "TIMER" else 0 for each in PART_MEMBERS}
        for _ in range(RESULT_SLOTS)
    ]
    own = {tag.name: timer(tag.preset_ms) if tag.type == "TIMER" else 0 for tag in PROGRAM_TAGS}
    return {
        **own,
        "S:FS": True,
        "VIS01_Part": parts,
        "VIS01_Copy": zeros(RESULT),
        "VIS01_Result": [zeros(RESULT) for _ in range(RESULT_SLOTS)],
        "VIS01_Sts": zeros(STATUS),
        "VIS01_Cmd": {**zeros(COMMAND), "TriggerId": BASE, "DeadlineMs": SETTINGS.deadline_ms},
    }


class BothPrograms:
    """The imported ladder and the stand-in's program on the same tags, scan by scan."""

    def __init__(self, program: tuple[Rung, ...] = rungs()) -> None:
        self.now_ms = 0
        self.heartbeat = 7
        self.is_ready = True
        self.slots = [ResultSlot() for _ in range(RESULT_SLOTS)]
        self.ladder = Routine([rung.text for rung in program], fresh_memory())
        self.line = LineProgram(SETTINGS, base=BASE)
        self.line.production.run(parts=None, rate=20, wait_ready_s=0)
        self.newest = BASE

    def scan(self) -> None:
        """Run one scan of both; their outputs must be the same."""
        vision = Vision(heartbeat=self.heartbeat, ready=self.is_ready, slots=tuple(self.slots))
        outputs = self.line.scan(vision, self.now_ms * MS)
        self._scan_ladder(outputs)
        memory = self.ladder.memory
        accepted = bool(outputs.closed) and outputs.closed[0].gate is Gate.ACCEPT
        assert bool(memory["VIS01_AcceptOut"]) is accepted
        assert bool(memory["VIS01_RejectOut"]) is not accepted
        assert bool(memory["VIS01_TriggerOut"]) is (outputs.triggered is not None)
        assert bool(memory["VIS01_CommOk"]) is outputs.comm_ok
        command = memory["VIS01_Cmd"]
        said = outputs.command
        assert (command["TriggerId"], command["AckSeq"]) == (said.trigger_id, said.ack_seq)
        assert command["PlcHeartbeat"] == said.heartbeat
        assert bool(command["HbFault"]) is said.hb_fault
        for slot in outputs.invalidated:
            self.slots[slot] = replace(self.slots[slot], valid=False)
        assert [bool(slot["Valid"]) for slot in memory["VIS01_Result"]] == [
            slot.valid for slot in self.slots
        ]
        self.newest = said.trigger_id
        self.now_ms += SCAN_MS

    def _scan_ladder(self, outputs: Outputs) -> None:
        memory = self.ladder.memory
        memory["VIS01_Sts"].update(Heartbeat=self.heartbeat, Ready=self.is_ready)
        for content, slot in zip(memory["VIS01_Result"], self.slots, strict=True):
            content.update(
                SeqBegin=slot.seq_begin,
                TriggerId=slot.trigger_id,
                Decision=slot.decision,
                Valid=slot.valid,
                Pass=slot.passed,
                Reject=slot.reject,
                Late=slot.late,
                SeqEnd=slot.seq_end,
            )
        memory["VIS01_PartIn"] = outputs.triggered is not None
        memory["VIS01_AtGate"] = bool(outputs.closed)
        memory["VIS01_GateId"] = outputs.closed[0].trigger_id if outputs.closed else 0
        self.ladder.scan(self.now_ms)
        memory["S:FS"] = False


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


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_imported_ladder_and_stand_in_program_act_alike(seed: int) -> None:
    shift(BothPrograms(), seed)


def test_gate_opens_for_a_pass_in_time_and_for_nothing_else() -> None:
    both = BothPrograms()
    opened = 0
    for sequence in range(1, 60):
        both.heartbeat += 1
        if both.newest > BASE:
            both.slots[slot_of(both.newest)] = result(sequence, both.newest, 1)
        both.scan()
        opened += bool(both.ladder.memory["VIS01_AcceptOut"])
    assert opened > 5


@pytest.mark.parametrize(
    ("forgotten", "replacement"),
    [
        ("EQU(VIS01_Copy.SeqBegin,VIS01_Copy.SeqEnd)", ""),
        ("EQU(VIS01_Copy.TriggerId,VIS01_Part[3].Id)", ""),
        ("XIC(VIS01_Copy.Valid)", ""),
        ("XIO(VIS01_Copy.Reject)", ""),
        ("XIC(VIS01_CommOk)", ""),
        ("XIO(VIS01_Part[3].DeadlineTmr.DN)OTL", "OTL"),
        ("XIC(VIS01_Part[3].Rejected)OTU(VIS01_Part[3].Accept)", "XIC(VIS01_HbSeen)"),
        (",OTU(VIS01_Result[VIS01_NewSlot].Valid) ", ""),
        (",MOV(VIS01_Cmd.DeadlineMs,VIS01_Part[VIS01_NewSlot].DeadlineTmr.PRE) ", ""),
    ],
)
def test_rung_that_forgets_a_contact_is_found_out(forgotten: str, replacement: str) -> None:
    broken = tuple(
        replace(rung, text=rung.text.replace(forgotten, replacement)) for rung in rungs()
    )
    assert broken != rungs()

    with pytest.raises(AssertionError):
        _shifts(broken)


def _shifts(program: tuple[Rung, ...]) -> None:
    for seed in range(100):
        shift(BothPrograms(program), seed)


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
