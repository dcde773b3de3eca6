"""The judge: events in, actions out. It owns the parts; it has no clock, no socket and no thread.

One part gets one verdict: closing a part is final, and what comes later is only counted. One part
is judged by one model: it is chosen when the frame is dispatched, and a swap between two parts
changes nothing for a part that is under way.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from taktgate.contracts.line import LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.control import Ready
from taktgate.inspection.doorbell import Answer, Job, RunFault
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation import Correlator, Edge, Finding, Kind
from taktgate.inspection.judge.decision import Decision, decide
from taktgate.inspection.judge.parts import UNDECIDED, Envelopes, Identity, Part, Timing, open_part

MAX_QUEUED: Final = 4
MAX_SKIPPED: Final = 16
"""TriggerIds of one jump that are answered one by one; the PLC's ring holds eight."""
HANG_GRACE_NS: Final = 200 * MILLISECOND
"""How long after its part's decision deadline a runner may still answer before it is killed."""
_FAULTS: Final = {
    RunFault.RUN_FAILED: Reason.MODEL_ERROR,
    RunFault.BAD_FRAME: Reason.MODEL_ERROR,
    RunFault.NON_FINITE: Reason.NON_FINITE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """Send this verdict on both lanes."""

    envelope: VerdictEnvelope


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispatch:
    """Ring the bell of this runner."""

    runner: int
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """This slot holds no part's frame."""

    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The live model is through with this part's frame, and its verdict is out.

    What does not hold the line up may still look at the frame; then its slot is free.
    """

    part: Part
    slot: int
    answer: Answer | None
    """None when the model never answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """This runner hangs: end its process."""

    runner: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """A part gets no verdict from any frame; for the log, since a reason does not say why."""

    trigger_id: int
    why: str


Action = Publish | Dispatch | Release | Done | Kill | Doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    job_id: int
    part: Part
    slot: int
    kill_at_ns: int


@dataclass(slots=True, kw_only=True)
class _Seat:
    """A runner that is ready. It has at most one frame at a time."""

    runner: int
    ready: Ready
    flight: _Flight | None = None
    is_condemned: bool = False


class Judge:
    """Turns triggers, frames and answers into verdicts."""

    def __init__(self, identity: Identity, timing: Timing) -> None:
        self._timing = timing
        self._envelopes = Envelopes(identity)
        self._correlator = Correlator(window_ns=timing.frame_window_ns)
        self._line: LineState | None = None
        self._open: dict[int, Part] = {}
        self._queue: deque[Part] = deque()
        self._seats: dict[int, _Seat] = {}
        self._live: str | None = None
        self._next_job = 0
        self.late_answers = 0
        self.discarded_frames = 0
        self.last_dispatched: int | None = None
        """TriggerId of the part that was dispatched last."""

    @property
    def live(self) -> str | None:
        """Return the digest that judges from the next part on."""
        return self._live

    @property
    def is_enabled(self) -> bool:
        """Return the line's Enable."""
        return self._line is not None and self._line.enable

    @property
    def resyncs(self) -> int:
        """Return how often frames and triggers had to be matched anew."""
        return self._correlator.resyncs

    def is_live_ready(self) -> bool:
        """Tell whether the live model's runner waits for frames."""
        return self._live_seat() is not None

    def wake_ns(self) -> int | None:
        """Return when `tick` has something to do."""
        times = [part.due_ns for part in self._open.values()]
        times += [
            seat.flight.kill_at_ns
            for seat in self._seats.values()
            if seat.flight is not None and not seat.is_condemned
        ]
        return min(times, default=None)

    def line(self, state: LineState, now_ns: int) -> list[Action]:
        """Take note of what the writer read from the PLC."""
        previous, self._line = self._line, state
        if previous is None or state.plc_epoch != previous.plc_epoch:
            actions = self._restart("PLC epoch changed", now_ns)
            return actions + (
                self._trigger(state, state.trigger_id, now_ns) if state.is_edge else []
            )
        if state.trigger_id < previous.trigger_id:
            actions = self._restart("TriggerId went backwards", now_ns)
            return actions + (
                self._trigger(state, state.trigger_id, now_ns) if state.is_edge else []
            )
        if state.trigger_id == previous.trigger_id:
            return []
        if state.is_edge:
            return self._trigger(state, previous.trigger_id + 1, now_ns)
        return self._missed_edge(previous, state, now_ns)

    def frame(self, frame: Frame, now_ns: int) -> list[Action]:
        """Take note of a frame in the ring."""
        return self._apply(self._correlator.frame(frame), now_ns)

    def camera_reset(self, now_ns: int) -> list[Action]:
        """Take note that the camera was lost or has come back: it may count anew."""
        return self._apply(self._correlator.reset("camera connection changed"), now_ns)

    def has_part(self, runner: int) -> bool:
        """Tell whether a part still waits for the answer of *runner*."""
        seat = self._seats.get(runner)
        return seat is not None and seat.flight is not None and not seat.flight.part.is_closed

    def runner_ready(self, runner: int, ready: Ready, now_ns: int) -> list[Action]:
        """Take note that *runner* can judge; a model has one runner, so any before it is gone."""
        digest = ready.model.digest
        before = [each.runner for each in self._seats.values() if each.ready.model.digest == digest]
        self._seats[runner] = _Seat(runner=runner, ready=ready)
        gone = [action for each in before for action in self.runner_gone(each, now_ns)]
        return gone + self._feed(now_ns)

    def runner_gone(self, runner: int, now_ns: int) -> list[Action]:
        """Take note that *runner* is no more; its part gets no decision, at once."""
        seat = self._seats.pop(runner, None)
        if seat is None:
            return []
        actions: list[Action] = []
        if seat.flight is not None:
            flight = seat.flight
            actions += self._close(flight.part, Reason.MODEL_ERROR, now_ns)
            actions.append(Done(part=flight.part, slot=flight.slot, answer=None))
        if self._live_seat() is None:
            for part in list(self._queue):
                actions += self._close(part, Reason.MODEL_ERROR, now_ns)
        return actions

    def swap(self, digest: str | None, now_ns: int) -> list[Action]:
        """Let *digest* judge from the next dispatch on."""
        self._live = digest
        return self._feed(now_ns)

    def answer(self, runner: int, answer: Answer, now_ns: int) -> list[Action]:
        """Take note of a runner's answer; in time it becomes the verdict, late it is counted."""
        seat = self._seats.get(runner)
        if seat is None or seat.flight is None or seat.flight.job_id != answer.job_id:
            self.late_answers += 1
            return []
        flight, seat.flight = seat.flight, None
        actions: list[Action] = []
        if flight.part.is_closed:
            self.late_answers += 1
        elif now_ns >= flight.part.decide_by_ns:
            self.late_answers += 1
            actions += self._close(flight.part, Reason.TIMEOUT, now_ns)
        else:
            actions += self._decide(flight.part, seat.ready, answer, now_ns)
        actions += self._feed(now_ns)
        return [*actions, Done(part=flight.part, slot=flight.slot, answer=answer)]

    def tick(self, now_ns: int) -> list[Action]:
        """Close what is due and condemn what hangs."""
        actions: list[Action] = []
        for part in [part for part in self._open.values() if part.due_ns <= now_ns]:
            reason = Reason.NO_FRAME if part.frame is None else Reason.TIMEOUT
            actions += self._close(part, reason, now_ns)
        for seat in self._seats.values():
            flight = seat.flight
            if flight is not None and flight.kill_at_ns <= now_ns and not seat.is_condemned:
                seat.is_condemned = True
                actions.append(Kill(runner=seat.runner, why="no answer after its part's deadline"))
        return actions + self._apply(self._correlator.expire(now_ns), now_ns)

    def _live_seat(self) -> _Seat | None:
        for seat in self._seats.values():
            if seat.ready.model.digest == self._live and not seat.is_condemned:
                return seat
        return None

    def _restart(self, why: str, now_ns: int) -> list[Action]:
        actions: list[Action] = []
        for part in list(self._open.values()):
            actions += self._close(part, Reason.FRAME_MISMATCH, now_ns)
        return actions + self._apply(self._correlator.restart(why), now_ns)

    def _trigger(self, state: LineState, first_id: int, now_ns: int) -> list[Action]:
        """Open the part of an edge; the ids that it jumped over are answered as skipped."""
        actions: list[Action] = []
        for trigger_id in range(max(first_id, state.trigger_id - MAX_SKIPPED), state.trigger_id):
            actions += self._refuse(state, trigger_id, Reason.SKIPPED, now_ns)
        if self.is_enabled and self.is_live_ready():
            part = open_part(state, state.trigger_id, self._timing)
            self._open[part.trigger_id] = part
        else:
            actions += self._refuse(state, state.trigger_id, Reason.NOT_READY, now_ns)
        return actions + self._correlate(state, first_id, state.observed_after_ns, now_ns)

    def _missed_edge(self, previous: LineState, state: LineState, now_ns: int) -> list[Action]:
        """Answer triggers whose own messages were lost: nobody knows when they happened."""
        actions: list[Action] = []
        first_id = previous.trigger_id + 1
        for trigger_id in range(
            max(first_id, state.trigger_id - MAX_SKIPPED), state.trigger_id + 1
        ):
            actions += self._refuse(state, trigger_id, Reason.SKIPPED, now_ns)
        return actions + self._correlate(state, first_id, previous.observed_ns, now_ns)

    def _correlate(
        self, state: LineState, first_id: int, after_ns: int, now_ns: int
    ) -> list[Action]:
        edge = Edge(
            trigger_id=state.trigger_id,
            first_id=first_id,
            observed_after_ns=after_ns,
            observed_ns=state.observed_ns,
        )
        return self._apply(self._correlator.edge(edge), now_ns)

    def _refuse(
        self, state: LineState, trigger_id: int, reason: Reason, now_ns: int
    ) -> list[Action]:
        part = open_part(state, trigger_id, self._timing)
        return self._close(part, reason, now_ns)

    def _apply(self, findings: list[Finding], now_ns: int) -> list[Action]:
        actions: list[Action] = []
        for finding in findings:
            actions += self._apply_one(finding, now_ns)
        return actions

    def _apply_one(self, finding: Finding, now_ns: int) -> list[Action]:
        part = None if finding.trigger_id is None else self._open.get(finding.trigger_id)
        frame = finding.frame
        if finding.kind is Kind.DISCARDED or (finding.kind is Kind.MATCHED and part is None):
            self.discarded_frames += 1
            return [] if frame is None else [Release(slot=frame.slot)]
        if part is None:
            return []
        if finding.kind is Kind.MATCHED:
            part.frame = frame
            return self._enqueue(part, now_ns)
        if finding.kind is Kind.MISSING:
            return self._close(part, Reason.NO_FRAME, now_ns)
        doubt = Doubt(trigger_id=part.trigger_id, why=finding.why)
        return [*self._close(part, Reason.FRAME_MISMATCH, now_ns), doubt]

    def _enqueue(self, part: Part, now_ns: int) -> list[Action]:
        """Queue *part*; when the queue is full, the part whose deadline comes first gives way."""
        self._queue.append(part)
        actions: list[Action] = []
        if len(self._queue) > MAX_QUEUED:
            first = min(self._queue, key=lambda each: each.decide_by_ns)
            actions += self._close(first, Reason.TIMEOUT, now_ns)
        return actions + self._feed(now_ns)

    def _feed(self, now_ns: int) -> list[Action]:
        """Hand the next waiting frame to the live runner if that one is idle."""
        seat = self._live_seat()
        if seat is None or seat.flight is not None or not self._queue:
            return []
        part = self._queue.popleft()
        frame = part.frame
        assert frame is not None
        self._next_job += 1
        part.model = seat.ready.model
        self.last_dispatched = part.trigger_id
        seat.flight = _Flight(
            job_id=self._next_job,
            part=part,
            slot=frame.slot,
            kill_at_ns=part.decide_by_ns + HANG_GRACE_NS,
        )
        job = Job(
            job_id=self._next_job,
            slot=frame.slot,
            width=frame.width,
            height=frame.height,
            channels=frame.channels,
            decide_by_ns=part.decide_by_ns,
        )
        return [Dispatch(runner=seat.runner, job=job)]

    def _decide(self, part: Part, ready: Ready, answer: Answer, now_ns: int) -> list[Action]:
        if answer.fault is RunFault.NONE:
            decision = decide(answer.score, answer.class_scores, ready.lines)
        else:
            decision = Decision(
                verdict=UNDECIDED, reason=_FAULTS[answer.fault], score=None, decided_by=None
            )
        names = tuple(line.name for line in ready.lines.classes)
        return self._end(part, self._envelopes.judged(part, decision, answer, names, now_ns))

    def _close(self, part: Part, reason: Reason, now_ns: int) -> list[Action]:
        """End *part* without a decision; a frame that still waits in the queue is let go."""
        if part.is_closed:
            return []
        if part.model is None:
            part.model = self.live_model()
        actions: list[Action] = []
        if part in self._queue:
            self._queue.remove(part)
            assert part.frame is not None
            actions.append(Done(part=part, slot=part.frame.slot, answer=None))
        return self._end(part, self._envelopes.undecided(part, reason, now_ns)) + actions

    def _end(self, part: Part, envelope: VerdictEnvelope) -> list[Action]:
        part.envelope = envelope
        if self._open.get(part.trigger_id) is part:
            del self._open[part.trigger_id]
        return [Publish(envelope=envelope)]

    def live_model(self) -> ModelRef | None:
        """Return the live model if its runner is ready."""
        seat = self._live_seat()
        return None if seat is None else seat.ready.model
