"""Which parts give way, and that those which are served do not pay for the others."""

import heapq
import random
from dataclasses import dataclass, field
from itertools import count, pairwise

import pytest
from tests.unit.inspection.judge_bench import DEADLINE_MS, RESERVE_MS, Bench, bench_with_model

from taktgate.contracts.verdict import Reason
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.judge.admission import (
    MAX_WAITING,
    MEMORY_NS,
    MIN_RUNS,
    Admission,
)
from taktgate.inspection.judge.parts import Part

RUN_NS = 30 * MILLISECOND


def part(trigger_id: int, *, decide_by_ns: int = SECOND) -> Part:
    return Part(
        trigger_id=trigger_id,
        plc_epoch=1,
        trigger_ns=0,
        frame_by_ns=decide_by_ns,
        decide_by_ns=decide_by_ns,
        deadline_ns=decide_by_ns,
    )


def measured(runs: int = MIN_RUNS, *, took_ns: int = RUN_NS) -> Admission:
    admission = Admission()
    for _ in range(runs):
        admission.ran(took_ns, 0)
    return admission


def test_before_it_is_measured_a_model_is_refused_no_part_for_its_time() -> None:
    admission = measured(MIN_RUNS - 1)

    assert admission.admit(part(1, decide_by_ns=1), 0, busy_since_ns=0)
    assert not admission.admit(part(2), 0, busy_since_ns=0), "but no more than one waits"


def test_one_runs_and_one_waits_while_the_runner_is_in_step() -> None:
    admission = measured()

    assert admission.admit(part(1), RUN_NS // 2, busy_since_ns=0)
    assert not admission.admit(part(2), RUN_NS // 2, busy_since_ns=0)


def test_behind_a_run_that_is_overdue_more_may_wait_up_to_the_bound() -> None:
    admission = measured()
    now_ns = 2 * RUN_NS + 1
    admitted = [admission.admit(part(n), now_ns, busy_since_ns=0) for n in range(MAX_WAITING + 2)]

    assert admitted == [True] * MAX_WAITING + [False] * 2


@pytest.mark.parametrize(("left_ns", "is_admitted"), [(50, True), (49, False)])
def test_a_part_that_comes_too_late_behind_what_is_ahead_is_refused(
    left_ns: int, is_admitted: bool
) -> None:
    """After 10 of 30 ms the rest of the run ahead is 20, and its own run 30."""
    now_ns = 10 * MILLISECOND
    late = part(1, decide_by_ns=now_ns + left_ns * MILLISECOND)

    assert measured().admit(late, now_ns, busy_since_ns=0) is is_admitted


def test_a_part_that_finds_the_runner_idle_is_never_refused() -> None:
    assert measured().admit(part(1, decide_by_ns=1), 0, busy_since_ns=None)


@pytest.mark.parametrize(("left_ms", "can"), [(10, True), (9, False)])
def test_a_part_that_has_waited_is_not_run_for_less_than_the_quickest_run(
    left_ms: int, can: bool
) -> None:
    admission = measured()
    admission.ran(10 * MILLISECOND, 0)

    assert admission.can_suffice(part(1, decide_by_ns=left_ms * MILLISECOND), 0) is can


def test_what_was_measured_long_ago_counts_no_more() -> None:
    admission = measured()

    assert admission.pace(MEMORY_NS) is not None
    assert admission.pace(MEMORY_NS + 1) is None


@dataclass(slots=True, kw_only=True)
class Feed:
    """Parts and frames at a fixed pace, against a runner of a given speed, in virtual time."""

    bench: Bench = field(default_factory=lambda: bench_with_model(window_ms=12))
    served_ms: list[float] = field(default_factory=list)
    """Trigger to verdict."""
    dropped_ms: list[float] = field(default_factory=list)
    most_waiting: int = 0

    def run(self, *, takt_ms: float, run_ms: float, parts: int, seed: int = 1) -> None:
        rng, order = random.Random(seed), count()
        begin = self.bench.now_ms
        arrivals = [(begin + n * takt_ms, next(order), "part") for n in range(parts)]
        events: list[tuple[float, int, str]] = arrivals
        flying = 0
        while events:
            at_ms, _, kind = heapq.heappop(events)
            self.bench.run(max(0.0, at_ms - self.bench.now_ms))
            if kind == "part":
                self.bench.part(after_ms=0.0)
            elif self.bench.in_flight:
                self.bench.answer()
                flying = 0
            if self.bench.in_flight and not flying:
                flying = 1
                took_ms = run_ms * rng.uniform(0.95, 1.05)
                heapq.heappush(events, (self.bench.now_ms + took_ms, next(order), "answer"))
            self.most_waiting = max(self.most_waiting, len(self.bench.taken) - flying)
        self.bench.run(DEADLINE_MS)
        self._sort()

    def _sort(self) -> None:
        for envelope in self.bench.verdicts:
            observed_ns = envelope.trigger_ns + 10 * MILLISECOND
            took_ms = (envelope.decided_ns - observed_ns) / MILLISECOND
            if envelope.reason is Reason.NONE:
                self.served_ms.append(took_ms)
            elif envelope.reason is Reason.OVERLOAD:
                self.dropped_ms.append(took_ms)


def test_at_twice_the_load_the_served_keep_their_latency_and_the_rest_is_dropped_at_once() -> None:
    feed = Feed()
    feed.run(takt_ms=1000 / 60, run_ms=1000 / 30, parts=600)

    reasons = {envelope.reason for envelope in feed.bench.verdicts}
    assert reasons == {Reason.NONE, Reason.OVERLOAD}, "nobody ran into the deadline"
    assert len(feed.served_ms) >= 290, "the capacity is used"
    settled = feed.served_ms[2 * MIN_RUNS :]
    assert max(settled) <= 2 * 1.05 * 1000 / 30, "within two runs"
    assert max(settled[-100:]) <= 1.05 * max(settled[:100]), "and it does not grow"
    assert max(feed.dropped_ms[MAX_WAITING:]) == 0.0, "dropped when they came"
    assert feed.most_waiting <= MAX_WAITING


def test_within_its_capacity_a_model_serves_every_part() -> None:
    feed = Feed()
    feed.run(takt_ms=1000 / 30, run_ms=25, parts=200)

    assert len(feed.served_ms) == 200
    assert max(feed.served_ms) <= 1.05 * 25


@pytest.mark.parametrize("run_ms", [40, 60, 90, 120])
def test_whatever_the_model_can_do_within_the_deadline_it_is_let_do(run_ms: float) -> None:
    """A model that is always refused would never be measured again."""
    feed = Feed()
    feed.run(takt_ms=1000 / 30, run_ms=run_ms, parts=300)

    in_time = run_ms * 1.05 <= DEADLINE_MS - RESERVE_MS - 10
    assert (len(feed.served_ms) >= 0.7 * 300 * (1000 / 30) / run_ms) is in_time


def test_no_part_is_kept_waiting_beyond_its_own_time() -> None:
    feed = Feed()
    feed.run(takt_ms=1000 / 60, run_ms=1000 / 30, parts=200)

    ends = [(each.trigger_id, each.decided_ns) for each in feed.bench.verdicts]
    assert len({trigger_id for trigger_id, _ in ends}) == 200
    assert all(before[1] <= after[1] for before, after in pairwise(ends))
