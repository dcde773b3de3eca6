"""A judge, a clock that the test moves, and a ledger of what the judge did."""

from dataclasses import dataclass, field, replace

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.control import Ready
from taktgate.inspection.decision.rule import ClassLine, Lines
from taktgate.inspection.doorbell import Answer, RunFault, failed
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.image_facts import ImageFacts
from taktgate.inspection.judge.actions import (
    Action,
    BreakerMoved,
    Dispatch,
    Done,
    Expose,
    Kill,
    Publish,
    Release,
)
from taktgate.inspection.judge.parts import Identity, Policy, Timing
from taktgate.inspection.judge.rules import Judge

DEADLINE_MS, RESERVE_MS, WINDOW_MS = 150, 50, 120
IDENTITY = Identity(station="VIS01", kernel_boot_id="boot", judge_start_id="start")
TIMING = Timing(
    decision_reserve_ns=RESERVE_MS * MILLISECOND, frame_window_ns=WINDOW_MS * MILLISECOND
)
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

    judge: Judge = field(default_factory=lambda: Judge(IDENTITY, TIMING))
    now_ms: float = 1000.0
    epoch: int = 1
    trigger_id: int = 10
    frame_id: int = 0
    next_slot: int = 0
    taken: set[int] = field(default_factory=set)
    verdicts: list[VerdictEnvelope] = field(default_factory=list)
    in_flight: dict[int, Dispatch] = field(default_factory=dict)
    killed: set[int] = field(default_factory=set)
    exposed: list[int] = field(default_factory=list)
    breaker: list[bool] = field(default_factory=list)
    """Whether it was open after each of its moves."""

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
            elif isinstance(action, Expose):
                self.exposed.append(action.trigger_id)
            elif isinstance(action, BreakerMoved):
                self.breaker.append(action.is_open)

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

    def frame(self, *, trigger_id: int | None = None) -> None:
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
            trigger_id=trigger_id,
        )
        self.do(self.judge.frame(frame, self.now_ns))

    def answer(self, runner: int = 1, score: float = 0.1, *, image: int | None = None) -> None:
        """Answer the job of *runner*, whose frame had the fingerprint *image*."""
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
            facts=None if image is None else facts(image),
        )
        self.do(self.judge.answer(runner, answer, self.now_ns))

    def fail(self, fault: RunFault, runner: int = 1, *, image: int | None = None) -> None:
        """Answer the job of *runner*, whose frame had the fingerprint *image*, without scores."""
        job = self.in_flight.pop(runner).job
        seen = None if image is None else facts(image)
        answer = failed(job.job_id, fault, start_ns=self.now_ns, end_ns=self.now_ns, facts=seen)
        self.do(self.judge.answer(runner, answer, self.now_ns))

    def part(self, *, after_ms: float = 1.0) -> None:
        """Let a part come, and its frame a moment later."""
        self.line(is_edge=True, jump=1)
        self.now_ms += after_ms
        self.frame()

    @property
    def last(self) -> tuple[int, Verdict, Reason]:
        envelope = self.verdicts[-1]
        return envelope.trigger_id, envelope.verdict, envelope.reason


def facts(fingerprint: int) -> ImageFacts:
    return ImageFacts(
        mean=120.0,
        contrast=20.0,
        sharpness=300.0,
        dark_share=0.0,
        saturated_share=0.0,
        fingerprint=fingerprint,
    )


def bench_with_model(
    policy: Policy | None = None, *, window_ms: int = WINDOW_MS, has_model: bool = True
) -> Bench:
    """Return a bench whose judge has a live model, and has seen the line once.

    Args:
        policy: What the station chose.
        window_ms: The frame window; it must be shorter than the takt of what is to come.
        has_model: False leaves it without one.
    """
    timing = replace(TIMING, frame_window_ns=window_ms * MILLISECOND)
    bench = Bench(judge=Judge(IDENTITY, timing, policy))
    if has_model:
        bench.judge.runner_ready(1, ready("a"), bench.now_ns)
        bench.judge.swap(model("a").digest, bench.now_ns)
    bench.line(is_edge=False)
    return bench
