"""One note to the agent for each verdict: what the judge knows of the part beyond it."""

from taktgate.contracts.codec import encode
from taktgate.edge.lane import Outlet
from taktgate.inspection import control
from taktgate.inspection.control import FrameNote, PartNote
from taktgate.inspection.frames.camera import Frame
from taktgate.inspection.frames.evidence import EvidenceMemory
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.actions import Done
from taktgate.inspection.judge.parts import Part


class PartNotes:
    """Writes them: at once for a part without a frame, else when its model is through with it."""

    def __init__(
        self,
        judge_start_id: str,
        *,
        ring: FrameRing,
        evidence: EvidenceMemory,
        agent: Outlet,
    ) -> None:
        self._judge_start_id = judge_start_id
        self._ring = ring
        self._evidence = evidence
        self._agent = agent

    def published(self, part: Part) -> None:
        """Take note that the verdict of *part* is out."""
        if part.frame is None:
            self._send(part, None)

    def done(self, done: Done) -> None:
        """Keep the frame of a part that has its verdict, and tell of it."""
        frame, answer = done.part.frame, done.answer
        assert frame is not None
        note = FrameNote(
            frame_id=frame.frame_id,
            width=frame.width,
            height=frame.height,
            channels=3 if frame.channels == 3 else 1,
            arrived_ns=None if answer is None else answer.arrived_ns,
            gated_ns=None if answer is None else answer.gated_ns,
            facts=None if answer is None else answer.facts,
            slot=self._evidence.keep(_sequence(done.part), self._pixels(frame)),
        )
        self._send(done.part, note)

    def _pixels(self, frame: Frame) -> memoryview:
        return self._ring.memory(frame.slot)[: frame.width * frame.height * frame.channels]

    def _send(self, part: Part, frame: FrameNote | None) -> None:
        note = PartNote(
            judge_start_id=self._judge_start_id,
            sequence=_sequence(part),
            sent_ns=part.sent_ns,
            frame=frame,
        )
        self._agent.send(control.KIND_PART, encode(note))


def _sequence(part: Part) -> int:
    assert part.envelope is not None
    return part.envelope.sequence
