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
from taktgate.edge.files import publish
from taktgate.edge.hub import HubClient, HubEvent
from taktgate.edge.lane import Datagram, LaneInbox, LaneSender
from taktgate.edge.places import Places
from taktgate.edge.process import end_on_sigterm, hold_role
from taktgate.edge.settings import StationSettings, load_yaml
from taktgate.edge.startup import run_process
from taktgate.inspection import control
from taktgate.inspection.activation_file import ACTIVATION, EMPTY, ActivationFiles
from taktgate.inspection.agent.activator import Activator, Command, Surroundings
from taktgate.inspection.agent.agent import Agent, Figures, Links
from taktgate.inspection.agent.guardrails import GuardrailSettings
from taktgate.inspection.control import JudgeEvent, Load, Swap
from taktgate.inspection.errors import ActivationFileError

log = logging.getLogger(__name__)

INBOX_CAPACITY: Final = 4096
TICK_S: Final = 0.25
AUDIT_TTL_S: Final = float(routes.AUDIT.ttl_s)
ANNOUNCED: Final = "announced.json"
Event = HubEvent | Datagram | TypedError


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
    guardrails = load_yaml(places.config / "guardrails.yaml", GuardrailSettings)
    stop = threading.Event()
    end_on_sigterm(stop.set)
    with hold_role(places.private / "agent.lock"):
        inbox, figures, hub = Inbox(), LateFigures(), AzureHub()
        lane = LaneInbox(places.private / control.AGENT_SOCKET)
        agent = Agent(
            _activator(places, guardrails, hub, inbox),
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
    return int(agent.is_over)


def _serve(agent: Agent, inbox: Inbox, stop: threading.Event) -> None:
    tick_at_ns = 0
    while not stop.is_set() and not agent.is_over:
        event = inbox.get(max(0.0, (tick_at_ns - monotonic_ns()) / SECOND))
        if isinstance(event, TypedError):
            agent.complain(event)
        elif event is not None:
            agent.handle(event)
        if monotonic_ns() >= tick_at_ns:
            tick_at_ns = monotonic_ns() + int(TICK_S * SECOND)
            agent.losses["inbox_full"] = inbox.dropped
            agent.tick()


def _activator(
    places: Places, guardrails: GuardrailSettings, hub: HubClient, inbox: Inbox
) -> Activator:
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
    return Activator(_recall(files, inbox), guardrails, world)


def _recall(files: ActivationFiles, inbox: Inbox) -> Activation:
    """Return the activation on disk; one that cannot be read is put aside, said, and begun anew."""
    try:
        return files.read()
    except ActivationFileError as error:
        log.critical("the station has forgotten its models", extra={"error": str(error)})
        inbox.put(TypedError(reason="ACTIVATION_FILE", message=str(error)[:500]))
    try:
        content = (files.folder / ACTIVATION).read_bytes()
        publish(files.folder / f"{ACTIVATION}.unreadable", content)
    except OSError as error:
        log.error("it cannot be put aside either", extra={"error": str(error)})
    return EMPTY


def _read_lane(lane: LaneInbox, inbox: Inbox, stop: threading.Event) -> None:
    while not stop.is_set():
        select.select([lane], [], [], 0.5)
        while (datagram := lane.receive()) is not None:
            inbox.put(datagram)


def _serve_metrics(places: Places, figures: LateFigures, inbox: Inbox) -> None:
    # Here, not above: these imports take longer than the judge takes to its first part.
    from taktgate.edge.metrics import MetricsPortError, serve_metrics
    from taktgate.inspection.agent.metrics import AgentMetrics

    try:
        metrics = serve_metrics(
            "inference", address=places.metrics_address, port=places.metrics_port
        )
    except MetricsPortError as error:
        log.error("no metrics", extra={"error": str(error)})
        inbox.put(TypedError(reason="METRICS_PORT", message=str(error)[:500]))
        return
    figures.target = AgentMetrics(metrics.meter)


def _start_thread(name: str, target: object) -> None:
    assert callable(target)
    threading.Thread(target=target, name=name, daemon=True).start()


if __name__ == "__main__":
    sys.exit(run_process("inference/agent", serve))
