"""`python -m taktgate.plc.agent.process`: the control plane of plc_writer."""

import logging
import select
import sys
from contextlib import ExitStack
from typing import Final

from taktgate.contracts.outcome import Lane
from taktgate.edge.azure_hub import AzureHub
from taktgate.edge.clock import monotonic_ns
from taktgate.edge.exits import EXIT_LINK_FATAL
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.edge.metrics import serve_metrics
from taktgate.edge.places import Places
from taktgate.edge.process import end_on_sigterm, hold_role
from taktgate.edge.settings import StationSettings
from taktgate.edge.startup import run_process
from taktgate.plc.agent.agent import Agent, AgentSetup
from taktgate.plc.agent.mailbox import HubMailbox
from taktgate.plc.agent.metrics import WriterMetrics
from taktgate.plc.agent.timing_metrics import TimingCollector
from taktgate.plc.writer.outlets import AGENT_SOCKET, WRITER_SOCKET

log = logging.getLogger(__name__)

_TURN_S: Final = 0.25
_DATAGRAMS_PER_TURN: Final = 64


class AgentLoop:
    """Waits for the writer and for edgeHub, and lets the agent take in what came."""

    def __init__(self, agent: Agent, *, inbox: LaneInbox, mailbox: HubMailbox) -> None:
        self._agent = agent
        self._inbox = inbox
        self._mailbox = mailbox
        self._is_stopping = False

    def stop(self) -> None:
        """Have `run` end after the current turn; safe to call from a signal handler."""
        self._is_stopping = True

    def run(self) -> int:
        """Work until `stop` is called or the link is beyond repair; return the exit code."""
        while not self._is_stopping:
            select.select([self._inbox.fileno(), self._mailbox.fileno()], [], [], _TURN_S)
            for event in self._mailbox.take_all():
                self._agent.from_hub(event)
            for _ in range(_DATAGRAMS_PER_TURN):
                datagram = self._inbox.receive()
                if datagram is None:
                    break
                self._agent.from_writer(datagram)
            self._agent.tick()
            if self._agent.fatal is not None:
                log.error("starting anew", extra={"reason": self._agent.fatal})
                return EXIT_LINK_FATAL
        return 0


def run_agent(places: Places, station: StationSettings) -> int:
    """Hold the role, serve until SIGTERM, and return the exit code.

    Raises:
        RoleTakenError: another process is the agent of this module.
    """
    with ExitStack() as held:
        held.enter_context(hold_role(places.private / "agent.lock"))
        inbox = LaneInbox(places.private / AGENT_SOCKET)
        held.callback(inbox.close)
        mailbox = HubMailbox()
        held.callback(mailbox.close)
        hub = AzureHub()
        metrics = serve_metrics(
            "plc_writer", address=places.metrics_address, port=places.metrics_port
        )
        held.callback(metrics.close)
        agent = Agent(
            AgentSetup(
                controller=station.plc.address, lanes=station.lanes, complaint=metrics.error
            ),
            hub=hub,
            writer=LaneSender(places.lane / WRITER_SOCKET, Lane.EDGEHUB),
            clock=monotonic_ns,
        )
        agent.count_with(WriterMetrics(metrics.meter, status=agent.status, losses=agent.losses))
        metrics.collect(TimingCollector(agent.status))
        loop = AgentLoop(agent, inbox=inbox, mailbox=mailbox)
        end_on_sigterm(loop.stop)
        hub.start(mailbox.put)
        held.callback(hub.stop)
        return loop.run()


if __name__ == "__main__":
    sys.exit(run_process("plc_writer/agent", run_agent))
