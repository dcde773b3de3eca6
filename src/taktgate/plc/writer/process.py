"""`python -m taktgate.plc.writer.process`: the data plane of plc_writer, one thread."""

import logging
import re
import select
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from taktgate.contracts.codec import adapter
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import MILLISECOND, kernel_boot_id, monotonic_ns, new_epoch, new_start_id
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.edge.places import Places, SettingsError
from taktgate.edge.process import (
    RealtimeRights,
    end_on_sigterm,
    hold_role,
    take_realtime_priority,
)
from taktgate.edge.settings import PlcSettings, StationSettings
from taktgate.edge.startup import run_process
from taktgate.plc.contract.profiles import profile_named
from taktgate.plc.errors import ForeignWriterError
from taktgate.plc.handshake.admission import Place
from taktgate.plc.link.address import ControllerAddress, parse_address
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.check_report import CheckReport
from taktgate.plc.opening.checker import ProcessChecker
from taktgate.plc.opening.probe import Probe
from taktgate.plc.opening.reconnect import Backoff
from taktgate.plc.writer.idle_collector import IdleCollector
from taktgate.plc.writer.loop import Setup, Surroundings, Writer
from taktgate.plc.writer.outlets import AGENT_SOCKET, JUDGE_SOCKET, WRITER_SOCKET, Outlets
from taktgate.plc.writer.status import WriterStatus

log = logging.getLogger(__name__)

EXIT_FOREIGN_WRITER: Final = 4
FOREIGN_WRITER_PAUSE_S: Final = 3.0
"""A start that finds another writer costs one of the supervisor's 10 restarts in 30 s. With this
pause they last for ever: the module goes on looking, and takes over when the other has gone."""


def controller_lock(lane: Path, address: str) -> Path:
    """Return the lock that stands for the one writer of the controller at *address*.

    The same controller has one lock by whichever of its spellings; another slot of the same
    chassis is another controller.

    Raises:
        SettingsError: the address is none.
    """
    where = parsed(address)
    name = "_".join([where.host, str(where.port), *where.route])
    return lane / f"controller-{re.sub(r'[^a-z0-9.-]', '_', name)}.lock"


def parsed(address: str) -> ControllerAddress:
    """Return the parts of *address*.

    Raises:
        SettingsError: it has none.
    """
    try:
        return parse_address(address)
    except ValueError as error:
        raise SettingsError(str(error)) from error


def run_writer(places: Places, station: StationSettings) -> int:
    """Hold the roles, write until SIGTERM, and return the exit code.

    Raises:
        RoleTakenError: another process is the writer of this module or of this controller.
        SettingsError: the address or the profile of the controller is none.
    """
    with ExitStack() as held:
        held.enter_context(hold_role(places.private / "writer.lock"))
        held.enter_context(hold_role(controller_lock(places.lane, station.plc.address)))
        inbox = LaneInbox(places.lane / WRITER_SOCKET)
        held.callback(inbox.close)
        writer = build_writer(places, station, inbox)
        end_on_sigterm(writer.stop)
        try:
            writer.run()
            return 0
        except ForeignWriterError as error:
            log.critical("stopped writing: %s", error)
    pause_unless_ended(FOREIGN_WRITER_PAUSE_S)
    return EXIT_FOREIGN_WRITER


def build_writer(places: Places, station: StationSettings, inbox: LaneInbox) -> Writer:
    """Return the writer of *station*, wired to its sockets and its controller."""
    for document in (VerdictEnvelope, Beat, LineState, Outcome, WriterStatus, CheckReport):
        adapter(document)  # built now, not when the first part waits for it
    priority = station.realtime.writer
    rights = take_realtime_priority(priority) if priority > 0 else RealtimeRights()
    collector = IdleCollector(monotonic_ns)
    collector.take_over()
    judge = LaneSender(places.lane / JUDGE_SOCKET, Lane.LOCAL) if station.lanes.local else None
    return Writer(
        Setup(
            place=Place(station=station.station, kernel_boot_id=kernel_boot_id()),
            writer_start_id=new_start_id(),
            boot_id=new_epoch(),
            controller=station.plc.address,
            tick_ms=station.plc.tick_ms,
            write_reserve_ms=station.plc.write_reserve_ms,
            rights=rights,
            lanes=lanes_of(station),
            reads_back=station.plc.read_back,
        ),
        Surroundings(
            link=link_to(station.plc),
            probe=Probe(parsed(station.plc.address).port),
            checker=ProcessChecker(monotonic_ns),
            inbox=inbox,
            outlets=Outlets(
                judge=judge, agent=LaneSender(places.private / AGENT_SOCKET, Lane.WRITER)
            ),
            clock=monotonic_ns,
            wait=_Doorbell(inbox, collector).wait,
            choose_epoch=new_epoch,
            backoff=Backoff(),
        ),
    )


def link_to(plc: PlcSettings) -> TagLink:
    """Return the link to the controller by the backend and the profile that *plc* names.

    Raises:
        SettingsError: there is no such profile.
    """
    try:
        profile = profile_named(plc.profile)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    return BACKENDS[plc.backend](
        plc.address, reply_timeout_s=plc.reply_timeout_ms / 1000, profile=profile
    )


def lanes_of(station: StationSettings) -> frozenset[Lane]:
    """Return the lanes that may bring verdicts to *station*."""
    enabled = {Lane.LOCAL: station.lanes.local, Lane.EDGEHUB: station.lanes.edgehub}
    return frozenset(lane for lane, is_on in enabled.items() if is_on)


class _Doorbell:
    """Waits for a datagram, but not past the next tick; meanwhile garbage may be collected."""

    def __init__(self, inbox: LaneInbox, collector: IdleCollector) -> None:
        self._inbox = inbox
        self._collector = collector

    def wait(self, limit_ns: int) -> None:
        until_ns = monotonic_ns() + limit_ns
        self._collector.rest(limit_ns)
        limit_ns = max(until_ns - monotonic_ns(), 0)
        select.select([self._inbox], [], [], limit_ns / (1000 * MILLISECOND))


def pause_unless_ended(limit_s: float) -> None:
    """Wait, but not past SIGTERM."""
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.sigtimedwait(ends, limit_s)


if __name__ == "__main__":
    sys.exit(run_process("plc_writer/writer", run_writer))
