"""The shadow: what is shown, what is dropped, and that no slot and no verdict gets lost or out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.inspection.models_of_a_station import model, ready

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.inspection.control import Ready
from taktgate.inspection.decision.rule import ClassLine, Lines
from taktgate.inspection.doorbell import Answer, Job, RunFault, failed
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge import shadow as shadow_words
from taktgate.inspection.judge.shadow import (
    FIRST_JOB,
    GRACE_NS,
    MIN_FREE_SLOTS,
    RUN_LIMIT_NS,
    End,
    LetGo,
    PairSeen,
    Pressure,
    Shadow,
    Show,
    Wish,
)
from taktgate.inspection.judge.shadowing import Shadowing
from taktgate.inspection.opinions import ShadowPair

CALM = Pressure(free_slots=12, is_frame_under_way=False)
LIVE, NEXT = model("a"), model("b")
LINES = Lines(
    classes=(ClassLine(name="crack", threshold=0.3),), uncertain_low=0.45, uncertain_high=0.55
)
RUNNER = 7


def ready_next() -> Ready:
    return replace(ready(NEXT.digest), lines=LINES)


def frame(slot: int = 3) -> Frame:
    return Frame(
        frame_id=1, exposure_ns=1, received_ns=2, width=64, height=64, channels=1, slot=slot
    )


def envelope(trigger_id: int = 1, *, score: float | None = 0.1) -> VerdictEnvelope:
    return VerdictEnvelope(
        contract=CONTRACT_VERSION,
        station="VIS01",
        kernel_boot_id="k",
        judge_start_id="j",
        plc_epoch=1,
        sequence=trigger_id,
        trigger_id=trigger_id,
        verdict=Verdict.NO_DECISION if score is None else Verdict.PASS,
        reason=Reason.TIMEOUT if score is None else Reason.NONE,
        score=score,
        model=LIVE,
        trigger_ns=1,
        inference_start_ns=3,
        inference_end_ns=8,
        decided_ns=9,
        deadline_ns=100,
    )


def scored(job: Job, score: float) -> Answer:
    return replace(
        failed(job.job_id, RunFault.NONE, start_ns=10, end_ns=17),
        score=score,
        class_scores=(score,),
    )


def following() -> Shadow:
    shadow = Shadow("j")
    shadow.runner_ready(RUNNER, ready_next())
    shadow.follow(NEXT.digest)
    return shadow


def shown(shadow: Shadow) -> Job:
    (wish,) = shadow.offer(envelope(), frame(), CALM, now_ns=0)
    assert isinstance(wish, Show)
    return wish.job


def pair_in(wishes: Sequence[Wish]) -> ShadowPair:
    (pair,) = [wish.pair for wish in wishes if isinstance(wish, PairSeen)]
    return pair


def test_a_frame_is_shown_and_becomes_a_pair_under_the_shadows_own_lines() -> None:
    shadow = following()
    job = shown(shadow)
    wishes = shadow.answer(RUNNER, scored(job, 0.4))

    assert wishes[0] == LetGo(slot=3)
    pair = pair_in(wishes)
    assert (pair.live.digest, pair.live.verdict, pair.live.run_ns) == (
        LIVE.digest,
        Verdict.PASS,
        5,
    )
    assert (pair.shadow.verdict, pair.shadow.decided_by, pair.shadow.run_ns) == (
        Verdict.FAIL,
        "crack",
        7,
    )
    assert job.is_shadow
    assert job.job_id >= FIRST_JOB


@pytest.mark.parametrize(
    ("pressure", "counter"),
    [
        (replace(CALM, is_frame_under_way=True), "shadow_dropped_line"),
        (replace(CALM, free_slots=MIN_FREE_SLOTS - 1), "shadow_dropped_slots"),
    ],
)
def test_a_frame_is_dropped_and_counted_when_the_line_needs_the_room(
    pressure: Pressure, counter: str
) -> None:
    shadow = following()

    assert shadow.offer(envelope(), frame(), pressure, now_ns=0) == [LetGo(slot=3)]
    assert shadow.counters[counter] == 1


def test_the_shadow_has_one_place_and_no_queue() -> None:
    shadow = following()
    shown(shadow)

    assert shadow.offer(envelope(2), frame(4), CALM, now_ns=0) == [LetGo(slot=4)]
    assert shadow.counters["shadow_dropped_busy"] == 1


def test_a_part_without_a_score_of_the_live_model_is_not_shown() -> None:
    assert following().offer(envelope(score=None), frame(), CALM, now_ns=0) == [LetGo(slot=3)]


def test_what_judges_is_never_its_own_shadow() -> None:
    shadow = Shadow("j")
    shadow.runner_ready(RUNNER, ready(LIVE.digest))
    shadow.follow(LIVE.digest)

    assert shadow.offer(envelope(), frame(), CALM, now_ns=0) == [LetGo(slot=3)]


@pytest.mark.parametrize("fault", [fault for fault in RunFault if fault is not RunFault.NONE])
def test_every_fault_is_an_opinion_without_a_score_and_never_a_pass(fault: RunFault) -> None:
    shadow = following()
    job = shown(shadow)
    pair = pair_in(shadow.answer(RUNNER, failed(job.job_id, fault, start_ns=1, end_ns=2)))

    assert (pair.shadow.verdict, pair.shadow.score) == (Verdict.NO_DECISION, None)
    assert pair.shadow.reason is not Reason.NONE


def test_a_shadow_that_hangs_is_ended_once_and_its_frame_goes_with_the_runner() -> None:
    shadow = following()
    shown(shadow)
    due_ns = RUN_LIMIT_NS + GRACE_NS
    assert shadow.wake_ns == due_ns
    assert shadow.tick(due_ns - 1) == []
    (end,) = shadow.tick(due_ns)
    assert isinstance(end, End)
    assert not shadow.tick(due_ns)
    assert shadow.wake_ns is None

    wishes = shadow.runner_gone(RUNNER)
    assert wishes[0] == LetGo(slot=3)
    assert pair_in(wishes).shadow.reason is Reason.TIMEOUT
    assert shadow.offer(envelope(), frame(), CALM, now_ns=0) == [LetGo(slot=3)], "no runner"


def test_the_death_of_another_runner_lets_no_slot_of_the_shadow_go() -> None:
    shadow = following()
    job = shown(shadow)

    assert shadow.runner_gone(RUNNER + 1) == []
    assert shadow.answer(RUNNER, scored(job, 0.1))[0] == LetGo(slot=3)


def test_an_answer_of_a_model_that_is_followed_no_more_says_nothing() -> None:
    shadow = following()
    job = shown(shadow)
    shadow.follow(None)

    assert shadow.occupies(NEXT.digest)
    assert shadow.answer(RUNNER, scored(job, 0.1)) == [LetGo(slot=3)]
    assert not shadow.occupies(NEXT.digest)


def test_a_stale_answer_lets_no_slot_go() -> None:
    shadow = following()
    job = shown(shadow)
    stale = replace(scored(job, 0.1), job_id=job.job_id - 1)

    assert shadow.answer(RUNNER, stale) == []
    assert shadow.answer(RUNNER + 1, scored(job, 0.1)) == []


def test_no_wish_of_a_shadow_carries_a_verdict_envelope() -> None:
    """What it can ask for is these four; `VerdictEnvelope` is no field of any of them."""
    wishes = get_args(Wish)
    assert set(wishes) == {Show, End, LetGo, PairSeen}
    assert not hasattr(shadow_words, "Publish")
    fields = {name: kind for wish in wishes for name, kind in wish.__annotations__.items()}
    assert VerdictEnvelope not in fields.values()


class Runners:
    """Takes jobs, and does with them what the test says."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def dispatch(self, runner: int, job: Job) -> bool:
        self.jobs.append(job)
        return len(self.jobs) % 5 != 0

    def kill(self, runner: int, why: str) -> None:
        """Do nothing: the end comes as an event."""


class Agent:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def send(self, kind: str, payload: bytes) -> bool:
        self.heard.append(kind)
        return True


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["part", "answer", "fault", "gone", "up", "late", "off", "on", "busy"]),
        max_size=60,
    )
)
def test_whatever_happens_every_slot_comes_back(happenings: list[str]) -> None:
    now_ns = 0
    with FrameRing(slot_bytes=4096) as ring:
        runners, agent = Runners(), Agent()
        is_busy = False
        shadowing = Shadowing(
            following(),
            ring=ring,
            runners=runners,
            agent=agent,
            is_frame_under_way=lambda: is_busy,
            clock=lambda: now_ns,
        )
        for number, happening in enumerate(happenings):
            now_ns += 10_000_000
            is_busy = happening == "busy"
            if happening in ("part", "busy"):
                slot = ring.take()
                assert slot is not None
                shadowing.offer(envelope(number + 1), frame(slot))
            elif happening in ("answer", "fault") and runners.jobs:
                answer = scored(runners.jobs[-1], 0.2)
                fault = RunFault.NONE if happening == "answer" else RunFault.RUN_FAILED
                shadowing.answer(RUNNER, replace(answer, fault=fault))
            elif happening == "gone":
                shadowing.runner_gone(RUNNER)
            elif happening == "up":
                shadowing.runner_ready(RUNNER, ready_next())
            elif happening == "late":
                now_ns += RUN_LIMIT_NS + GRACE_NS
                shadowing.tick(now_ns)
            elif happening in ("off", "on"):
                shadowing.follow(NEXT.digest if happening == "on" else None)
            assert ring.free >= ring.slots - 1
        shadowing.runner_gone(RUNNER)
        assert ring.free == ring.slots
        assert set(agent.heard) <= {"pair"}
