"""The judge as a pure machine: one verdict a part, none after close, one model a part."""

from collections import Counter
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.control import Ready
from taktgate.inspection.doorbell import Answer, RunFault, failed
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.decision import ClassLine, Lines
from taktgate.inspection.judge.parts import Identity, Timing
from taktgate.inspection.judge.rules import (
    HANG_GRACE_NS,
    MAX_SKIPPED,
    Action,
    Dispatch,
    Done,
    Judge,
    Kill,
    Publish,
    Release,
)

DEADLINE_MS, RESERVE_MS, WINDOW_MS = 150, 50, 120
IDENTITY = Identity(station="VIS01", kernel_boot_id="boot", judge_start_id="start")
LINES = Lines(
    classes=(ClassLine(name="pore", threshold=0.5),), uncertain_low=0.45, uncertain_high=0.55
)


def model(letter: str) -> ModelRef:
    return ModelRef(name="weld", version=f"1.{letter}", digest="sha256:" + letter * 64)


def ready(letter: str) -> Ready:
    return Ready(
        model=model(letter),
        lines=LINES,
        provider="CPUExecutionProvider",
        is_fallback=False,
        fingerprint="f",
        golden_images=0,
        golden_worst=0.0,
        has_full_priority=True,
    )


@dataclass(slots=True, kw_only=True)
class Bench:
    """A judge, a clock and a ledger of what it did."""

    judge: Judge = field(
        default_factory=lambda: Judge(
            IDENTITY,
            Timing(
                decision_reserve_ns=RESERVE_MS * MILLISECOND,
                frame_window_ns=WINDOW_MS * MILLISECOND,
            ),
        )
    )
    now_ms: float = 1000.0
    epoch: int = 1
    trigger_id: int = 10
    frame_id: int = 0
    next_slot: int = 0
    taken: set[int] = field(default_factory=set)
    verdicts: list[VerdictEnvelope] = field(default_factory=list)
    in_flight: dict[int, Dispatch] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)

    @property
    def now_ns(self) -> int:
        return int(self.now_ms * MILLISECOND)

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Publish):
                self.verdicts.append(action.envelope)
            elif isinstance(action, Release | Done):
                self.taken.remove(action.slot)
            elif isinstance(action, Dispatch):
                assert action.runner not in self.in_flight, "two frames for one runner"
                self.in_flight[action.runner] = action
            elif isinstance(action, Kill):
                self.killed.add(action.runner)

    def run(self, ms: float) -> None:
        """Let time pass, calling `tick` when the judge wants it."""
        end_ns = int((self.now_ms + ms) * MILLISECOND)
        while (wake_ns := self.judge.wake_ns()) is not None and wake_ns <= end_ns:
            self.do(self.judge.tick(max(self.now_ns, wake_ns)))
            woken_ns = self.judge.wake_ns()
            assert woken_ns is None or woken_ns > wake_ns, "the loop would spin"
        self.now_ms = end_ns / MILLISECOND
        self.do(self.judge.tick(end_ns))

    def line(self, *, is_edge: bool, jump: int = 0, enable: bool = True) -> None:
        self.trigger_id += jump
        state = LineState(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="boot",
            writer_start_id="w",
            plc_epoch=self.epoch,
            sequence=1,
            trigger_id=self.trigger_id,
            is_edge=is_edge,
            deadline_ms=DEADLINE_MS,
            enable=enable,
            observed_after_ns=self.now_ns - 10 * MILLISECOND,
            observed_ns=self.now_ns,
        )
        self.do(self.judge.line(state, self.now_ns))

    def frame(self) -> None:
        self.frame_id += 1
        self.next_slot += 1
        self.taken.add(self.next_slot)
        frame = Frame(
            frame_id=self.frame_id,
            exposure_ns=self.now_ns,
            received_ns=self.now_ns,
            width=8,
            height=8,
            channels=1,
            slot=self.next_slot,
        )
        self.do(self.judge.frame(frame, self.now_ns))

    def answer(self, runner: int = 1, score: float = 0.1) -> None:
        job = self.in_flight.pop(runner).job
        answer = Answer(
            job_id=job.job_id,
            fault=RunFault.NONE,
            score=score,
            class_scores=(score,),
            arrived_ns=self.now_ns,
            gated_ns=self.now_ns,
            start_ns=self.now_ns,
            end_ns=self.now_ns,
            facts=None,
        )
        self.do(self.judge.answer(runner, answer, self.now_ns))

    def part(self) -> None:
        self.line(is_edge=True, jump=1)
        self.now_ms += 1
        self.frame()

    @property
    def last(self) -> tuple[int, Verdict, Reason]:
        envelope = self.verdicts[-1]
        return envelope.trigger_id, envelope.verdict, envelope.reason


def bench_with_model() -> Bench:
    bench = Bench()
    bench.judge.runner_ready(1, ready("a"), bench.now_ns)
    bench.judge.swap(model("a").digest, bench.now_ns)
    bench.line(is_edge=False)
    return bench


def test_a_part_in_time_gets_its_models_verdict() -> None:
    bench = bench_with_model()
    bench.part()
    bench.now_ms += 9
    bench.answer()

    assert bench.last == (11, Verdict.PASS, Reason.NONE)
    envelope = bench.verdicts[-1]
    assert envelope.model == model("a")
    assert envelope.trigger_ns == 990 * MILLISECOND, "the earlier end of the reading interval"
    assert envelope.deadline_ns == envelope.trigger_ns + DEADLINE_MS * MILLISECOND
    assert not bench.taken


def test_the_judge_closes_the_part_itself_at_the_decision_deadline() -> None:
    bench = bench_with_model()
    bench.part()
    bench.run(200)

    envelope = bench.verdicts[-1]
    assert bench.last == (11, Verdict.NO_DECISION, Reason.TIMEOUT)
    reserve_ns = RESERVE_MS * MILLISECOND
    assert envelope.decided_ns == envelope.deadline_ns - reserve_ns


def test_a_late_answer_is_counted_and_changes_nothing() -> None:
    bench = bench_with_model()
    bench.part()
    bench.run(150)
    bench.answer()

    assert [each.reason for each in bench.verdicts] == [Reason.TIMEOUT]
    assert bench.judge.late_answers == 1
    assert not bench.taken


def test_an_answer_at_the_deadline_is_late_even_if_no_tick_came_before_it() -> None:
    bench = bench_with_model()
    bench.part()
    bench.now_ms += 100
    bench.answer()

    assert bench.last[2] is Reason.TIMEOUT


def test_a_runner_that_stays_silent_is_killed_after_the_grace() -> None:
    bench = bench_with_model()
    bench.part()
    bench.run(100 + HANG_GRACE_NS / MILLISECOND - 15)
    assert not bench.killed
    bench.run(20)
    assert bench.killed == {1}


def test_a_runner_that_dies_costs_its_part_at_once() -> None:
    bench = bench_with_model()
    bench.part()
    bench.in_flight.clear()
    bench.do(bench.judge.runner_gone(1, bench.now_ns))

    assert bench.last == (11, Verdict.NO_DECISION, Reason.MODEL_ERROR)
    assert not bench.taken
    bench.line(is_edge=True, jump=1)
    assert bench.last == (12, Verdict.NO_DECISION, Reason.NOT_READY)


def test_a_runner_that_dies_after_its_part_was_closed_emits_nothing() -> None:
    bench = bench_with_model()
    bench.part()
    bench.run(150)
    bench.in_flight.clear()
    bench.do(bench.judge.runner_gone(1, bench.now_ns))

    assert [each.reason for each in bench.verdicts] == [Reason.TIMEOUT]
    assert not bench.taken


def test_a_part_that_became_doubtful_under_way_has_no_second_verdict() -> None:
    bench = bench_with_model()
    bench.part()
    bench.now_ms += 5
    bench.frame()
    assert bench.last == (11, Verdict.NO_DECISION, Reason.FRAME_MISMATCH)
    bench.answer()

    assert len(bench.verdicts) == 1
    assert bench.judge.late_answers == 1
    assert not bench.taken


def test_frames_wait_for_a_busy_runner_and_time_out_in_order() -> None:
    bench = bench_with_model()
    bench.part()
    bench.run(130)
    bench.part()
    bench.run(60)
    bench.answer(1)
    bench.answer(1)

    assert [(each.trigger_id, each.reason) for each in bench.verdicts] == [
        (11, Reason.TIMEOUT),
        (12, Reason.NONE),
    ]
    assert not bench.taken


def test_a_part_without_a_frame_is_no_frame_when_its_window_closes() -> None:
    bench = bench_with_model()
    bench.line(is_edge=True, jump=1)
    bench.run(150)

    assert bench.last == (11, Verdict.NO_DECISION, Reason.NO_FRAME)


def test_skipped_ids_are_answered_one_by_one_within_bounds() -> None:
    bench = bench_with_model()
    bench.line(is_edge=True, jump=4)
    assert [(each.trigger_id, each.reason) for each in bench.verdicts] == [
        (11, Reason.SKIPPED),
        (12, Reason.SKIPPED),
        (13, Reason.SKIPPED),
        (14, Reason.FRAME_MISMATCH),
    ]

    bench.line(is_edge=True, jump=1_000_000)
    assert len(bench.verdicts) < 2 * MAX_SKIPPED


def test_a_disabled_line_is_not_judged() -> None:
    bench = bench_with_model()
    bench.line(is_edge=True, jump=1, enable=False)

    assert bench.last == (11, Verdict.NO_DECISION, Reason.NOT_READY)


def test_a_judge_judges_nothing_before_its_first_edge() -> None:
    bench = Bench()
    bench.judge.runner_ready(1, ready("a"), bench.now_ns)
    bench.judge.swap(model("a").digest, bench.now_ns)
    bench.line(is_edge=False)
    bench.frame()
    bench.run(500)

    assert not bench.verdicts
    assert not bench.in_flight
    assert not bench.taken


def test_a_lost_edge_is_answered_as_skipped_when_a_later_state_shows_it() -> None:
    bench = bench_with_model()
    bench.trigger_id += 1
    bench.line(is_edge=False)

    assert bench.last == (11, Verdict.NO_DECISION, Reason.SKIPPED)


def test_a_swap_leaves_the_part_under_way_to_the_model_it_went_to() -> None:
    bench = bench_with_model()
    bench.judge.runner_ready(2, ready("b"), bench.now_ns)
    bench.part()
    bench.do(bench.judge.swap(model("b").digest, bench.now_ns))
    bench.now_ms += 5
    bench.answer(1)
    assert bench.verdicts[-1].model == model("a")

    bench.run(200)
    bench.part()
    bench.answer(2)
    assert bench.verdicts[-1].model == model("b")


def test_a_new_runner_of_a_model_takes_the_place_of_the_one_before() -> None:
    bench = bench_with_model()
    bench.part()
    bench.in_flight.clear()
    bench.do(bench.judge.runner_ready(2, ready("a"), bench.now_ns))
    assert bench.last == (11, Verdict.NO_DECISION, Reason.MODEL_ERROR)
    bench.run(200)
    bench.part()
    bench.answer(2)

    assert bench.last == (12, Verdict.PASS, Reason.NONE)
    assert not bench.taken


def test_a_run_without_scores_has_its_own_reason() -> None:
    for fault, reason in (
        (RunFault.NON_FINITE, Reason.NON_FINITE),
        (RunFault.BAD_FRAME, Reason.MODEL_ERROR),
        (RunFault.RUN_FAILED, Reason.MODEL_ERROR),
    ):
        bench = bench_with_model()
        bench.part()
        job = bench.in_flight.pop(1).job
        answer = failed(job.job_id, fault, start_ns=1, end_ns=2)
        bench.do(bench.judge.answer(1, answer, bench.now_ns))
        assert bench.last == (11, Verdict.NO_DECISION, reason)


def test_a_new_plc_epoch_closes_what_was_open() -> None:
    bench = bench_with_model()
    bench.line(is_edge=True, jump=1)
    bench.epoch = 2
    bench.line(is_edge=False)

    assert bench.last == (11, Verdict.NO_DECISION, Reason.FRAME_MISMATCH)
    assert bench.verdicts[-1].plc_epoch == 1


class JudgeMachine(RuleBasedStateMachine):
    """Any order of triggers, frames, answers, deaths, swaps and restarts of PLC and camera."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench()
        self.bench.line(is_edge=False)
        self.alive: dict[int, str] = {}
        self.announced: Counter[tuple[int, int]] = Counter()
        self.next_runner = 0
        self.runner_comes(letter="a")
        self.swap(letter="a")

    @rule(letter=st.sampled_from("ab"))
    def runner_comes(self, letter: str) -> None:
        if letter not in self.alive.values():
            self.next_runner += 1
            self.alive[self.next_runner] = letter
            bench = self.bench
            bench.do(bench.judge.runner_ready(self.next_runner, ready(letter), bench.now_ns))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def runner_dies(self, data: st.DataObject) -> None:
        runner = data.draw(st.sampled_from(sorted(self.alive)))
        del self.alive[runner]
        self.bench.in_flight.pop(runner, None)
        self.bench.do(self.bench.judge.runner_gone(runner, self.bench.now_ns))

    @rule(letter=st.sampled_from("ab"))
    def swap(self, letter: str) -> None:
        self.bench.do(self.bench.judge.swap(model(letter).digest, self.bench.now_ns))

    @rule(jump=st.sampled_from([1, 1, 1, 2, 4]), enable=st.sampled_from([True, True, False]))
    def trigger(self, jump: int, enable: bool) -> None:
        bench = self.bench
        for trigger_id in range(bench.trigger_id + 1, bench.trigger_id + jump + 1):
            self.announced[bench.epoch, trigger_id] += 1
        bench.line(is_edge=True, jump=jump, enable=enable)

    @rule(after_ms=st.integers(0, 20))
    def part_in_good_order(self, after_ms: int) -> None:
        """Most parts are like this one; chance alone would hardly bring them about."""
        self.bench.run(WINDOW_MS + 20)
        self.trigger(jump=1, enable=True)
        self.frame(after_ms)

    @rule(after_ms=st.integers(0, 30))
    def frame(self, after_ms: float) -> None:
        self.bench.now_ms += after_ms
        self.bench.frame()

    @precondition(lambda self: self.bench.in_flight)
    @rule(data=st.data(), score=st.sampled_from([0.1, 0.5, 0.9, float("nan")]))
    def answer(self, data: st.DataObject, score: float) -> None:
        runner = data.draw(st.sampled_from(sorted(self.bench.in_flight)))
        before = len(self.bench.verdicts)
        self.bench.answer(runner, score)
        for envelope in self.bench.verdicts[before:]:
            assert envelope.model == model(self.alive[runner]), "one part is judged by one model"

    @rule(ms=st.sampled_from([1, 10, 50, 150, 400]))
    def time_passes(self, ms: float) -> None:
        self.bench.run(ms)

    @rule()
    def camera_reconnects(self) -> None:
        self.bench.frame_id = 0
        self.bench.do(self.bench.judge.camera_reset(self.bench.now_ns))

    @rule()
    def plc_restarts(self) -> None:
        self.bench.epoch += 1
        self.bench.trigger_id = 10
        self.bench.line(is_edge=False)

    @invariant()
    def no_part_has_two_verdicts(self) -> None:
        counted = Counter((each.plc_epoch, each.trigger_id) for each in self.bench.verdicts)
        assert not counted - self.announced

    @invariant()
    def a_pass_is_fresh_and_from_the_model_that_was_asked(self) -> None:
        for envelope in self.bench.verdicts[-1:]:
            if envelope.verdict is Verdict.PASS:
                assert envelope.decided_ns < envelope.deadline_ns - RESERVE_MS * MILLISECOND
                assert envelope.score is not None
                assert envelope.score < LINES.uncertain_low

    def teardown(self) -> None:
        self.bench.run(1000)
        verdicts = Counter((each.plc_epoch, each.trigger_id) for each in self.bench.verdicts)
        assert verdicts == self.announced, "each part has exactly one verdict in the end"
        for runner in list(self.bench.in_flight):
            self.bench.answer(runner)
        assert not self.bench.taken, "each slot is given back exactly once"
        assert verdicts == Counter(
            (each.plc_epoch, each.trigger_id) for each in self.bench.verdicts
        ), "a closed part never emits again"


TestJudge = JudgeMachine.TestCase
TestJudge.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
