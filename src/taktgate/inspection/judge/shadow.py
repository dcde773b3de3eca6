"""A second opinion on frames whose verdict is out. Pure; it has no word for a verdict on a lane.

All that a shadow can ask for is a `Wish`: ring its runner's bell, end that runner, let a slot go,
tell the agent of a pair. None of them carries an envelope, and neither this module nor `shadowing`,
which carries the wishes out, may import what sends on lanes (an import contract holds that).

The line goes first: a frame is shown only while no part's frame waits or is being judged, while
slots are plenty and while the shadow's one place is empty; else it is dropped and counted. A
shadow's job numbers begin where the judge's own never come, so no answer can be taken for another.
"""

from dataclasses import dataclass
from typing import Final

from taktgate.contracts.verdict import ClassScore, Reason, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.control import Ready
from taktgate.inspection.decision.answer import decide_answer, named_scores
from taktgate.inspection.decision.rule import Decision, undecided
from taktgate.inspection.doorbell import Answer, Job
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.opinions import Opinion, ShadowPair

FIRST_JOB: Final = 1 << 62
MIN_FREE_SLOTS: Final = 4
"""Fewer, and the next frames may need them: one being filled, two unmatched, one queued."""
RUN_LIMIT_NS: Final = 1000 * MILLISECOND
"""After this the runner ends the run. Long, since an idle run gets what the line leaves over."""
GRACE_NS: Final = 500 * MILLISECOND
"""How long after the limit a runner may still answer before it is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """Show a frame to this runner."""

    runner: int
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """This runner hangs over a shadow's frame: end its process."""

    runner: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """The shadow is through with this slot."""

    slot: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSeen:
    """Tell the agent."""

    pair: ShadowPair


Wish = Show | End | LetGo | PairSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """What the line leaves to a shadow at this moment."""

    free_slots: int
    is_frame_under_way: bool
    """A part's frame waits for the live model or is with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadyRunner:
    runner: int
    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    job_id: int
    shown_to: _ReadyRunner
    slot: int
    live: Opinion
    trigger_id: int
    kill_at_ns: int


class Shadow:
    """Shows frames to one model that is not live, one at a time."""

    def __init__(self, judge_start_id: str) -> None:
        self._judge_start_id = judge_start_id
        self._ready: dict[str, _ReadyRunner] = {}
        self._flight: _Flight | None = None
        self._is_condemned = False
        self._next_job = FIRST_JOB
        self.digest: str | None = None
        """The model to show frames to."""
        self.counters = {
            "shadow_shown": 0,
            "shadow_dropped_line": 0,
            "shadow_dropped_slots": 0,
            "shadow_dropped_busy": 0,
        }

    @property
    def wake_ns(self) -> int | None:
        """Return when `tick` has something to do."""
        if self._flight is None or self._is_condemned:
            return None
        return self._flight.kill_at_ns

    def follow(self, digest: str | None) -> None:
        """Show frames to *digest* from now on; what another model still works on says nothing."""
        self.digest = digest

    def occupies(self, digest: str) -> bool:
        """Tell whether the runner of *digest* has a shadow's frame in hand."""
        return self._flight is not None and self._flight.shown_to.ready.model.digest == digest

    def runner_ready(self, runner: int, ready: Ready) -> None:
        """Take note that *runner* can judge; should the model have one already, this one counts."""
        self._ready[ready.model.digest] = _ReadyRunner(runner=runner, ready=ready)

    def runner_gone(self, runner: int) -> list[Wish]:
        """Take note that *runner* is no more; the frame that it had is let go."""
        for digest, each in list(self._ready.items()):
            if each.runner == runner:
                del self._ready[digest]
        flight = self._flight
        if flight is None or flight.shown_to.runner != runner:
            return []
        reason = Reason.TIMEOUT if self._is_condemned else Reason.MODEL_ERROR
        return self._land(flight, _no_opinion(flight, reason))

    def offer(
        self, envelope: VerdictEnvelope, frame: Frame, pressure: Pressure, now_ns: int
    ) -> list[Wish]:
        """Take over the frame of a part whose verdict is out: show it, or let it go at once.

        Only a part that the live model gave a score is shown: to any other there is no second
        opinion.
        """
        known = None if self.digest is None else self._ready.get(self.digest)
        model = envelope.model
        if known is None or model is None or model.digest == self.digest or envelope.score is None:
            return [LetGo(slot=frame.slot)]
        dropped = self._obstacle(pressure)
        if dropped is not None:
            self.counters[dropped] += 1
            return [LetGo(slot=frame.slot)]
        return [
            self._show(known, _of_live(envelope, model.digest), envelope.trigger_id, frame, now_ns)
        ]

    def answer(self, runner: int, answer: Answer) -> list[Wish]:
        """Take note of what the shadow's runner says of its frame."""
        flight = self._flight
        if flight is None or (flight.shown_to.runner, flight.job_id) != (runner, answer.job_id):
            return []
        return self._land(flight, _opinion(flight, answer))

    def tick(self, now_ns: int) -> list[Wish]:
        """Condemn a runner that hangs."""
        flight = self._flight
        if flight is None or self._is_condemned or now_ns < flight.kill_at_ns:
            return []
        self._is_condemned = True
        return [End(runner=flight.shown_to.runner, why="no answer to a shadow's frame")]

    def _obstacle(self, pressure: Pressure) -> str | None:
        """Return the name of what stands against showing a frame now."""
        if pressure.is_frame_under_way:
            return "shadow_dropped_line"
        if pressure.free_slots < MIN_FREE_SLOTS:
            return "shadow_dropped_slots"
        return None if self._flight is None else "shadow_dropped_busy"

    def _show(
        self, to: _ReadyRunner, live: Opinion, trigger_id: int, frame: Frame, now_ns: int
    ) -> Show:
        self._next_job += 1
        self._is_condemned = False
        limit_ns = now_ns + RUN_LIMIT_NS
        self._flight = _Flight(
            job_id=self._next_job,
            shown_to=to,
            slot=frame.slot,
            live=live,
            trigger_id=trigger_id,
            kill_at_ns=limit_ns + GRACE_NS,
        )
        self.counters["shadow_shown"] += 1
        job = Job(
            job_id=self._next_job,
            slot=frame.slot,
            width=frame.width,
            height=frame.height,
            channels=frame.channels,
            decide_by_ns=limit_ns,
            is_shadow=True,
        )
        return Show(runner=to.runner, job=job)

    def _land(self, flight: _Flight, opinion: Opinion) -> list[Wish]:
        self._flight = None
        wishes: list[Wish] = [LetGo(slot=flight.slot)]
        if opinion.digest == self.digest:
            pair = ShadowPair(
                judge_start_id=self._judge_start_id,
                trigger_id=flight.trigger_id,
                live=flight.live,
                shadow=opinion,
            )
            wishes.append(PairSeen(pair=pair))
        return wishes


def is_shadows(answer: Answer) -> bool:
    """Tell whether *answer* belongs to a shadow's frame and not to a part's."""
    return answer.job_id >= FIRST_JOB


def _of_live(envelope: VerdictEnvelope, digest: str) -> Opinion:
    start_ns, end_ns = envelope.inference_start_ns, envelope.inference_end_ns
    return Opinion(
        digest=digest,
        verdict=envelope.verdict,
        reason=envelope.reason,
        score=envelope.score,
        scores=envelope.scores,
        decided_by=envelope.decided_by,
        run_ns=0 if start_ns is None or end_ns is None else end_ns - start_ns,
    )


def _opinion(flight: _Flight, answer: Answer) -> Opinion:
    """Return what *answer* means under the lines of the shadow's own bundle."""
    lines = flight.shown_to.ready.lines
    decision = decide_answer(answer, lines)
    run_ns = max(0, answer.end_ns - answer.start_ns)
    return _opinion_of(flight, decision, run_ns, named_scores(decision, answer, lines))


def _no_opinion(flight: _Flight, reason: Reason) -> Opinion:
    """Return what a runner that never answered makes of the frame."""
    return _opinion_of(flight, undecided(reason), 0, ())


def _opinion_of(
    flight: _Flight, decision: Decision, run_ns: int, scores: tuple[ClassScore, ...]
) -> Opinion:
    return Opinion(
        digest=flight.shown_to.ready.model.digest,
        verdict=decision.verdict,
        reason=decision.reason,
        score=decision.score,
        scores=scores,
        decided_by=decision.decided_by,
        run_ns=run_ns,
    )
