"""The judge as a pure machine: one verdict a part, none after close, one model a part."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from tests.unit.inspection.judge_bench import (
    DEADLINE_MS,
    LINES,
    RESERVE_MS,
    WINDOW_MS,
    Bench,
    bench_with_model,
    model,
    ready,
)

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.doorbell import RunFault, failed
from taktgate.inspection.judge.admission import MIN_RUNS
from taktgate.inspection.judge.breaker import FIRST_PAUSE_NS
from taktgate.inspection.judge.correlation.choosing import Strategy
from taktgate.inspection.judge.parts import Policy
from taktgate.inspection.judge.ready_runners import HANG_GRACE_NS, STANDBY_GRACE_NS
from taktgate.inspection.judge.rules import MAX_SKIPPED


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


def test_an_answer_to_another_frame_than_the_runner_has_decides_nothing() -> None:
    bench = bench_with_model()
    bench.part()
    stray = failed(99, RunFault.NONE, start_ns=bench.now_ns, end_ns=bench.now_ns)
    bench.do(bench.judge.answer(1, replace(stray, score=0.1, class_scores=(0.1,)), bench.now_ns))

    assert not bench.verdicts
    assert bench.judge.late_answers == 1


def test_a_runner_that_is_to_be_killed_gets_no_part_though_its_answer_still_came() -> None:
    bench = bench_with_model()
    bench.judge.has_standby = True
    bench.part()
    bench.run(RESERVE_MS + WINDOW_MS)
    assert bench.killed == {1}
    bench.answer()
    bench.part()

    assert not bench.in_flight
    assert bench.last[2] is Reason.NOT_READY


def test_the_pace_of_the_model_before_refuses_the_new_one_no_part() -> None:
    bench = bench_with_model(window_ms=20)
    for _ in range(4):
        bench.part()
        bench.now_ms += 80
        bench.answer()
        bench.run(40)
    bench.judge.runner_ready(2, ready("b"), bench.now_ns)
    bench.do(bench.judge.swap(model("b").digest, bench.now_ns))
    bench.part()
    bench.run(25)
    bench.part()

    assert len(bench.verdicts) == 4, "the second one waits"
    bench.answer(2)
    assert bench.in_flight.keys() == {2}


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


def test_a_part_that_waits_for_a_runner_that_dies_is_told_so_at_once() -> None:
    bench = bench_with_model()
    bench.part()
    bench.run(130)
    bench.part()
    bench.in_flight.clear()
    bench.do(bench.judge.runner_gone(1, bench.now_ns))

    assert [(each.trigger_id, each.reason) for each in bench.verdicts] == [
        (11, Reason.TIMEOUT),
        (12, Reason.MODEL_ERROR),
    ]
    assert not bench.taken


def test_the_pace_of_a_slow_model_is_not_held_against_the_next_one() -> None:
    bench = bench_with_model(window_ms=30)
    bench.judge.runner_ready(2, ready("b"), bench.now_ns)
    for _ in range(MIN_RUNS):
        bench.run(200)
        bench.part()
        bench.now_ms += 80
        bench.answer(1)
    bench.do(bench.judge.swap(model("b").digest, bench.now_ns))
    bench.verdicts.clear()
    bench.run(200)
    bench.part()
    bench.run(33)
    bench.part()
    bench.answer(2)
    bench.answer(2)

    assert [each.reason for each in bench.verdicts] == [Reason.NONE, Reason.NONE]


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


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RunFault.NON_FINITE, Reason.NON_FINITE),
        (RunFault.BAD_FRAME, Reason.MODEL_ERROR),
        (RunFault.RUN_FAILED, Reason.MODEL_ERROR),
        (RunFault.TERMINATED, Reason.TIMEOUT),
        (RunFault.IMAGE_DARK, Reason.IMAGE_DARK),
        (RunFault.IMAGE_SATURATED, Reason.IMAGE_SATURATED),
        (RunFault.IMAGE_EXPOSURE, Reason.IMAGE_EXPOSURE),
        (RunFault.IMAGE_BLURRED, Reason.IMAGE_BLURRED),
    ],
)
def test_a_run_without_scores_has_its_own_reason(fault: RunFault, reason: Reason) -> None:
    bench = bench_with_model()
    bench.part()
    bench.fail(fault)

    assert bench.last == (11, Verdict.NO_DECISION, reason)


def test_a_frozen_image_is_rejected_although_its_scores_would_pass() -> None:
    bench = bench_with_model(Policy(frozen_frames=3))
    for image in (7, 7, 7, 7, 8):
        bench.run(200)
        bench.part()
        bench.answer(image=image)

    assert [each.reason for each in bench.verdicts] == [
        Reason.NONE,
        Reason.NONE,
        Reason.IMAGE_FROZEN,
        Reason.IMAGE_FROZEN,
        Reason.NONE,
    ]


def test_a_frozen_image_that_has_a_fault_of_its_own_keeps_its_reason() -> None:
    bench = bench_with_model(Policy(frozen_frames=2))
    for _ in range(3):
        bench.run(200)
        bench.part()
        bench.fail(RunFault.IMAGE_DARK, image=7)

    assert {each.reason for each in bench.verdicts} == {Reason.IMAGE_DARK}


def test_an_image_whose_answer_came_too_late_counts_among_the_frozen_too() -> None:
    bench = bench_with_model(Policy(frozen_frames=2))
    bench.part()
    bench.run(150)
    bench.answer(image=7)
    bench.run(200)
    bench.part()
    bench.answer(image=7)

    assert [each.reason for each in bench.verdicts] == [Reason.TIMEOUT, Reason.IMAGE_FROZEN]


def test_a_hanging_runner_is_killed_sooner_where_a_standby_waits() -> None:
    bench = bench_with_model()
    bench.judge.has_standby = True
    bench.part()
    bench.run(DEADLINE_MS - RESERVE_MS - 10)
    assert not bench.killed
    bench.run(STANDBY_GRACE_NS / MILLISECOND)

    assert bench.killed == {1}


def test_the_part_behind_a_hanging_one_is_judged_by_the_standby() -> None:
    """At 30 parts a second and 8 ms a run."""
    bench = bench_with_model(window_ms=30)
    bench.judge.has_standby = True
    for _ in range(10):
        bench.run(200)
        bench.part()
        bench.now_ms += 8
        bench.answer()
    bench.verdicts.clear()
    bench.run(200)
    hang_ms = bench.now_ms
    for behind in range(4):
        bench.run(hang_ms + behind * 1000 / 30 - bench.now_ms)
        bench.part(after_ms=0)
    while not bench.killed:
        bench.run(1)
    bench.in_flight.clear()
    bench.do(bench.judge.runner_ready(2, ready("a"), bench.now_ns))
    while bench.in_flight:
        bench.run(8)
        bench.answer(2)

    reasons = [each.reason for each in sorted(bench.verdicts, key=lambda one: one.trigger_id)]
    assert reasons == [Reason.TIMEOUT, Reason.NONE, Reason.NONE, Reason.NONE]


def test_a_model_without_usable_answers_takes_the_station_out_of_work_and_is_tried_again() -> None:
    bench = bench_with_model(Policy(breaker_after=3))
    for _ in range(3):
        bench.run(200)
        bench.part()
        bench.fail(RunFault.NON_FINITE)
    assert bench.breaker == [True]
    assert "NON_FINITE" in bench.judge.broken_why(bench.now_ns)
    bench.run(200)
    bench.part()
    assert bench.last == (14, Verdict.NO_DECISION, Reason.NOT_READY)
    assert not bench.in_flight

    bench.run(FIRST_PAUSE_NS / MILLISECOND)
    assert bench.judge.broken_why(bench.now_ns) == ""
    bench.part()
    bench.answer()
    assert bench.last == (15, Verdict.PASS, Reason.NONE)
    assert bench.breaker == [True, False]


def test_a_swap_to_another_model_closes_the_breaker() -> None:
    bench = bench_with_model(Policy(breaker_after=2))
    bench.judge.runner_ready(2, ready("b"), bench.now_ns)
    for _ in range(2):
        bench.run(200)
        bench.part()
        bench.fail(RunFault.RUN_FAILED)
    bench.do(bench.judge.swap(model("b").digest, bench.now_ns))
    bench.run(200)
    bench.part()
    bench.answer(2)

    assert bench.breaker == [True, False]
    assert bench.last[2] is Reason.NONE


def test_a_failure_of_the_model_before_is_not_held_against_the_one_that_is_live() -> None:
    bench = bench_with_model(Policy(breaker_after=2))
    bench.judge.runner_ready(2, ready("b"), bench.now_ns)
    bench.part()
    bench.do(bench.judge.swap(model("b").digest, bench.now_ns))
    bench.fail(RunFault.RUN_FAILED)
    bench.run(200)
    bench.part()
    bench.fail(RunFault.RUN_FAILED, runner=2)

    assert bench.breaker == []


def test_where_the_judge_exposes_each_part_that_it_opens_is_exposed_for() -> None:
    bench = bench_with_model(Policy(correlation="software_trigger"))
    bench.line(is_edge=True, jump=1)
    bench.frame(trigger_id=11)
    bench.answer()
    bench.run(200)
    bench.line(is_edge=True, jump=1, enable=False)
    bench.line(is_edge=True, jump=1)
    bench.frame(trigger_id=13)
    bench.answer()

    assert bench.exposed == [11, 13]
    assert [each.reason for each in bench.verdicts] == [Reason.NONE, Reason.NOT_READY, Reason.NONE]


@pytest.mark.parametrize("strategy", ["counter", "frame_trigger_id"])
def test_where_the_trigger_exposes_the_judge_does_not(strategy: Strategy) -> None:
    bench = bench_with_model(Policy(correlation=strategy))
    bench.line(is_edge=True, jump=1)
    bench.frame(trigger_id=77)
    bench.answer()

    assert bench.exposed == []
    assert bench.last == (11, Verdict.PASS, Reason.NONE)


def test_the_line_is_in_a_gap_while_no_part_is_open_and_no_frame_is_with_a_runner() -> None:
    bench = bench_with_model()
    assert bench.judge.is_idle()
    bench.line(is_edge=True, jump=1)
    assert not bench.judge.is_idle(), "a part waits for its frame"
    bench.frame()
    bench.run(150)
    assert not bench.judge.is_idle(), "its time is up, but the runner has it still"
    bench.answer()
    assert bench.judge.is_idle()


def test_a_new_plc_epoch_closes_what_was_open() -> None:
    bench = bench_with_model()
    bench.line(is_edge=True, jump=1)
    bench.epoch = 2
    bench.line(is_edge=False)

    assert bench.last == (11, Verdict.NO_DECISION, Reason.FRAME_MISMATCH)
    assert bench.verdicts[-1].plc_epoch == 1


class JudgeMachine(RuleBasedStateMachine):
    """Any order of triggers, frames, answers, deaths, swaps and restarts of PLC and camera."""

    @initialize(
        correlation=st.sampled_from(["counter", "software_trigger", "frame_trigger_id"]),
        breaker_after=st.sampled_from([2, 5]),
        frozen_frames=st.sampled_from([None, 2]),
        has_standby=st.booleans(),
    )
    def station(
        self,
        correlation: Strategy,
        breaker_after: int,
        frozen_frames: int | None,
        has_standby: bool,
    ) -> None:
        policy = Policy(
            correlation=correlation, breaker_after=breaker_after, frozen_frames=frozen_frames
        )
        self.bench = bench_with_model(policy, has_model=False)
        self.bench.judge.has_standby = has_standby
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
        self.bench.frame(trigger_id=self.bench.trigger_id)

    @precondition(lambda self: self.bench.in_flight)
    @rule(
        data=st.data(),
        score=st.sampled_from([0.1, 0.5, 0.9, float("nan")]),
        image=st.sampled_from([1, 2]),
    )
    def answer(self, data: st.DataObject, score: float, image: int) -> None:
        runner = data.draw(st.sampled_from(sorted(self.bench.in_flight)))
        before = len(self.bench.verdicts)
        self.bench.answer(runner, score, image=image)
        judged = [
            each for each in self.bench.verdicts[before:] if each.inference_start_ns is not None
        ]
        for envelope in judged:
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
