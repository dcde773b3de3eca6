"""A part as the bench saw it, and what its times say."""

from dataclasses import dataclass
from itertools import pairwise

from benches.inspect_bench.frames import Pixels
from benches.plc_bench.figures import NS_PER_US

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND

JUDGED = (Verdict.PASS, Verdict.FAIL)


@dataclass(slots=True, kw_only=True)
class SeenPart:
    """One part; all times CLOCK_MONOTONIC."""

    trigger_id: int
    frame: Pixels
    due_ns: int
    """When its trigger was scheduled."""
    sent_ns: int
    """When its trigger was sent: the bench may be late as well."""
    exposure_ns: int
    frame_sent_ns: int
    """When the whole frame was handed to the kernel."""
    decide_by_ns: int
    """The decision deadline."""
    envelope: VerdictEnvelope | None = None
    verdict_ns: int = 0
    """When the verdict was in the writer's inbox."""
    seen_ns: int = 0
    """When the inbox' owner, awake, had it."""
    arrived_ns: int | None = None
    """When the runner took the frame up."""
    gated_ns: int | None = None
    """When the image gate was through."""

    @property
    def is_judged(self) -> bool:
        """Tell whether a model's score decided it, the uncertain band included."""
        return self.envelope is not None and (
            self.envelope.verdict in JUDGED or self.envelope.reason is Reason.UNCERTAIN
        )

    @property
    def fate(self) -> str:
        """Return why it has no score and when that was known: for a reader who looks for causes."""
        assert self.envelope is not None
        known_ms = (self.verdict_ns - self.sent_ns) / MILLISECOND
        frame_ms = (self.frame_sent_ns - self.sent_ns) / MILLISECOND
        return f"{self.envelope.reason} after {known_ms:.1f} ms, frame sent by {frame_ms:.1f} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Where the time of one judged part went, in us."""

    camera: float
    """Exposure to frame complete in memory."""
    pickup: float
    """From there to the runner."""
    gate: float
    prepare: float
    """From the image gate to the run: the frame becomes the model's input, resized if need be."""
    run: float
    """`session.run` alone."""
    answer: float
    """From its end to the verdict's datagram in the writer's inbox."""
    wake: float
    """From there until the inbox' owner had it: the scheduler's time, for comparison."""

    @property
    def overhead(self) -> float:
        """Return frame complete to verdict sent, without run and image gate."""
        return self.pickup + self.prepare + self.answer

    @property
    def beyond_run(self) -> float:
        """Return frame complete to verdict sent, without the run alone."""
        return self.overhead + self.gate


def steps_of(part: SeenPart) -> Steps | None:
    """Return the steps of *part*, None when it was not judged.

    Without the judge's note everything before the run counts as its preparation.
    """
    envelope = part.envelope
    if envelope is None or not part.is_judged:
        return None
    received_ns, start_ns = envelope.received_ns, envelope.inference_start_ns
    end_ns = envelope.inference_end_ns
    assert received_ns is not None
    assert start_ns is not None
    assert end_ns is not None
    moments = (
        part.exposure_ns,
        received_ns,
        received_ns if part.arrived_ns is None else part.arrived_ns,
        received_ns if part.gated_ns is None else part.gated_ns,
        start_ns,
        end_ns,
        part.verdict_ns,
        part.seen_ns,
    )
    lengths = [(later - earlier) / NS_PER_US for earlier, later in pairwise(moments)]
    return Steps(**dict(zip(Steps.__dataclass_fields__, lengths, strict=True)))
