"""When a link to edgeHub is worth a log line, and when this process cannot mend it."""

import logging
from collections.abc import Callable

from taktgate.edge.hub import HubSettings
from taktgate.edge.hub_transport import LinkLostError, LinkRefusedError, LinkStuckError

log = logging.getLogger(__name__)


class LinkHealth:
    """Logs each change of the link once and counts what a new process might cure.

    An edgeHub that is simply away is no reason to give up. Two things are: it is refused again and
    again (the trust bundle is read once per process), or it takes connections and answers nothing.
    """

    def __init__(self, settings: HubSettings, now: Callable[[], float]) -> None:
        self._settings = settings
        self._now = now
        self._refusals = 0
        self._stuck_since_s: float | None = None
        self._last_reason = ""
        self._is_up: bool | None = None

    def connected(self) -> None:
        """Take note that the link is up."""
        self._refusals = 0
        if self._is_up is not True:
            log.info("hub link is up")
        self._is_up = True

    def failed(self, error: LinkLostError) -> None:
        """Take note that the link broke or could not be made."""
        self._last_reason = str(error)
        self._refusals = self._refusals + 1 if isinstance(error, LinkRefusedError) else 0
        if not isinstance(error, LinkStuckError):
            self._stuck_since_s = None
        elif self._stuck_since_s is None:
            self._stuck_since_s = self._now()
        if self._is_up is not False:
            log.warning("hub link is down", extra={"reason": self._last_reason})
        self._is_up = False

    def fatal_reason(self) -> str | None:
        """Return why this process should end, or None."""
        if self._refusals >= self._settings.fatal_after_refusals:
            return f"refused {self._refusals} times in a row: {self._last_reason}"
        since_s = self._stuck_since_s
        if since_s is not None and self._now() - since_s >= self._settings.fatal_after_stuck_s:
            return f"stuck for {self._settings.fatal_after_stuck_s} s: {self._last_reason}"
        return None
