"""A part between its trigger and its verdict, and the envelope that ends it."""

from dataclasses import dataclass

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.line import LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import ClassScore, Reason, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.decision.answer import named_scores
from taktgate.inspection.decision.rule import Decision, Lines, undecided
from taktgate.inspection.doorbell import Answer
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.judge.correlation.choosing import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who speaks: bound into every envelope."""

    station: str
    kernel_boot_id: str
    judge_start_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """The station's times."""

    decision_reserve_ns: int
    frame_window_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The station's choices of how parts are matched, and when nothing passes any more."""

    correlation: Strategy = "counter"
    breaker_after: int = 5
    """So many parts in a row without a usable answer of the model, and the station is not ready."""
    frozen_frames: int | None = None
    """The so-many-th image in a row with equal pixels is frozen; None: nobody looks."""


@dataclass(slots=True, kw_only=True, eq=False)
class Part:
    """One part that waits for its verdict. Closing it is final."""

    trigger_id: int
    plc_epoch: int
    trigger_ns: int
    frame_by_ns: int
    """After this no frame can be this part's any more."""
    decide_by_ns: int
    deadline_ns: int
    frame: Frame | None = None
    model: ModelRef | None = None
    """The model that judges it: set once, at dispatch."""
    envelope: VerdictEnvelope | None = None
    """Its verdict, once there is one."""
    sent_ns: int | None = None
    """When that went out on the local lane; None: it did not."""

    @property
    def is_closed(self) -> bool:
        """Return True once the part has its verdict; there will be no other."""
        return self.envelope is not None

    @property
    def due_ns(self) -> int:
        """Return when the judge must close this part itself."""
        if self.frame is None:
            return min(self.frame_by_ns, self.decide_by_ns)
        return self.decide_by_ns


def open_part(state: LineState, trigger_id: int, timing: Timing) -> Part:
    """Return the part that *state* announces. Time counts from the earlier end of the interval."""
    trigger_ns = state.observed_after_ns
    deadline_ns = trigger_ns + state.deadline_ms * MILLISECOND
    return Part(
        trigger_id=trigger_id,
        plc_epoch=state.plc_epoch,
        trigger_ns=trigger_ns,
        frame_by_ns=state.observed_after_ns + timing.frame_window_ns,
        decide_by_ns=deadline_ns - timing.decision_reserve_ns,
        deadline_ns=deadline_ns,
    )


class Envelopes:
    """Writes the envelopes of one judge start, numbered from 1."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._sequence = 0

    def judged(
        self, part: Part, decision: Decision, answer: Answer, lines: Lines, now_ns: int
    ) -> VerdictEnvelope:
        """Return the envelope for a part that its model has answered."""
        scores = named_scores(decision, answer, lines)
        return self._seal(part, decision, now_ns, scores=scores, answer=answer)

    def undecided(self, part: Part, reason: Reason, now_ns: int) -> VerdictEnvelope:
        """Return the envelope for a part that gets no decision."""
        return self._seal(part, undecided(reason), now_ns, scores=(), answer=None)

    def _seal(
        self,
        part: Part,
        decision: Decision,
        now_ns: int,
        *,
        scores: tuple[ClassScore, ...],
        answer: Answer | None,
    ) -> VerdictEnvelope:
        self._sequence += 1
        its, frame = self._identity, part.frame
        return seal(
            VerdictEnvelope(
                contract=CONTRACT_VERSION,
                station=its.station,
                kernel_boot_id=its.kernel_boot_id,
                judge_start_id=its.judge_start_id,
                plc_epoch=part.plc_epoch,
                sequence=self._sequence,
                trigger_id=part.trigger_id,
                verdict=decision.verdict,
                reason=decision.reason,
                score=decision.score,
                scores=scores,
                decided_by=decision.decided_by,
                model=part.model,
                trigger_ns=part.trigger_ns,
                exposure_ns=None if frame is None else frame.exposure_ns,
                received_ns=None if frame is None else frame.received_ns,
                inference_start_ns=None if answer is None else answer.start_ns,
                inference_end_ns=None if answer is None else answer.end_ns,
                decided_ns=now_ns,
                deadline_ns=part.deadline_ns,
                correlation_id=f"{its.station}-{part.plc_epoch}-{part.trigger_id}",
            )
        )
