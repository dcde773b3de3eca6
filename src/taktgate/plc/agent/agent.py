"""The control plane of plc_writer: between the writer's sockets and edgeHub. No part needs it."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate import __version__
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError, adapter, decode
from taktgate.contracts.outcome import Outcome
from taktgate.contracts.routes import (
    KIND_BEAT,
    KIND_PROPERTY,
    KIND_VERDICT,
    LINE,
    OUTCOMES,
    VERDICTS,
)
from taktgate.contracts.twins import WriterReported
from taktgate.edge.clock import SECOND
from taktgate.edge.hub import HubClient, HubEvent, InputMessage, LinkFatal, LinkState, MethodCall
from taktgate.edge.lane import Datagram
from taktgate.edge.settings import LaneSettings
from taktgate.plc.agent.metrics import WriterMetrics
from taktgate.plc.handshake.admission import MAX_MESSAGE_BYTES
from taktgate.plc.writer.outlets import KIND_LINE, KIND_OUTCOME, KIND_STATUS, Outlet
from taktgate.plc.writer.status import WriterStatus

log = logging.getLogger(__name__)

SILENT_NS: Final = 3 * SECOND
"""The writer tells its status every second; after this it counts as gone."""
_REPORT_NS: Final = SECOND
_LINE_TTL_S: Final = 2.0
"""Shorter than the route's: an old state of the line only takes the place of outcomes."""
_NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSetup:
    """What one start of the agent is told."""

    controller: str
    lanes: LaneSettings
    complaint: str = ""
    """What is wrong with the agent itself: reported while nothing graver is."""


class Agent:
    """Copies messages both ways, counts, and reports. Fed by a loop; never waits."""

    def __init__(
        self,
        setup: AgentSetup,
        *,
        hub: HubClient,
        writer: Outlet,
        clock: Callable[[], int],
    ) -> None:
        self._setup = setup
        self._hub = hub
        self._writer = writer
        self._clock = clock
        self._metrics: WriterMetrics | None = None
        self._status: WriterStatus | None = None
        self._heard_ns = 0
        self._reported: WriterReported | None = None
        self._report_due_ns = 0
        self.refused: Counter[str] = Counter()
        """Messages that were not passed on, by cause."""
        self.fatal: str | None = None
        """Why this process has to be started anew, once it has."""

    def count_with(self, metrics: WriterMetrics) -> None:
        """Count outcomes with *metrics* from now on."""
        self._metrics = metrics

    def status(self) -> WriterStatus | None:
        """Return what the writer said last, or None when it has gone silent."""
        if self._clock() - self._heard_ns > SILENT_NS:
            return None
        return self._status

    def losses(self) -> dict[str, int]:
        """Return how many messages were not passed on, by receiver or cause."""
        hub = self._hub.counters
        return {
            "writer": self._writer.lost,
            "edgehub_expired": hub.dropped_expired,
            "edgehub_full": hub.refused_full,
            **self.refused,
        }

    def from_writer(self, datagram: Datagram) -> None:
        """Take in what the writer hands over."""
        try:
            if datagram.kind == KIND_LINE:
                self._pass_line_on(datagram.payload)
            elif datagram.kind == KIND_OUTCOME:
                self._take_outcome(datagram.payload)
            elif datagram.kind == KIND_STATUS:
                self._status, self._heard_ns = decode(WriterStatus, datagram.payload), self._clock()
            else:
                self._refuse("kind", datagram.kind)
        except ContractError as error:
            self._refuse("malformed", str(error))

    def from_hub(self, event: HubEvent) -> None:
        """Take in what the hub client delivers."""
        if isinstance(event, InputMessage):
            self._pass_verdict_on(event)
        elif isinstance(event, LinkState):
            log.info("edgeHub link", extra={"connected": event.connected})
        elif isinstance(event, MethodCall):
            event.respond(_NOT_FOUND, {"error": f"plc_writer has no method {event.name!r}"})
        elif isinstance(event, LinkFatal):
            self.fatal = event.reason

    def tick(self) -> None:
        """Report the state if it is new, at most once a second."""
        now_ns = self._clock()
        reported = self._describe()
        if reported != self._reported and now_ns >= self._report_due_ns:
            self._hub.report({"plc": adapter(WriterReported).dump_python(reported, mode="json")})
            self._reported, self._report_due_ns = reported, now_ns + _REPORT_NS

    def _pass_line_on(self, payload: bytes) -> None:
        if self._setup.lanes.edgehub:
            self._hub.send(LINE.output, payload, ttl_s=_LINE_TTL_S)

    def _take_outcome(self, payload: bytes) -> None:
        outcome = decode(Outcome, payload)
        if self._metrics is not None:
            self._metrics.count(outcome)
        self._hub.send(OUTCOMES.output, payload, ttl_s=OUTCOMES.ttl_s)

    def _pass_verdict_on(self, message: InputMessage) -> None:
        """Copy a verdict or beat into the writer's inbox; what it says is the writer's to judge."""
        kind = message.properties.get(KIND_PROPERTY, "")
        if not self._setup.lanes.edgehub:
            self._refuse("lane_off", message.input)
        elif message.input != VERDICTS.input:
            self._refuse("input", message.input)
        elif kind not in (KIND_VERDICT, KIND_BEAT):
            self._refuse("kind", kind)
        elif len(message.payload) > MAX_MESSAGE_BYTES:
            self._refuse("size", str(len(message.payload)))
        else:
            self._writer.send(kind, message.payload)

    def _refuse(self, cause: str, detail: str) -> None:
        """Count a message that is not passed on; log the first of each cause."""
        self.refused[cause] += 1
        if self.refused[cause] == 1:
            log.warning(
                "a message was not passed on; further ones of this cause are only counted",
                extra={"cause": cause, "detail": detail[:200]},
            )

    def _describe(self) -> WriterReported:
        status = self.status()
        enabled = {"local": self._setup.lanes.local, "edgehub": self._setup.lanes.edgehub}
        return WriterReported(
            contract=CONTRACT_VERSION,
            code=__version__,
            state="silent" if status is None else status.state,
            error="the writer process does not report"
            if status is None
            else status.error or self._setup.complaint,
            controller=self._setup.controller,
            realtime=status is not None and status.is_realtime,
            rights={} if status is None else status.rights,
            lanes=tuple(lane for lane, is_on in enabled.items() if is_on),
        )
