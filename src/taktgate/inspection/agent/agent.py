"""The agent of inference: carries verdicts to edgeHub, models to the judge, facts to the cloud.

One thread, one inbox. Everything here may be slow or absent without a part noticing; all that
decides about models works without edgeHub.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from taktgate.contracts import routes
from taktgate.contracts.codec import ContractError, decode
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.hub import (
    DesiredTwin,
    HubClient,
    HubEvent,
    InputMessage,
    LinkFatal,
    LinkState,
    MethodCall,
)
from taktgate.edge.lane import Datagram, Outlet
from taktgate.edge.settings import LaneSettings
from taktgate.inspection import control
from taktgate.inspection.agent.activator import Activator
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.figures import Figures
from taktgate.inspection.agent.inbox import Errand
from taktgate.inspection.agent.report import Reporter, report_of
from taktgate.inspection.control import JudgeEvent, JudgeStatus, PartNote
from taktgate.inspection.opinions import ShadowPair

log = logging.getLogger(__name__)

VERDICT_TTL_S: Final = 2.0
BEAT_TTL_S: Final = 0.5


class PartSink(Protocol):
    """Where the part records are written."""

    def verdict(self, envelope: VerdictEnvelope, edgehub_ns: int | None) -> None:
        """Take in a verdict, and when it was handed to edgeHub's client."""
        ...

    def note(self, note: PartNote) -> None:
        """Take in what the judge knows of a part beyond its verdict."""
        ...

    def tick(self) -> None:
        """Do what depends on time."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Return how many records were written and lost, by cause."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Everybody the agent speaks to besides the judge's command socket."""

    hub: HubClient
    judge: Outlet
    """The judge's inbox for line states, as lane `edgehub`."""
    figures: Figures
    records: PartSink


class Agent:
    """Events in; messages, commands and reports out."""

    def __init__(
        self,
        activator: Activator,
        *,
        links: Links,
        lanes: LaneSettings,
        announced: Path,
        clock: Callable[[], int],
    ) -> None:
        self._activator = activator
        self._links = links
        self._lanes = lanes
        self._announced = announced
        self._clock = clock
        self._reporter = Reporter()
        self._last_notice: bytes | None = None
        self.is_over = False
        """The link cannot recover in this process."""
        self.losses = {"inbox_full": 0, "hub_outbox_full": 0}
        self._on_datagram: dict[str, Callable[[bytes], None]] = {
            control.KIND_VERDICT: self._verdict,
            control.KIND_BEAT: self._beat,
            control.KIND_PART: self._part_note,
            control.KIND_EVENT: self._judge_event,
            control.KIND_STATUS: self._judge_status,
            control.KIND_PAIR: self._pair,
        }

    def complain(self, source: Source, error: TypedError | None) -> None:
        """Report *error* as long as nothing graver is wrong; None: *source* is well again."""
        self._activator.faults.put(source, error)

    def handle(self, event: HubEvent | Datagram | Errand) -> None:
        """Take in one event."""
        if isinstance(event, Datagram):
            self._datagram(event)
        elif isinstance(event, Errand):
            event.run(self._activator)
        elif isinstance(event, InputMessage):
            self._input(event)
        elif isinstance(event, MethodCall):
            event.respond(404, {"error": f"inference has no method {event.name!r}"})
        elif isinstance(event, DesiredTwin):
            self._desired(event)
        elif isinstance(event, LinkState):
            log.info("edgeHub link", extra={"connected": event.connected})
        elif isinstance(event, LinkFatal):
            log.critical("edgeHub link cannot recover", extra={"reason": event.reason})
            self.is_over = True

    def tick(self) -> None:
        """Look for a new notice, and report what changed."""
        self._look_for_notice()
        self._activator.tick()
        now_ns = self._clock()
        patch = self._reporter.patch(report_of(self._activator), now_ns)
        if patch is not None:
            self._links.hub.report(patch)
        self._links.records.tick()
        losses = {**self.losses, **self._links.records.counters()}
        self._links.figures.state(self._activator, losses)

    def _datagram(self, datagram: Datagram) -> None:
        take = self._on_datagram.get(datagram.kind)
        if take is None:
            log.warning("unknown datagram from the judge", extra={"kind": datagram.kind})
            return
        try:
            take(datagram.payload)
        except ContractError as error:
            log.error("the judge sent what breaks our contract", extra={"error": str(error)})

    def _verdict(self, payload: bytes) -> None:
        edgehub_ns = None
        if self._lanes.edgehub and self._forward(payload, routes.KIND_VERDICT, VERDICT_TTL_S):
            edgehub_ns = self._clock()
        envelope = decode(VerdictEnvelope, payload)
        self._links.records.verdict(envelope, edgehub_ns)
        self._activator.verdict(envelope)
        self._links.figures.verdict(envelope)

    def _part_note(self, payload: bytes) -> None:
        note = decode(PartNote, payload)
        self._links.records.note(note)
        if note.frame is not None and note.frame.facts is not None:
            self._activator.image(note.frame.facts)

    def _beat(self, payload: bytes) -> None:
        if self._lanes.edgehub and not self._lanes.local:
            self._forward(payload, routes.KIND_BEAT, BEAT_TTL_S)

    def _forward(self, payload: bytes, kind: str, ttl_s: float) -> bool:
        is_taken = self._links.hub.send(
            routes.VERDICTS.output, payload, properties={routes.KIND_PROPERTY: kind}, ttl_s=ttl_s
        )
        if not is_taken:
            self.losses["hub_outbox_full"] += 1
        return is_taken

    def _judge_event(self, payload: bytes) -> None:
        event = decode(JudgeEvent, payload)
        log.info(
            "judge: %s",
            event.happening,
            extra={
                "digest": event.digest,
                "reason": event.reason,
                "detail": event.message,
                "trigger_id": event.first_trigger_id,
            },
        )
        self._links.figures.happening(event)

    def _judge_status(self, payload: bytes) -> None:
        self._activator.judge_status(decode(JudgeStatus, payload))

    def _pair(self, payload: bytes) -> None:
        self._activator.pair(decode(ShadowPair, payload))

    def _input(self, message: InputMessage) -> None:
        if message.input == routes.LINE.input:
            if self._lanes.edgehub:
                self._links.judge.send(control.KIND_LINE, message.payload)
        elif message.input == routes.STAGED.input:
            # A hint that there is news, no more: edgeHub may deliver it hours late, when the order
            # is long withdrawn. What is ordered now, `announced.json` alone says.
            self._look_for_notice()
        else:
            log.warning("message on an unknown input", extra={"input": message.input})

    def _desired(self, twin: DesiredTwin) -> None:
        """Refuse desired properties: there is none, and a silent one would mislead."""
        names = sorted(key for key in twin.document if not key.startswith("$"))
        error = None
        if names:
            message = f"inference has no desired property {names[0]!r}"
            log.warning("desired properties ignored", extra={"names": names})
            error = TypedError(reason="DESIRED", message=message[:500])
        self._activator.faults.put(Source.DESIRED, error)

    def _look_for_notice(self) -> None:
        try:
            payload = self._announced.read_bytes()
        except OSError:
            return  # nothing staged yet, or the volume is not there yet
        if payload != self._last_notice:
            self._last_notice = payload
            self._notice(payload)

    def _notice(self, payload: bytes) -> None:
        try:
            notice = decode(StagedModel, payload)
        except ContractError as error:
            log.error("notice of a staged model refused", extra={"error": str(error)})
            fault = TypedError(reason="STAGED_NOTICE", message=str(error)[:500])
            self._activator.faults.put(Source.NOTICE, fault)
            return
        self._activator.faults.clear(Source.NOTICE)
        self._activator.staged(notice)
