"""The agent as a process: one inbox, fed by the hub client and by the judge's datagrams.

Metrics come up in a thread of their own, since their imports take longer than the station may take
to its first part.
"""

import logging
import queue
import select
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from taktgate.contracts import routes
from taktgate.contracts.activation import Activation, Rollback
from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.azure_hub import AzureHub
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.edge.exits import EXIT_LINK_FATAL
from taktgate.edge.hub import HubClient, HubEvent
from taktgate.edge.lane import Datagram, LaneInbox, LaneSender
from taktgate.edge.places import Places, SettingsError
from taktgate.edge.process import end_on_sigterm, hold_role
from taktgate.edge.settings import StationSettings
from taktgate.edge.startup import run_process
from taktgate.inspection import control
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.agent import Agent, Figures, Links
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.hands import Command
from taktgate.inspection.control import JudgeEvent, Load, Swap
from taktgate.inspection.guardrails.trial import GuardrailSettings, load_guardrails

log = logging.getLogger(__name__)

INBOX_CAPACITY: Final = 4096
TICK_S: Final = 0.25
AUDIT_TTL_S: Final = float(routes.AUDIT.ttl_s)
ANNOUNCED: Final = "announced.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A fault of a part of this process that has no other way to tell."""

    source: Source
    reason: str
    message: str


Event = HubEvent | Datagram | Complaint


class Inbox:
    """The one queue. When it is full, news are dropped and counted: nobody waits for the agent."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Event] = queue.Queue(maxsize=INBOX_CAPACITY)
        self.dropped = 0

    def put(self, event: Event) -> None:
        """Take *event* from any thread."""
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def get(self, timeout_s: float) -> Event | None:
        """Return the next event, None when none comes in time."""
        try:
            return self._queue.get(timeout=timeout_s)
        except queue.Empty:
            return None


class LateFigures:
    """Figures that may come up later, or never: until then they are dropped."""

    def __init__(self) -> None:
        self.target: Figures | None = None

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Count one verdict."""
        if self.target is not None:
            self.target.verdict(envelope)

    def happening(self, event: JudgeEvent) -> None:
        """Count one event of the judge."""
        if self.target is not None:
            self.target.happening(event)

    def state(self, activator: Activator, losses: Mapping[str, int]) -> None:
        """Take note of what is."""
        if self.target is not None:
            self.target.state(activator, losses)


def serve(places: Places, settings: StationSettings) -> int:
    """Serve until SIGTERM (0), or until the hub link needs a new process (1)."""
    stop = threading.Event()
    end_on_sigterm(stop.set)
    with hold_role(places.private / "agent.lock"):
        inbox, figures, hub = Inbox(), LateFigures(), AzureHub()
        lane = LaneInbox(places.private / control.AGENT_SOCKET)
        agent = Agent(
            _activator(places, hub, inbox),
            links=Links(
                hub=hub,
                judge=LaneSender(places.lane / control.JUDGE_SOCKET, Lane.EDGEHUB),
                figures=figures,
            ),
            lanes=settings.lanes,
            announced=places.slots / ANNOUNCED,
            clock=monotonic_ns,
        )
        _start_thread("lane", lambda: _read_lane(lane, inbox, stop))
        hub.start(inbox.put)
        _start_thread("metrics", lambda: _serve_metrics(places, figures, inbox))
        _serve(agent, inbox, stop)
        stop.set()
        hub.stop()
    return EXIT_LINK_FATAL if agent.is_over else 0


def _serve(agent: Agent, inbox: Inbox, stop: threading.Event) -> None:
    tick_at_ns = 0
    while not stop.is_set() and not agent.is_over:
        event = inbox.get(max(0.0, (tick_at_ns - monotonic_ns()) / SECOND))
        if isinstance(event, Complaint):
            error = TypedError(reason=event.reason, message=event.message[:500])
            agent.complain(event.source, error)
        elif event is not None:
            agent.handle(event)
        if monotonic_ns() >= tick_at_ns:
            tick_at_ns = monotonic_ns() + int(TICK_S * SECOND)
            agent.losses["inbox_full"] = inbox.dropped
            agent.tick()


def _activator(places: Places, hub: HubClient, inbox: Inbox) -> Activator:
    commands = LaneSender(places.private / control.CONTROL_SOCKET, Lane.LOCAL)
    files = ActivationFiles(folder=places.state)

    def command(command: Command) -> None:
        kind = control.KIND_DROP
        if isinstance(command, Load):
            kind = control.KIND_LOAD
        elif isinstance(command, Swap):
            kind = control.KIND_SWAP
        commands.send(kind, encode(command))

    def audit(rollback: Rollback) -> None:
        properties = {routes.KIND_PROPERTY: "rollback"}
        hub.send(routes.AUDIT.output, encode(rollback), properties=properties, ttl_s=AUDIT_TTL_S)

    world = Surroundings(
        memory=files,
        command=command,
        audit=audit,
        clock=monotonic_ns,
        wall_clock=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
    return Activator(_recall(files, inbox), _guardrails(places, inbox), world)


def _guardrails(places: Places, inbox: Inbox) -> GuardrailSettings:
    """Return the plant's guardrails, or the defaults: a slip in them must not stop the judge."""
    try:
        return load_guardrails(places.config)
    except SettingsError as error:
        log.critical("the default guardrails hold", extra={"error": str(error)})
        inbox.put(Complaint(source=Source.SETTINGS, reason="SETTINGS", message=str(error)))
        return GuardrailSettings()


def _recall(files: ActivationFiles, inbox: Inbox) -> Activation:
    """Return what the disk still knows; what it does not is said, and put aside."""
    recalled = files.recall()
    if recalled.fault is not None:
        log.critical("activation.json is damaged", extra={"error": recalled.fault})
        complaint = Complaint(
            source=Source.ACTIVATION_FILE, reason="ACTIVATION_FILE", message=recalled.fault
        )
        inbox.put(complaint)
        try:
            files.repair(recalled.activation)
        except OSError as error:
            log.error("it cannot be put aside", extra={"error": str(error)})
    return recalled.activation


def _read_lane(lane: LaneInbox, inbox: Inbox, stop: threading.Event) -> None:
    while not stop.is_set():
        select.select([lane], [], [], 0.5)
        while (datagram := lane.receive()) is not None:
            inbox.put(datagram)


def _serve_metrics(places: Places, figures: LateFigures, inbox: Inbox) -> None:
    # Here, not above: these imports take longer than the judge takes to its first part.
    from taktgate.edge.metrics import METRICS_PORT, serve_metrics
    from taktgate.inspection.agent.metrics import AgentMetrics

    metrics = serve_metrics("inference", address=places.metrics_address, port=places.metrics_port)
    if metrics.error:
        inbox.put(Complaint(source=Source.METRICS, reason=METRICS_PORT, message=metrics.error))
    figures.target = AgentMetrics(metrics.meter)


def _start_thread(name: str, target: object) -> None:
    assert callable(target)
    threading.Thread(target=target, name=name, daemon=True).start()


if __name__ == "__main__":
    sys.exit(run_process("inference/agent", serve))
