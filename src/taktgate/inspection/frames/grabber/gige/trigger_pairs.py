"""Which software trigger brought which frame. Pure.

A trigger causes one exposure, and a frame says nothing of its trigger: they are paired only while
just one trigger waits. With two at once, or one whose frame did not come, nobody can tell any more:
then the camera is left in peace for as long as a frame can take, so that whatever is still on its
way arrives unnamed, and the parts meanwhile have no frame.
"""

from dataclasses import dataclass
from typing import Final

from taktgate.edge.clock import MILLISECOND

FRAME_LIMIT_NS: Final = 200 * MILLISECOND
"""Beyond the exposure time: a frame that was triggered comes within it, or never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentTrigger:
    """A trigger on its way."""

    trigger_id: int
    sent_ns: int


@dataclass(slots=True, kw_only=True)
class TriggerPairs:
    """The trigger that waits for its frame, if there is one."""

    limit_ns: int = FRAME_LIMIT_NS
    lost: int = 0
    """Triggers that were not sent, or that no frame could be paired with."""
    _waiting: SentTrigger | None = None
    _quiet_until_ns: int = 0

    def trigger(self, trigger_id: int, now_ns: int) -> bool:
        """Take note of a trigger; False: it must not be sent now."""
        self._expire(now_ns)
        if self._waiting is not None:
            self._doubt(now_ns)
        if now_ns < self._quiet_until_ns:
            self.lost += 1
            return False
        self._waiting = SentTrigger(trigger_id=trigger_id, sent_ns=now_ns)
        return True

    def frame(self, now_ns: int) -> SentTrigger | None:
        """Return the trigger of a frame that has just come, None when that is not known."""
        self._expire(now_ns)
        sent, self._waiting = self._waiting, None
        if sent is None:
            self._doubt(now_ns)  # something is still on its way: the quiet begins anew
        return sent

    def _expire(self, now_ns: int) -> None:
        if self._waiting is not None and now_ns - self._waiting.sent_ns > self.limit_ns:
            self._doubt(now_ns)

    def _doubt(self, now_ns: int) -> None:
        self.lost += self._waiting is not None
        self._waiting = None
        self._quiet_until_ns = now_ns + self.limit_ns
