"""What the stager says to others: its reported twin, and the notice on route `staged`."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from taktgate.contracts import routes
from taktgate.contracts.codec import encode
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagerReported
from taktgate.staging.states import ANNOUNCED

log = logging.getLogger(__name__)

REPORTED_PROPERTY: Final = "stager"
SHORTEST_GAP_S: Final = 1.0
"""Between two reports: the hub counts each one."""
FIGURES_GAP_S: Final = 10.0
"""While nothing has changed but how far a download got and how full the disk is."""


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
    """Reports news at once or a second after the last, mere figures every ten seconds at most.

    Gives notice once per announcement.
    """

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
        if now.phase in ANNOUNCED and announced is not None:
            self._notify(announced)
        moment_s = self._clock()
        if now == self._reported or moment_s - self._reported_at_s < self._gap_s(now):
            return
        self._hub.report({REPORTED_PROPERTY: json.loads(encode(now))})
        if self._reported is None or now.phase is not self._reported.phase:
            log.info("phase changed", extra={"phase": now.phase, "order": now.order})
        if now.lastError is not None:
            log.warning(
                "order is not staged",
                extra={
                    "reason": now.lastError.reason,
                    "error": now.lastError.message,
                    "retry_at": now.lastError.retryAt,
                },
            )
        self._reported, self._reported_at_s = now, moment_s

    def _gap_s(self, now: StagerReported) -> float:
        before = self._reported
        if before is not None:
            before = replace(before, progress=now.progress, disk=now.disk)
        is_news = now != before
        return SHORTEST_GAP_S if is_news else FIGURES_GAP_S

    def _notify(self, announced: StagedModel) -> None:
        staged = routes.STAGED
        if announced != self._noticed and self._hub.send(
            staged.output, encode(announced), ttl_s=staged.ttl_s
        ):
            self._noticed = announced
