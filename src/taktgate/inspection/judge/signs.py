"""What the judge lets others know about itself: its beat, its status, its events."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import encode
from taktgate.contracts.line import Beat
from taktgate.contracts.model import ModelRef
from taktgate.edge.lane import Outlet
from taktgate.inspection import control
from taktgate.inspection.control import Happening, JudgeEvent, JudgeStatus, Refused
from taktgate.inspection.judge.parts import Identity

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """The writer (None with the local lane switched off) and the agent."""

    writer: Outlet | None
    agent: Outlet

    def send_writer(self, kind: str, payload: bytes) -> bool:
        """Send to the writer; False when it was lost, or the local lane is switched off."""
        return self.writer is not None and self.writer.send(kind, payload)

    def send_both(self, kind: str, payload: bytes) -> None:
        """Send to the writer first, the line waits for it; then the copy for the agent."""
        self.send_writer(kind, payload)
        self.agent.send(kind, payload)


@dataclass(slots=True, kw_only=True)
class Signs:
    """Sends them. Readiness is logged when it changes."""

    identity: Identity
    outlets: Outlets
    clock: Callable[[], int]
    has_news: bool = True
    """Something happened that beat and status should say at once."""
    _beats: int = 0
    _last: tuple[bool, str] | None = field(default=None)

    def beat(self, *, is_ready: bool, reason: str, model: ModelRef | None) -> None:
        """Send the sign of life."""
        if self._last != (is_ready, reason):
            self._last = is_ready, reason
            log.info("ready" if is_ready else "not ready", extra={"reason": reason})
        self._beats += 1
        beat = Beat(
            contract=CONTRACT_VERSION,
            station=self.identity.station,
            kernel_boot_id=self.identity.kernel_boot_id,
            judge_start_id=self.identity.judge_start_id,
            sequence=self._beats,
            ready=is_ready,
            reason=reason[:200],
            model=model,
            sent_ns=self.clock(),
        )
        self.outlets.send_both(control.KIND_BEAT, encode(beat))

    def status(self, status: JudgeStatus) -> None:
        """Tell the agent what is."""
        self.outlets.agent.send(control.KIND_STATUS, encode(status))

    def refused(self, digest: str, refused: Refused) -> None:
        """Tell the agent why a model will not judge."""
        self.tell(Happening.REFUSED, digest=digest, reason=refused.reason, message=refused.message)

    def tell(
        self,
        happening: Happening,
        *,
        digest: str | None = None,
        reason: str = "",
        message: str = "",
        first_trigger_id: int | None = None,
    ) -> None:
        """Tell the agent what happened."""
        event = JudgeEvent(
            judge_start_id=self.identity.judge_start_id,
            happening=happening,
            digest=digest,
            reason=reason[:64],
            message=message[:500],
            first_trigger_id=first_trigger_id,
            at_ns=self.clock(),
        )
        self.outlets.agent.send(control.KIND_EVENT, encode(event))
        self.has_news = True
