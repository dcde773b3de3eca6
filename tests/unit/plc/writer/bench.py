"""A writer with its controller in memory, its judge and its agent, under a clock of our own."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import count

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.lane import Datagram
from taktgate.edge.process import RealtimeRights
from taktgate.plc.contract.records import Command, Reading, ResultRecord, StatusRecord
from taktgate.plc.contract.tags import DECISIONS
from taktgate.plc.handshake.admission import Place
from taktgate.plc.opening.reconnect import Backoff
from taktgate.plc.writer.loop import Setup, Surroundings, Writer
from taktgate.plc.writer.outlets import Outlets
from taktgate.plc.writer.status import WriterStatus
from taktgate.standin.judge import beat, passed
from taktgate.standin.memory_plc import MemoryChecker, MemoryLink, MemoryProbe

PASS = DECISIONS[Verdict.PASS]


class ListInbox:
    def __init__(self) -> None:
        self.refused = 0
        self.waiting: deque[Datagram] = deque()
        self.costs_ns = 0
        self.clock: Station | None = None
        """Whose time each datagram takes, once set."""

    def receive(self) -> Datagram | None:
        if self.clock is not None:
            self.clock.now_ns += self.costs_ns
        return self.waiting.popleft() if self.waiting else None


class ListOutlet:
    def __init__(self) -> None:
        self.lost = 0
        self.room = 10**6
        self.sent: list[tuple[str, bytes]] = []

    def send(self, kind: str, payload: bytes) -> bool:
        if not self.room:
            self.lost += 1
            return False
        self.room -= 1
        self.sent.append((kind, payload))
        return True

    def of(self, kind: str) -> list[bytes]:
        return [payload for sent_kind, payload in self.sent if sent_kind == kind]


class SlowLink(MemoryLink):
    def __init__(self, station: "Station", command: Command) -> None:
        super().__init__(command)
        self._station = station
        self.write_takes_ns = 0
        self.read_takes_ns = 0
        self.acknowledges = True
        """The PLC's program consumes what is written: the newest result of each request."""

    def read(self, *, echo: bool) -> Reading:
        self._station.now_ns += self.read_takes_ns
        return super().read(echo=echo)

    def write(self, results: Sequence[ResultRecord], status: StatusRecord) -> None:
        if results and self.acknowledges:
            self.command = replace(self.command, ack_seq=results[-1].sequence)
        super().write(results, status)
        self._station.now_ns += self.write_takes_ns


class Station:
    """A writer, its controller, a judge that beats, and the time."""

    def __init__(self, address: str = "10.0.0.1", *, reads_back: bool = False) -> None:
        self.now_ns = 1000 * SECOND
        self.controller = SlowLink(
            self, Command(plc_heartbeat=1, trigger_id=100, deadline_ms=200, enable=True)
        )
        self.probe, self.checker = MemoryProbe(), MemoryChecker()
        self.inbox, self.judge, self.agent = ListInbox(), ListOutlet(), ListOutlet()
        self.judge_is_alive = True
        self.plc_is_running = True
        self._live_due_ns = 0
        self._beats = count(1)
        epochs = count(1)
        self.writer = Writer(
            Setup(
                place=Place(station="VIS01", kernel_boot_id="boot"),
                writer_start_id="start",
                boot_id=77,
                controller=address,
                tick_ms=10,
                write_reserve_ms=20,
                rights=RealtimeRights(),
                lanes=frozenset({Lane.LOCAL, Lane.EDGEHUB}),
                reads_back=reads_back,
            ),
            Surroundings(
                link=self.controller,
                probe=self.probe,
                checker=self.checker,
                inbox=self.inbox,
                outlets=Outlets(judge=self.judge, agent=self.agent),
                clock=lambda: self.now_ns,
                wait=self._wait,
                choose_epoch=lambda: next(epochs),
                backoff=Backoff(lambda: 0.5),
            ),
        )

    def _wait(self, limit_ns: int) -> None:
        if not self.inbox.waiting:
            self.now_ns += limit_ns

    def run_ms(self, milliseconds: int) -> None:
        end_ns = self.now_ns + milliseconds * MILLISECOND
        while self.now_ns < end_ns:
            if self.now_ns >= self._live_due_ns:
                self._live_due_ns = self.now_ns + 100 * MILLISECOND
                self._live()
            self.writer.turn()

    def _live(self) -> None:
        if self.plc_is_running:
            command = self.controller.command
            self.controller.command = replace(command, plc_heartbeat=command.plc_heartbeat + 1)
        if self.judge_is_alive:
            self.beat()

    def beat(self) -> None:
        alive = beat(kernel_boot_id="boot", sequence=next(self._beats), sent_ns=self.now_ns)
        self.inbox.waiting.append(Datagram(kind="beat", lane=Lane.LOCAL, payload=encode(alive)))

    def trigger(self, trigger_id: int) -> LineState:
        """Let a part come and the writer see it; return what the judge is told."""
        self.controller.command = replace(self.controller.command, trigger_id=trigger_id)
        self.run_ms(10)
        return decode(LineState, self.judge.of("line")[-1])

    def judge_part(
        self,
        line: LineState,
        *,
        decided_ns: int | None = None,
        sequence: int = 1,
        **changes: object,
    ) -> None:
        """Put a PASS for the part of *line* into the inbox, decided now, with *changes* to it."""
        known_ns = self.now_ns if decided_ns is None else decided_ns
        payload = encode(passed(line, sequence=sequence, decided_ns=known_ns, **changes))
        self.inbox.waiting.append(Datagram(kind="verdict", lane=Lane.LOCAL, payload=payload))

    def take_in_without_writing(self) -> None:
        """Put what waits into the handshake, as no turn of the loop leaves it."""
        while self.inbox.waiting:
            self.writer._intake.accept(self.inbox.waiting.popleft(), self.now_ns)

    def outcomes(self) -> list[Outcome]:
        return [decode(Outcome, payload) for payload in self.agent.of("outcome")]

    def status(self) -> WriterStatus:
        return decode(WriterStatus, self.agent.of("status")[-1])


def tag_of(station: Station, field: str) -> object:
    return getattr(station.controller.status, field)
