"""The real writer, in a thread that stops wherever the writer waits for the world.

Nothing of it is replaced but what it is given: clock, inbox, outlets, the wait between two turns,
the choice of epochs and the back-off. Its own loop runs, `Writer.run`.
"""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from itertools import count
from queue import SimpleQueue
from typing import Final

from taktgate.contracts.codec import decode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.edge.clock import SECOND
from taktgate.edge.lane import Datagram
from taktgate.edge.process import RealtimeRights
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import ForeignWriterError
from taktgate.plc.handshake.admission import Place
from taktgate.plc.link.address import parse_address
from taktgate.plc.link.port import TagLink
from taktgate.plc.opening.check_report import CheckReport, Finding
from taktgate.plc.opening.contract_check import check_controller
from taktgate.plc.opening.opening import Checker
from taktgate.plc.opening.reconnect import Backoff
from taktgate.plc.writer.intake import Intake
from taktgate.plc.writer.loop import Setup, Surroundings, Writer
from taktgate.plc.writer.outlets import KIND_LINE, KIND_OUTCOME, Outlets
from taktgate.plc.writer.session import Session

_LIMIT_S: Final = 20.0
_TICK_MS: Final = 10


class At(StrEnum):
    """Where the thread has stopped."""

    WAIT = "between two turns"
    INBOX = "at its inbox"
    ENDED = "ended"


class Turn(StrEnum):
    """What the thread is to do after a wait."""

    TICK = "tick"
    TAKE_IN = "take in"


class KilledError(BaseException):
    """The process is gone; nothing that it did afterwards would have left the host."""


class WriterThread:
    """One start of the writer."""

    def __init__(
        self,
        *,
        setup: Setup,
        link: TagLink,
        checker: Checker,
        clock: Callable[[], int],
        first_epoch: int,
        tell: Callable[[At], None],
    ) -> None:
        """Have *tell* called, in the event loop of the caller, whenever the thread stops."""
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._answers: SimpleQueue[Turn | Datagram | KilledError | None] = SimpleQueue()
        self._takes_in = False
        self.is_at_inbox = self.has_ended = False
        self._clock = clock
        self.inbox = _HeldInbox(self._receive)
        self.judge, self.agent = _Outlet(), _Outlet()
        self.error: BaseException | None = None
        """What ended the thread, other than `kill`."""
        epochs = count(first_epoch)
        self.writer = Writer(
            setup,
            Surroundings(
                link=link,
                probe=_StageProbe(parse_address(setup.controller).port),
                checker=checker,
                inbox=self.inbox,
                outlets=Outlets(judge=self.judge, agent=self.agent),
                clock=clock,
                wait=self._wait,
                choose_epoch=lambda: next(epochs),
                backoff=_AtOnce(),
            ),
        )
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """Run `Writer.run`."""
        self._thread.start()

    def go(self, turn: Turn) -> None:
        """Have the thread, which waits between two turns, make one."""
        self._takes_in = turn is Turn.TAKE_IN
        self._answers.put(turn)

    def give(self, datagram: Datagram | None) -> None:
        """Answer the thread, which is at its inbox."""
        self._takes_in = datagram is not None
        self._answers.put(datagram)

    def slip_in(self, datagram: Datagram) -> None:
        """Hand a beat to the intake of the thread that stands still, as the model does."""
        intake: Intake = self.writer._intake
        intake.accept(datagram, self._clock())

    def kill(self) -> None:
        """End the thread where it has stopped, or at its next stop."""
        self._answers.put(KilledError())

    async def join(self) -> None:
        """Wait for the end of the thread."""
        await asyncio.wait_for(asyncio.to_thread(self._thread.join), _LIMIT_S)

    @property
    def session(self) -> Session:
        """The session of the writer."""
        session: Session = self.writer._session
        return session

    def edges(self) -> list[LineState]:
        """Return the edges that the judge was told of."""
        lines = [decode(LineState, payload) for payload in self.judge.of(KIND_LINE)]
        return [line for line in lines if line.is_edge]

    def outcomes(self) -> list[Outcome]:
        """Return what the agent was told of parts."""
        return [decode(Outcome, payload) for payload in self.agent.of(KIND_OUTCOME)]

    def _run(self) -> None:
        try:
            self.writer.run()
        except KilledError:
            pass
        except ForeignWriterError as error:
            self.error = error
        except BaseException as error:  # noqa: BLE001 - it is reported, as a finding
            self.error = error
        self._stop_at(At.ENDED)

    def _wait(self, _limit_ns: int) -> None:
        """Stop between two turns; a tick is due when the stage says so, not by the grid."""
        self._stop_at(At.WAIT)
        turn = self._answer()
        now_ns = self._clock()
        self.writer._next_tick_ns = now_ns if turn is Turn.TICK else now_ns + 1000 * SECOND

    def _receive(self) -> Datagram | None:
        if not self._takes_in:
            return None
        self._stop_at(At.INBOX)
        answer = self._answer()
        assert not isinstance(answer, Turn)
        return answer

    def _stop_at(self, at: At) -> None:
        self._loop.call_soon_threadsafe(self._tell, at)

    def _answer(self) -> Turn | Datagram | None:
        answer = self._answers.get()
        if isinstance(answer, KilledError):
            raise answer
        return answer


class _HeldInbox:
    """Asks the stage for each datagram."""

    def __init__(self, receive: Callable[[], Datagram | None]) -> None:
        self.refused = 0
        self.receive = receive


class _Outlet:
    """Keeps what the writer hands over."""

    def __init__(self) -> None:
        self.lost = 0
        self._sent: deque[tuple[str, bytes]] = deque()

    def send(self, kind: str, payload: bytes) -> bool:
        self._sent.append((kind, payload))
        return True

    def of(self, kind: str) -> list[bytes]:
        return [payload for sent, payload in self._sent if sent == kind]


class _AtOnce(Backoff):
    """No back-off: the trace says when a session is opened."""

    def refused(self, now_ns: int) -> int:
        return now_ns

    def lost(self, now_ns: int) -> int:
        return now_ns


class _StageProbe:
    """Connects in no time: when a session is opened is the trace's to say."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.error = ""

    def look(self, host: str, now_ns: int) -> socket.socket | None:
        try:
            return socket.create_connection((host, self._port), timeout=_LIMIT_S)
        except OSError as error:
            self.error = str(error)
            return None

    def stop(self) -> None:
        """Nothing is under way."""


class StageChecker:
    """The full check, made here and now, at the controller itself; what it found is kept."""

    def __init__(self, address: str, profile: Profile) -> None:
        self._address = address
        self._profile = profile
        self._report: CheckReport | None = None
        self.is_running = False

    def start(self) -> None:
        """Begin a check."""
        self.is_running = True

    def poll(self) -> CheckReport | None:
        """Return what was found."""
        self.is_running = False
        if self._report is None or self._report.finding is not Finding.VERIFIED:
            self._report = check_controller(self._address, self._profile)
        return self._report

    def stop(self) -> None:
        """End it."""
        self.is_running = False


def setup_of(
    *,
    boot_id: int,
    kernel_boot: int,
    station: str,
    address: str,
    reserve_ms: int,
    lanes: frozenset[Lane],
    reads_back: bool,
) -> Setup:
    """Return what a start of the writer is told."""
    return Setup(
        place=Place(station=station, kernel_boot_id=str(kernel_boot)),
        writer_start_id=str(boot_id),
        boot_id=boot_id,
        controller=address,
        tick_ms=_TICK_MS,
        write_reserve_ms=reserve_ms,
        rights=RealtimeRights(),
        lanes=lanes,
        reads_back=reads_back,
    )
