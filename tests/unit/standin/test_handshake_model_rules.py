"""What the search rests on: the clock does not matter, and the model's PLC is the stand-in's."""

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.encoding import encode_result
from taktgate.plc.contract.records import ResultRecord
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES, RESULT_SLOTS
from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.facts import PIECES, Plc, Result, Slot
from taktgate.standin.handshake_model.model import Model
from taktgate.standin.handshake_model.moves import begin, successors
from taktgate.standin.handshake_model.plc_program import Gated, Presets, Scanned
from taktgate.standin.handshake_model.scenario import Fault, Scenario
from taktgate.standin.handshake_model.world import Names
from taktgate.standin.line.production import Production
from taktgate.standin.line.program import LineProgram, LineSettings, Outputs
from taktgate.standin.line.records import Gate
from taktgate.standin.line.tags_view import Vision, decode_slot

STORM = Scenario(
    name="storm",
    words="everything but a reboot, which starts the clock again",
    parts=4,
    jumps=((1, 2, 8),),
    idle_steps=9,
    faults={fault: 2 for fault in Fault if fault is not Fault.REBOOT},
)
STEP_NS = 100_000_000
BASE = 43  # the first part lies in slot 4


@settings(max_examples=15, deadline=None, derandomize=True)
@given(choices=st.lists(st.integers(0, 10**6), max_size=30), later=st.integers(1, 10**7))
def test_nothing_depends_on_where_the_clock_stands(choices: list[int], later: int) -> None:
    model, names = Model(STORM), Names()
    early, late = begin(model), begin(model, now=10 + later)
    for choice in choices:
        assert names.key(early) == names.key(late)
        ways, same_ways = list(successors(model, early)), list(successors(model, late))
        assert [taken for taken, _ in ways] == [taken for taken, _ in same_ways]
        if not ways:
            break
        early = ways[choice % len(ways)][1].world
        late = same_ways[choice % len(ways)][1].world


@given(
    sequence=st.integers(1, 9),
    trigger_id=st.integers(1, 99),
    verdict=st.sampled_from(Verdict),
    reason=st.sampled_from(Reason),
)
def test_a_result_reads_as_the_bytes_that_the_writer_sends(
    sequence: int, trigger_id: int, verdict: Verdict, reason: Reason
) -> None:
    decision, code = DECISIONS[verdict], ERROR_CODES[reason]
    record = ResultRecord(
        sequence=sequence,
        trigger_id=trigger_id,
        decision=decision,
        error_code=code,
        score=0.5,
        age_ms=1,
    )
    result = Result(sequence, trigger_id, decision, code)

    slot = Slot(pieces=(result,) * PIECES, is_valid=True)
    assert plc.members(slot) == decode_slot(encode_result(record))


def test_an_empty_slot_reads_as_empty_memory() -> None:
    assert plc.members(Slot()) == decode_slot(bytes(44))


class Conveyor(Production):
    """Lets a part come in the scan that a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.comes_now = False

    def is_due(self, now_ns: int, *, is_ready: bool) -> bool:
        return self.comes_now


class Twins:
    """The model's PLC and the stand-in's program, under the same moves."""

    def __init__(self) -> None:
        self.presets = Presets(deadline=3, gate=5)
        self.state = Plc(trigger_id=BASE)
        self.settings = LineSettings(deadline_ms=300, gate_delay_ms=500, watchdog_ms=400)
        self.now_ns = 0
        self.sequence = 0
        self.start_program(BASE)

    def start_program(self, base: int) -> None:
        self.program = LineProgram(self.settings, base=base)
        self.program.production = self.conveyor = Conveyor()

    def do(self, move: tuple[Any, ...]) -> None:
        name, *arguments = move
        getattr(self, name)(*arguments)

    def step(self) -> None:
        self.now_ns += STEP_NS
        self.compare(self.state, plc.elapse(self.state, self.presets))

    def silence(self) -> None:
        for _ in range(4):
            self.step()

    def scan(self) -> None:
        self.compare(self.state, plc.scan(self.state, self.presets))

    def part(self) -> None:
        if self.state.is_first_scan or len(self.state.parts) >= RESULT_SLOTS:
            return
        self.conveyor.comes_now = True
        self.compare(self.state, plc.scan(self.state, self.presets, jump=1))
        self.conveyor.comes_now = False

    def status(self, beats: int, is_ready: bool) -> None:
        status = self.state.status
        changed = status._replace(heartbeat=status.heartbeat + beats, is_ready=is_ready)
        self.state = plc.put_status(self.state, changed)

    def result(self, back: int, decision: int, first: int, last: int, is_new: bool) -> None:
        self.sequence += is_new or self.sequence == 0
        trigger_id = max(self.state.trigger_id - back, 1)
        result = Result(self.sequence, trigger_id, decision)
        self.state = plc.put(self.state, result, self.presets, range(first, last))

    def restart(self) -> None:
        self.state = plc.restart(self.state, plc.Numbers.ELSEWHERE)
        acknowledged = self.state.ack_seq
        self.start_program(self.state.trigger_id)
        self.program._ack_seq = acknowledged

    def compare(self, before: Plc, after: tuple[Plc, list[plc.Event]]) -> None:
        self.state, events = after
        slots = tuple(plc.members(slot) for slot in before.slots)
        vision = Vision(
            heartbeat=before.status.heartbeat, ready=before.status.is_ready, slots=slots
        )
        outputs = self.program.scan(vision, self.now_ns)
        (scanned,) = (event for event in events if isinstance(event, Scanned))
        gated = [event for event in events if isinstance(event, Gated)]
        assert scanned.comm_ok == outputs.comm_ok
        assert self.state.trigger_id == outputs.command.trigger_id
        assert self.state.ack_seq == outputs.command.ack_seq
        assert self.state.hb_fault == outputs.command.hb_fault
        assert [(event.part.trigger_id, event.is_accepted) for event in gated] == [
            (part.trigger_id, part.gate is Gate.ACCEPT) for part in outputs.closed
        ]
        assert self.valid_slots() == self.expected_valid(before, outputs)

    def valid_slots(self) -> list[bool]:
        return [slot.is_valid for slot in self.state.slots]

    def expected_valid(self, before: Plc, outputs: Outputs) -> list[bool]:
        return [
            slot.is_valid and index not in outputs.invalidated
            for index, slot in enumerate(before.slots)
        ]


RESULT = st.tuples(
    st.just("result"),
    st.sampled_from([0, 0, 0, -1, 1, 8]),
    st.sampled_from([1, 1, 1, 2, 3, 4]),
    st.sampled_from([0, 0, 0, 0, 2, 4]),
    st.sampled_from([PIECES, PIECES, PIECES, PIECES, 2, 4]),
    st.booleans(),
)
MOVES = st.one_of(
    st.just(("step",)),
    st.just(("scan",)),
    st.just(("part",)),
    st.just(("silence",)),
    st.tuples(st.just("status"), st.integers(0, 1), st.sampled_from([True, True, False])),
    st.just(("status", 1, True)),
    RESULT,
    RESULT,
    st.just(("restart",)),
)
READY = [("step",), ("status", 1, True), ("step",)]
BEAT: list[tuple[Any, ...]] = [("status", 1, True), ("step",)]
FAIL, PASS = ("result", 0, 2, 0, PIECES, True), ("result", 0, 1, 0, PIECES, True)
PASS_AFTER_REJECT = [FAIL, ("scan",), PASS, ("scan",), *5 * BEAT]
REJECT_AT_THE_LAST_LOOK = [*2 * BEAT, FAIL, *3 * BEAT]
PASSED = [("part",), ("result", 0, 1, 0, PIECES, True), ("scan",)]


@settings(max_examples=400, deadline=None, derandomize=True)
@example(has_passed=True, moves=PASS_AFTER_REJECT)
@example(has_passed=True, moves=REJECT_AT_THE_LAST_LOOK)
@given(has_passed=st.booleans(), moves=st.lists(MOVES, min_size=8, max_size=30))
def test_the_models_plc_does_what_the_stand_ins_program_does(
    has_passed: bool, moves: list[tuple[Any, ...]]
) -> None:
    twins = Twins()
    for move in [*READY, *(PASSED if has_passed else ()), *moves]:
        twins.do(move)
