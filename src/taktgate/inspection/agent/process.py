"""The agent as a process: one inbox, fed by the hub client and by the judge's datagrams.

Metrics come up in a thread of their own, since their imports take longer than the station may take
to its first part.
"""

import logging
import select
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from taktgate.contracts import routes
from taktgate.contracts.activation import Activation, Rollback
from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane
from taktgate.contracts.twins import TypedError
from taktgate.edge.azure_hub import AzureHub
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.edge.exits import EXIT_BUG, EXIT_LINK_FATAL
from taktgate.edge.hub import HubClient
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.edge.places import Places, SettingsError
from taktgate.edge.process import end_on_sigterm, hold_role
from taktgate.edge.settings import StationSettings
from taktgate.edge.startup import run_process
from taktgate.inspection import control
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.agent import Agent, Links
from taktgate.inspection.agent.board_figures import BoardFigures
from taktgate.inspection.agent.faults import SURFACE_PORT, Source
from taktgate.inspection.agent.figures import LateFigures
from taktgate.inspection.agent.inbox import Complaint, Errand, Inbox
from taktgate.inspection.agent.judge_commands import Command
from taktgate.inspection.agent.pulse import PulseFigures, PulseWriter
from taktgate.inspection.agent.resources import (
    EVERY_S,
    DeviceSampler,
    KernelFiles,
    with_memory,
)
from taktgate.inspection.control import Drop, Load, Shadow, Swap
from taktgate.inspection.frames.evidence_reader import EvidenceReader
from taktgate.inspection.guardrails.resource_or_drift import ResourceSample
from taktgate.inspection.guardrails.settings import GuardrailSettings, load_guardrails
from taktgate.inspection.hold_file import HoldFile
from taktgate.inspection.records.recorder import Recorder
from taktgate.inspection.records.recording import Recording
from taktgate.inspection.surface.board import StatusBoard

log = logging.getLogger(__name__)

TICK_S: Final = 0.25
SURFACE_PATIENCE_S: Final = 5.0
"""So long the surface waits for the station to judge: it is not to slow that down."""
AUDIT_TTL_S: Final = float(routes.AUDIT.ttl_s)
ANNOUNCED: Final = "announced.json"
RECORDS_END_S: Final = 1.0
_KINDS: Final[dict[type[Command], str]] = {
    Load: control.KIND_LOAD,
    Swap: control.KIND_SWAP,
    Drop: control.KIND_DROP,
    Shadow: control.KIND_SHADOW,
}


def serve(places: Places, settings: StationSettings) -> int:
    """Serve until SIGTERM (0), or until the hub link needs a new process (1)."""
    stop, bugs = threading.Event(), list[str]()

    def end(bug: str) -> None:
        bugs.append(bug)
        stop.set()

    end_on_sigterm(stop.set)
    with hold_role(places.private / "agent.lock"):
        inbox, board, hub = Inbox(), StatusBoard(), AzureHub()
        pulse = PulseWriter(places.state)
        figures = LateFigures(
            BoardFigures(board),
            PulseFigures(
                pulse.tell, reserve_ms=settings.judge.decision_reserve_ms, clock=monotonic_ns
            ),
        )
        recorder = _recorder(places, settings, inbox)
        records = Recording(recorder, monotonic_ns)
        lane = LaneInbox(places.private / control.AGENT_SOCKET)
        agent = Agent(
            _activator(places, hub, inbox),
            links=Links(
                hub=hub,
                judge=LaneSender(places.lane / control.JUDGE_SOCKET, Lane.EDGEHUB),
                figures=figures,
                records=records,
            ),
            lanes=settings.lanes,
            announced=places.slots / ANNOUNCED,
            clock=monotonic_ns,
        )
        _start_thread("lane", lambda: _read_lane(lane, inbox, stop), end)
        # Without a pulse the stager goes slowly, no more: that ends no module.
        _start_thread("pulse", lambda: pulse.run(stop), lambda _: None)
        recording = _start_thread(
            "records", recorder.run, partial(inbox.complain, Source.RECORDS, "RECORDS")
        )
        hub.start(inbox.put)
        _start_thread("device", lambda: _watch_device(inbox, stop), end)
        _start_thread(
            "metrics",
            lambda: _serve_metrics(places, figures, inbox),
            partial(inbox.complain, Source.METRICS, "METRICS"),
        )
        if settings.surface.enabled:
            _start_thread(
                "surface",
                lambda: _serve_surface(places, settings, board, inbox),
                partial(inbox.complain, Source.SURFACE, "SURFACE"),
            )
        _serve(agent, inbox, stop)
        stop.set()
        records.close()
        hub.stop()
        recording.join(RECORDS_END_S)
    return EXIT_BUG if bugs else EXIT_LINK_FATAL if agent.is_over else 0


def _serve(agent: Agent, inbox: Inbox, stop: threading.Event) -> None:
    tick_at_ns = 0
    while not stop.is_set() and not agent.is_over:
        event = inbox.get(max(0.0, (tick_at_ns - monotonic_ns()) / SECOND))
        if isinstance(event, Complaint):
            agent.complain(event.source, _typed(event))
        elif event is not None:
            agent.handle(event)
        if monotonic_ns() >= tick_at_ns:
            tick_at_ns = monotonic_ns() + int(TICK_S * SECOND)
            agent.losses["inbox_full"] = inbox.dropped
            agent.tick()


def _typed(complaint: Complaint) -> TypedError | None:
    if complaint.message is None:
        return None
    return TypedError(reason=complaint.reason, message=complaint.message[:500])


def _activator(places: Places, hub: HubClient, inbox: Inbox) -> Activator:
    commands = LaneSender(places.private / control.CONTROL_SOCKET, Lane.LOCAL)
    files = ActivationFiles(folder=places.state)

    def command(command: Command) -> None:
        commands.send(_KINDS[type(command)], encode(command))

    def audit(rollback: Rollback) -> None:
        properties = {routes.KIND_PROPERTY: "rollback"}
        hub.send(routes.AUDIT.output, encode(rollback), properties=properties, ttl_s=AUDIT_TTL_S)

    def alarm(error: TypedError) -> None:
        properties = {routes.KIND_PROPERTY: "alarm"}
        hub.send(routes.AUDIT.output, encode(error), properties=properties, ttl_s=AUDIT_TTL_S)

    world = Surroundings(
        memory=files,
        command=command,
        audit=audit,
        alarm=alarm,
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


def _watch_device(inbox: Inbox, stop: threading.Event) -> None:
    """Look at the device at even intervals; a thread, since the GPU's own tool takes its time."""
    sampler = DeviceSampler(KernelFiles())
    while not stop.wait(EVERY_S):
        inbox.put(Errand(run=partial(_bear, sampler.sample())))


def _bear(sample: ResourceSample, activator: Activator) -> None:
    live = activator.judge.live_model
    activator.resources(with_memory(sample, None if live is None else live.pid))


def _serve_metrics(places: Places, figures: LateFigures, inbox: Inbox) -> None:
    # Here, not above: these imports take longer than the judge takes to its first part.
    from taktgate.edge.metrics import METRICS_PORT, serve_metrics
    from taktgate.inspection.agent.metrics import AgentMetrics

    metrics = serve_metrics("inference", address=places.metrics_address, port=places.metrics_port)
    if metrics.error:
        inbox.put(Complaint(source=Source.METRICS, reason=METRICS_PORT, message=metrics.error))
    figures.target = AgentMetrics(metrics.meter)


def _recorder(places: Places, settings: StationSettings, inbox: Inbox) -> Recorder:
    def complain(fault: str | None) -> None:
        inbox.put(Complaint(source=Source.RECORDS, reason="RECORDS", message=fault))

    evidence = EvidenceReader(places.private / control.EVIDENCE_SOCKET)
    return Recorder(places.records, settings.records, evidence, complain=complain)


def _serve_surface(
    places: Places, settings: StationSettings, board: StatusBoard, inbox: Inbox
) -> None:
    board.has_judged.wait(SURFACE_PATIENCE_S)
    try:
        # Here, not above, and after the station has begun to judge: no imports take longer.
        from taktgate.inspection.agent.surface_orders import SurfaceOrders
        from taktgate.inspection.surface import server

        listener = server.bind(settings.surface.host, settings.surface.port)
    except (ImportError, OSError) as error:
        message = getattr(error, "strerror", None) or str(error)
        log.error("no control surface", extra={"error": message})
        inbox.put(Complaint(source=Source.SURFACE, reason=SURFACE_PORT, message=message))
        return
    operator = SurfaceOrders(
        lambda run: inbox.offer(Errand(run=run)), HoldFile(folder=places.state)
    )
    agent = server.Agent(board=board, operator=operator)
    server.Surface(places, settings, agent).serve(listener)


def _start_thread(
    name: str, target: Callable[[], None], on_bug: Callable[[str], None]
) -> threading.Thread:
    """Run *target* in a thread; should a bug end it, it is logged and *on_bug* is told."""

    def run() -> None:
        try:
            target()
        except Exception as error:
            log.critical("a bug ended a thread", extra={"thread_name": name}, exc_info=True)
            on_bug(f"unexpected error in thread {name}: {error!r}")

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


if __name__ == "__main__":
    sys.exit(run_process("inference/agent", serve))
