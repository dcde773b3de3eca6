"""The judge: events in, actions out. It owns the parts; it has no clock, no socket and no thread.

One part gets one verdict: closing a part is final, and what comes later is only counted. One part
is judged by one model: it is chosen when the frame is dispatched, and a swap between two parts
changes nothing for a part that is under way.
"""

from typing import Final

from taktgate.contracts.line import LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, VerdictEnvelope
from taktgate.inspection.control import Ready
from taktgate.inspection.decision.answer import decide_answer
from taktgate.inspection.decision.rule import undecided
from taktgate.inspection.doorbell import Answer, Job, RunFault
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.gate.frozen import FrozenWatch
from taktgate.inspection.judge.actions import (
    Action,
    BreakerMoved,
    Dispatch,
    Done,
    Doubt,
    Expose,
    Kill,
    Publish,
    Release,
)
from taktgate.inspection.judge.admission import Admission
from taktgate.inspection.judge.breaker import Breaker, State
from taktgate.inspection.judge.correlation.choosing import choose_correlation
from taktgate.inspection.judge.correlation.port import Edge, Finding, Kind
from taktgate.inspection.judge.parts import (
    Envelopes,
    Identity,
    Part,
    Policy,
    Timing,
    open_part,
)
from taktgate.inspection.judge.ready_runners import (
    HANG_GRACE_NS,
    STANDBY_GRACE_NS,
    Flight,
    ReadyRunner,
    ReadyRunners,
)

MAX_SKIPPED: Final = 16
"""TriggerIds of one jump that are answered one by one; the PLC's ring holds eight."""
_RAN: Final = frozenset({RunFault.NONE, RunFault.NON_FINITE})
"""Answers after a whole run: they tell how long one takes."""


class Judge:
    """Turns triggers, frames and answers into verdicts."""

    def __init__(self, identity: Identity, timing: Timing, policy: Policy | None = None) -> None:
        policy = policy or Policy()
        self._timing = timing
        self._envelopes = Envelopes(identity)
        self._correlation = choose_correlation(policy.correlation, window_ns=timing.frame_window_ns)
        self._breaker = Breaker(policy.breaker_after)
        self._frozen = FrozenWatch(policy.frozen_frames)
        self._admission = Admission()
        self._line: LineState | None = None
        self._open: dict[int, Part] = {}
        self._ready = ReadyRunners()
        self._live: str | None = None
        self._next_job = 0
        self.has_standby = False
        """A warm runner waits to take the place of the live model's, should that one hang."""
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
        return self._correlation.resyncs

    def is_live_ready(self) -> bool:
        """Tell whether the live model's runner waits for frames."""
        return self._live_runner() is not None

    def is_idle(self) -> bool:
        """Tell whether the line is in a gap: no part is open and no runner has a frame."""
        return not self._open and not self._ready.flights()

    def broken_why(self, now_ns: int) -> str:
        """Return why the breaker keeps parts from being judged, nothing when it does not."""
        is_passing = self._breaker.state_at(now_ns) in (State.CLOSED, State.HALF_OPEN)
        return "" if is_passing else self._breaker.why

    def wake_ns(self) -> int | None:
        """Return when `tick` has something to do."""
        times = [part.due_ns for part in self._open.values()]
        hang_ns = self._ready.wake_ns(self._grace_ns)
        return min(times if hang_ns is None else [*times, hang_ns], default=None)

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
        return self._apply(self._correlation.frame(frame), now_ns)

    def camera_reset(self, now_ns: int) -> list[Action]:
        """Take note that the camera was lost or has come back: it may count anew."""
        return self._apply(self._correlation.reset("camera connection changed"), now_ns)

    def is_frame_under_way(self) -> bool:
        """Tell whether a part's frame waits for the live model or is with it."""
        return bool(self._admission.waiting) or bool(self._ready.flights())

    def has_part(self, runner: int) -> bool:
        """Tell whether a part still waits for the answer of *runner*."""
        known = self._ready.get(runner)
        return known is not None and known.flight is not None and not known.flight.part.is_closed

    def runner_ready(self, runner: int, ready: Ready, now_ns: int) -> list[Action]:
        """Take note that *runner* can judge; a model has one runner, so any before it is gone."""
        before = self._ready.take(runner, ready)
        gone = [action for each in before for action in self.runner_gone(each, now_ns)]
        return gone + self._feed(now_ns)

    def runner_gone(self, runner: int, now_ns: int) -> list[Action]:
        """Take note that *runner* is no more; its part gets no decision, at once."""
        known = self._ready.leave(runner)
        if known is None:
            return []
        actions: list[Action] = []
        if known.flight is not None:
            flight = known.flight
            actions += self._close(flight.part, Reason.MODEL_ERROR, now_ns)
            actions.append(Done(part=flight.part, slot=flight.slot, answer=None))
        if self._live_runner() is None:
            for part in self._admission.waiting:
                actions += self._close(part, Reason.MODEL_ERROR, now_ns)
        return actions

    def swap(self, digest: str | None, now_ns: int) -> list[Action]:
        """Let *digest* judge from the next dispatch on."""
        actions: list[Action] = []
        if digest != self._live:
            self._live = digest
            self._admission.model_changed()
            if self._breaker.model_changed(now_ns):
                actions.append(BreakerMoved(is_open=False, why="another model is live"))
        return actions + self._feed(now_ns)

    def answer(self, runner: int, answer: Answer, now_ns: int) -> list[Action]:
        """Take note of a runner's answer; in time it becomes the verdict, late it is counted."""
        known = self._ready.get(runner)
        if known is None or known.flight is None or known.flight.job_id != answer.job_id:
            self.late_answers += 1
            return []
        flight, known.flight = known.flight, None
        if answer.fault in _RAN and known.ready.model.digest == self._live:
            self._admission.ran(now_ns - flight.since_ns, now_ns)
        actions = self._settle(flight, known.ready, answer, now_ns)
        actions += self._feed(now_ns)
        return [*actions, Done(part=flight.part, slot=flight.slot, answer=answer)]

    def _settle(self, flight: Flight, ready: Ready, answer: Answer, now_ns: int) -> list[Action]:
        """End the part of *flight* by its answer, unless it is too late for that."""
        is_frozen = answer.facts is not None and self._frozen.is_frozen(answer.facts.fingerprint)
        if not flight.part.is_closed and now_ns < flight.part.decide_by_ns:
            return self._decide(flight.part, ready, answer, now_ns, is_frozen=is_frozen)
        self.late_answers += 1
        return self._close(flight.part, Reason.TIMEOUT, now_ns)

    def tick(self, now_ns: int) -> list[Action]:
        """Close what is due and condemn what hangs."""
        actions: list[Action] = []
        for part in [part for part in self._open.values() if part.due_ns <= now_ns]:
            reason = Reason.NO_FRAME if part.frame is None else Reason.TIMEOUT
            actions += self._close(part, reason, now_ns)
        for each in self._ready.condemn(now_ns, self._grace_ns):
            actions.append(Kill(runner=each.runner, why="no answer after its part's deadline"))
        return actions + self._apply(self._correlation.expire(now_ns), now_ns)

    @property
    def _grace_ns(self) -> int:
        return STANDBY_GRACE_NS if self.has_standby else HANG_GRACE_NS

    def _live_runner(self) -> ReadyRunner | None:
        return self._ready.of(self._live)

    def _restart(self, why: str, now_ns: int) -> list[Action]:
        actions: list[Action] = []
        for part in list(self._open.values()):
            actions += self._close(part, Reason.FRAME_MISMATCH, now_ns)
        return actions + self._apply(self._correlation.restart(why), now_ns)

    def _trigger(self, state: LineState, first_id: int, now_ns: int) -> list[Action]:
        """Open the part of an edge; the ids that it jumped over are answered as skipped."""
        actions: list[Action] = []
        for trigger_id in range(max(first_id, state.trigger_id - MAX_SKIPPED), state.trigger_id):
            actions += self._refuse(state, trigger_id, Reason.SKIPPED, now_ns)
        if self._may_open(state.trigger_id, now_ns):
            part = open_part(state, state.trigger_id, self._timing)
            self._open[part.trigger_id] = part
            if self._correlation.exposes and now_ns < part.frame_by_ns:
                actions.insert(0, Expose(trigger_id=part.trigger_id))
        else:
            actions += self._refuse(state, state.trigger_id, Reason.NOT_READY, now_ns)
        return actions + self._correlate(state, first_id, state.observed_after_ns, now_ns)

    def _may_open(self, trigger_id: int, now_ns: int) -> bool:
        is_ready = self.is_enabled and self.is_live_ready()
        return is_ready and self._breaker.admits(trigger_id, now_ns)

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
        return self._apply(self._correlation.edge(edge), now_ns)

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
        """Let *part* wait for the live runner, if there is room and time for it."""
        live = self._live_runner()
        flight = None if live is None else live.flight
        busy_since_ns = None if flight is None else flight.since_ns
        if not self._admission.admit(part, now_ns, busy_since_ns=busy_since_ns):
            return self._give_way(part, now_ns)
        return self._feed(now_ns, newcomer=part)

    def _give_way(self, part: Part, now_ns: int) -> list[Action]:
        assert part.frame is not None
        refused = self._close(part, Reason.OVERLOAD, now_ns)
        return [*refused, Done(part=part, slot=part.frame.slot, answer=None)]

    def _feed(self, now_ns: int, newcomer: Part | None = None) -> list[Action]:
        """Hand the next waiting frame to the live runner if that one is idle.

        A *newcomer* that finds it idle is tried in any case.
        """
        live = self._live_runner()
        actions: list[Action] = []
        if live is None or live.flight is not None:
            return actions
        while (part := self._admission.take()) is not None:
            if part is newcomer or self._admission.can_suffice(part, now_ns):
                return [*actions, self._dispatch(live, part, now_ns)]
            actions += self._give_way(part, now_ns)
        return actions

    def _dispatch(self, live: ReadyRunner, part: Part, now_ns: int) -> Dispatch:
        frame = part.frame
        assert frame is not None
        self._next_job += 1
        part.model = live.ready.model
        self.last_dispatched = part.trigger_id
        live.flight = Flight(job_id=self._next_job, part=part, slot=frame.slot, since_ns=now_ns)
        job = Job(
            job_id=self._next_job,
            slot=frame.slot,
            width=frame.width,
            height=frame.height,
            channels=frame.channels,
            decide_by_ns=part.decide_by_ns,
        )
        return Dispatch(runner=live.runner, job=job)

    def _decide(
        self, part: Part, ready: Ready, answer: Answer, now_ns: int, *, is_frozen: bool
    ) -> list[Action]:
        decision = decide_answer(answer, ready.lines)
        if is_frozen and answer.fault is RunFault.NONE:
            decision = undecided(Reason.IMAGE_FROZEN)
        envelope = self._envelopes.judged(part, decision, answer, ready.lines, now_ns)
        return self._end(part, envelope)

    def _close(self, part: Part, reason: Reason, now_ns: int) -> list[Action]:
        """End *part* without a decision; a frame that still waits is let go."""
        if part.is_closed:
            return []
        if part.model is None:
            part.model = self.live_model()
        actions = self._end(part, self._envelopes.undecided(part, reason, now_ns))
        if self._admission.withdraw(part):
            assert part.frame is not None
            actions.append(Done(part=part, slot=part.frame.slot, answer=None))
        return actions

    def _end(self, part: Part, envelope: VerdictEnvelope) -> list[Action]:
        part.envelope = envelope
        if self._open.get(part.trigger_id) is part:
            del self._open[part.trigger_id]
        actions: list[Action] = [Publish(part=part, envelope=envelope)]
        if part.model is None or part.model.digest != self._live:
            return actions
        if self._breaker.saw(part.trigger_id, envelope.reason, envelope.decided_ns):
            why = self._breaker.why
            actions.append(BreakerMoved(is_open=bool(why), why=why or "a usable answer again"))
        return actions

    def live_model(self) -> ModelRef | None:
        """Return the live model if its runner is ready."""
        live = self._live_runner()
        return None if live is None else live.ready.model
