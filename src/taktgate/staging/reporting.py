"""What the stager says to others: its reported twin, and the notice on route `staged`."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from taktgate.contracts import routes
from taktgate.contracts.codec import encode
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagerReported, StagingPhase

log = logging.getLogger(__name__)

REPORTED_PROPERTY: Final = "stager"
SHORTEST_GAP_S: Final = 1.0
"""Between two reports: the hub counts each one."""


class Outbox(Protocol):
    """The part of `edge.hub.HubClient` that is needed here."""

    def send(
        self,
        output: str,
        payload: bytes,
        *,
        properties: Mapping[str, str] | None = None,
        ttl_s: float,
    ) -> bool:
        """Queue a message; return False when that is not possible."""

    def report(self, patch: Mapping[str, object]) -> None:
        """Merge *patch* into the reported properties, again after each reconnect."""


class Reporter:
    """Reports on change, not more than once a second, and gives notice once per announcement."""

    def __init__(self, hub: Outbox, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._hub = hub
        self._clock = clock
        self._reported: StagerReported | None = None
        self._reported_at_s = float("-inf")
        self._noticed: StagedModel | None = None

    def tell(self, now: StagerReported, announced: StagedModel | None) -> None:
        """Report *now* if it is news, and give notice of *announced* while it is what is ordered.

        A start gives notice again: inference takes an equal one as settled.
        """
        if now.phase is StagingPhase.STAGED and announced is not None:
            self._notify(announced)
        moment_s = self._clock()
        if now == self._reported or moment_s - self._reported_at_s < SHORTEST_GAP_S:
            return
        self._hub.report({REPORTED_PROPERTY: json.loads(encode(now))})
        if self._reported is None or now.phase is not self._reported.phase:
            log.info("phase changed", extra={"phase": now.phase, "order": now.order})
        if now.lastError is not None:
            log.warning(
                "order is not staged",
                extra={"reason": now.lastError.reason, "error": now.lastError.message},
            )
        self._reported, self._reported_at_s = now, moment_s

    def _notify(self, announced: StagedModel) -> None:
        staged = routes.STAGED
        if announced != self._noticed and self._hub.send(
            staged.output, encode(announced), ttl_s=staged.ttl_s
        ):
            self._noticed = announced
