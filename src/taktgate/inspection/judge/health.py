"""Whether a part could be judged now, if not why, and what the agent is told of it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from taktgate.edge.clock import SECOND
from taktgate.edge.process import RealtimeRights
from taktgate.inspection.control import JudgeStatus
from taktgate.inspection.frames.camera import FrameSource
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.line_intake import LineIntake
from taktgate.inspection.judge.parts import Identity
from taktgate.inspection.judge.rules import Judge
from taktgate.inspection.judge.shadowing import Shadowing
from taktgate.inspection.judge.signs import Outlets
from taktgate.inspection.pool.pool import RunnerPool

LINE_LIMIT_NS: Final = 1 * SECOND
"""Without a line state for so long there is no trigger to judge by. The writer repeats at 10 Hz."""


@dataclass(slots=True, kw_only=True)
class Health:
    """Looks at everything that has to be there for a verdict; changes nothing."""

    identity: Identity
    judge: Judge
    pool: RunnerPool
    ring: FrameRing
    camera: FrameSource
    intake: LineIntake
    outlets: Outlets
    shadow: Shadowing
    losses: Callable[[], Mapping[str, int]]
    """What the loop itself has lost or refused."""
    rights: RealtimeRights = field(default_factory=RealtimeRights)
    camera_fault: str | None = "camera not connected yet"
    """Why there is no camera; None while there is one."""

    def why_not_ready(self, now_ns: int) -> str:
        """Return why no part could be judged now; nothing when one could."""
        live = self.judge.live
        if live is None:
            return "no model is live"
        if not self.judge.is_live_ready():
            return f"the live model is {self.pool.state(live) or 'not loaded'}"
        if self.camera_fault is not None:
            return f"no camera: {self.camera_fault}"[:200]
        if self.ring.free == 0:
            return "no free slot for a frame"
        if not self.is_line_fresh(now_ns):
            return "no line state from the PLC writer"
        return self.judge.broken_why(now_ns)

    def is_line_fresh(self, now_ns: int) -> bool:
        """Tell whether the writer has read the PLC of late."""
        return self.intake.is_fresh(now_ns, LINE_LIMIT_NS)

    def status(self, now_ns: int) -> JudgeStatus:
        """Return what is, for the agent."""
        reason = self.why_not_ready(now_ns)
        return JudgeStatus(
            judge_start_id=self.identity.judge_start_id,
            live=self.judge.live,
            shadow=self.shadow.digest,
            models=self.pool.models(),
            is_ready=not reason,
            reason=reason,
            is_enabled=self.judge.is_enabled if self.is_line_fresh(now_ns) else None,
            counters=self._counters(),
            rights=asdict(self.rights),
        )

    def _counters(self) -> dict[str, int]:
        writer = self.outlets.writer
        return {
            "late_answers": self.judge.late_answers,
            "discarded_frames": self.judge.discarded_frames,
            "frame_resyncs": self.judge.resyncs,
            "free_slots": self.ring.free,
            "lane_lost_writer": 0 if writer is None else writer.lost,
            "lane_lost_agent": self.outlets.agent.lost,
            **self.losses(),
            **self.shadow.counters,
            **{f"camera_{name}": count for name, count in self.camera.counters().items()},
            **{f"line_{cause}": count for cause, count in self.intake.counters.items()},
        }
