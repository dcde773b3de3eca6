"""The real writer in the test's own process, on a controller on TCP, with a clock that leaps."""

import gc
import os
import time
from collections.abc import Callable
from itertools import count

from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.edge.lane import Datagram
from taktgate.edge.process import RealtimeRights
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.handshake.admission import Place
from taktgate.plc.link.address import parse_address
from taktgate.plc.link.logix import LogixLink
from taktgate.plc.opening.check_report import CheckReport
from taktgate.plc.opening.contract_check import check_controller
from taktgate.plc.opening.probe import Probe
from taktgate.plc.opening.reconnect import Backoff
from taktgate.plc.writer.loop import Setup, Surroundings, Writer
from taktgate.plc.writer.outlets import Outlets
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.judge import beat

PATIENCE_S = 60.0
REPLY_TIMEOUT_S = 0.5
"""A controller in a thread of the same busy process answers in time."""
_WRITERS = ("taktgate.plc", "pycomm3", "socket", "subprocess")
_TURN_NS = 2 * MILLISECOND


class _Nowhere:
    """An outlet that takes all messages."""

    lost = 0

    def send(self, kind: str, payload: bytes) -> bool:
        return True


class _Judge:
    """An inbox with a beat each 100 ms."""

    refused = 0

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._sequence = count(1)
        self._due_ns = 0

    def receive(self) -> Datagram | None:
        now_ns = self._clock()
        if now_ns < self._due_ns:
            return None
        self._due_ns = now_ns + 100 * MILLISECOND
        alive = beat(kernel_boot_id="boot", sequence=next(self._sequence), sent_ns=now_ns)
        return Datagram(kind="beat", lane=Lane.LOCAL, payload=encode(alive))


class _CheckHere:
    """Makes the full check at once: it blocks, and no process has to start for it."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.is_running = False

    def start(self) -> None:
        self.is_running = True

    def poll(self) -> CheckReport:
        self.is_running = False
        return check_controller(self._address, UdtProfile())

    def stop(self) -> None:
        self.is_running = False


class WriterHere:
    """Turns only while somebody waits for something. Real: all but the process of the check."""

    def __init__(self, address: str) -> None:
        self._leapt_ns = 0
        epochs = count(1)
        self._link = LogixLink(address, reply_timeout_s=REPLY_TIMEOUT_S)
        self._writer = Writer(
            Setup(
                place=Place(station="VIS01", kernel_boot_id="boot"),
                writer_start_id="start",
                boot_id=77,
                controller=address,
                tick_ms=10,
                write_reserve_ms=20,
                rights=RealtimeRights(),
                lanes=frozenset({Lane.LOCAL}),
            ),
            Surroundings(
                link=self._link,
                probe=Probe(parse_address(address).port),
                checker=_CheckHere(address),
                inbox=_Judge(self._now),
                outlets=Outlets(judge=None, agent=_Nowhere()),
                clock=self._now,
                wait=lambda limit_ns: time.sleep(min(limit_ns, _TURN_NS) / SECOND),
                choose_epoch=lambda: next(epochs),
                backoff=Backoff(),
            ),
        )

    def __enter__(self) -> "WriterHere":
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close(abort=True)

    def leap(self, seconds: int = 3) -> None:
        """Let time pass that nobody has to wait for."""
        self._leapt_ns += seconds * SECOND

    def turn_for(self, seconds: float) -> None:
        """Turn the writer for so long."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self._writer.turn()

    def until(self, holds: Callable[[WriterStatus], bool]) -> None:
        """Turn the writer until its status *holds*."""
        until_s = time.monotonic() + PATIENCE_S
        while not holds(self.status()):
            assert time.monotonic() < until_s, self.status()
            self._writer.turn()

    def until_ready(self) -> None:
        """Turn the writer until Ready."""
        self.until(lambda status: status.is_ready)

    def status(self) -> WriterStatus:
        """Return how the writer is."""
        return self._writer.status(self._now())

    def footprint(self) -> tuple[int, int]:
        """Return how many descriptors there are, and how many objects of the writer's making."""
        gc.collect()
        made = sum(str(type(one).__module__).startswith(_WRITERS) for one in gc.get_objects())
        return len(os.listdir("/proc/self/fd")), made

    def _now(self) -> int:
        return monotonic_ns() + self._leapt_ns
