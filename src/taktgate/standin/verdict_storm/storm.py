"""One line in a storm: parts, verdicts, and everything that may go wrong, until the end."""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.lane import Datagram
from taktgate.edge.process import RealtimeRights
from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.tags import COMMAND_TAG, RESULT, RESULT_TAG, slot_of
from taktgate.plc.errors import ForeignWriterError
from taktgate.plc.handshake.admission import Place
from taktgate.plc.opening.reconnect import Backoff
from taktgate.plc.writer.loop import Setup, Surroundings, Writer
from taktgate.plc.writer.outlets import Outlets
from taktgate.standin.handshake_model.plc_program import Numbers
from taktgate.standin.handshake_player.controller import Controller, PartAtGate
from taktgate.standin.line.ladder import Rule, accepts
from taktgate.standin.line.program import LineSettings
from taktgate.standin.memory_plc import MemoryChecker, MemoryProbe
from taktgate.standin.verdict_storm.judge import SERIALS, Judge
from taktgate.standin.verdict_storm.network import MemoryControllerLink, Network

CYCLE_MS: Final = 20
"""Of the writer's tick and of the PLC's scan; verdicts arrive at any time in between."""
_CYCLE_NS: Final = CYCLE_MS * MILLISECOND
_BEAT_NS: Final = 100 * MILLISECOND
_SETTINGS: Final = LineSettings(deadline_ms=80, gate_delay_ms=120, watchdog_ms=400)
_START_NS: Final = 100 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Odds:
    """How often what happens, per cycle; `loss` is per exchange."""

    part: float = 0.8
    jump: float = 0.01
    loss: float = 0.004
    writer_restart: float = 0.0005
    judge_restart: float = 0.001
    reboot: float = 0.0003
    plc_restart: float = 0.0005
    program: float = 0.0003
    hold_up: float = 0.005
    """The writer misses a tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What happened in one storm."""

    seed: int
    verdicts: int
    parts: int
    accepted: int
    unsafe: int
    """Parts that the audit says may not have passed."""
    foreign: int
    """Parts that passed by what was said of another, or without a PASS."""
    disturbances: Counter[str]
    outcomes: Counter[str]
    """Of the writer's records, by verdict and whether the PLC has confirmed it."""
    findings: tuple[str, ...]

    @property
    def wrong(self) -> int:
        """Return the number of wrong actuations."""
        return self.unsafe + self.foreign


class Storm:
    """A line, a writer and a judge."""

    def __init__(self, *, seed: int, odds: Odds = Odds(), rule: Rule = accepts) -> None:
        self._seed = seed
        self._odds = odds
        self._chance = Random(seed)  # noqa: S311 - no secret
        self._controller = Controller(_SETTINGS, scan_ms=CYCLE_MS, rule=rule)
        self._controller.now_ns = _START_NS
        self._network = Network(self._controller.memory, self._chance, loss=odds.loss)
        self._judge = Judge(self._chance)
        self._happened: Counter[str] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._serials = count(1)
        self._on_line: dict[tuple[int, int], int] = {}
        """Serial by TriggerId and trigger time."""
        self._newest = (0, 0)
        self._boots = count(1)
        self._starts = count(1)
        self._epochs = count(1)
        self._accepted = self._foreign = 0
        self._findings: list[str] = []
        self._stopped_cycles = 0
        self._beat_due_ns = 0
        self._boot()

    def run(self, verdicts: int, tell: Callable[[int], None] = lambda verdicts: None) -> Weather:
        """Go on until so many verdicts were made; *tell* hears of them now and then."""
        judged, told = self._judge.counts, 0
        while judged["verdicts"] < verdicts:
            self._cycle()
            if judged["verdicts"] - told >= 10_000:
                told = judged["verdicts"]
                tell(told)
        for _ in range(200):  # whatever is on the line reaches its gate
            self._cycle(is_last=True)
        return self._weather()

    def _cycle(self, *, is_last: bool = False) -> None:
        chance, odds, controller = self._chance, self._odds, self._controller
        until_ns = controller.now_ns + _CYCLE_NS
        if not is_last:
            self._strike()
        self._take_in(until_ns)
        controller.now_ns = until_ns
        if controller.is_running:
            self._scan(0 if is_last else self._jump())
        else:
            controller.turn()
        self._look_at_the_gate()
        self._network.haunt()
        if until_ns >= self._beat_due_ns:
            self._beat_due_ns = until_ns + _BEAT_NS
            self._inbox.waiting.append(self._judge.beat(self._kernel_boot, self._host_ns()))
        if chance.random() < odds.hold_up:
            self._happened["ticks_missed"] += 1
            return
        self._turn()
        self._hear_of_parts()

    def _jump(self) -> int:
        """Return by how much TriggerId rises: 0 when no part comes."""
        chance, odds = self._chance, self._odds
        if chance.random() >= odds.part:
            return 0
        return chance.randrange(2, 10) if chance.random() < odds.jump else 1

    def _strike(self) -> None:
        """Have something restart, now and then."""
        chance, odds = self._chance, self._odds
        if self._stopped_cycles:
            self._stopped_cycles -= 1
            if not self._stopped_cycles:
                self._controller.run_program()
        strikes = (
            (odds.writer_restart, self._start_writer),
            (odds.judge_restart, self._restart_judge),
            (odds.reboot, self._reboot),
            (odds.plc_restart, self._restart_plc),
            (odds.program, self._stop_program),
        )
        for odd, strike in strikes:
            if chance.random() < odd:
                self._happened[strike.__name__.strip("_")] += 1
                strike()

    def _scan(self, jump: int) -> None:
        self._controller.take_slots(jump)
        self._controller.scan(jump=jump)
        if not jump:
            return
        trigger_id = int(self._controller.memory.load(COMMAND_TAG.name, "TriggerId"))
        self._newest = (trigger_id, self._controller.now_ns)
        self._on_line[self._newest] = next(self._serials)

    def _take_in(self, until_ns: int) -> None:
        """Deliver what arrives before the next tick; every other time the writer is too slow."""
        offset_ns = self._controller.now_ns - self._host_ns()
        arrived = self._judge.due(until_ns - 1 - offset_ns)
        if not arrived:
            return
        self._chance.shuffle(arrived)
        at_ns = max(at_ns for at_ns, _ in arrived) + offset_ns
        self._controller.now_ns = max(self._controller.now_ns, min(at_ns, until_ns - 1))
        self._happened["datagrams"] += len(arrived)
        self._inbox.waiting.extend(datagram for _, datagram in arrived)
        if self._chance.random() < 0.5:
            self._turn()

    def _turn(self) -> None:
        try:
            self._writer.turn()
        except ForeignWriterError:
            self._happened["foreign_writer_seen"] += 1
            self._start_writer()

    def _hear_of_parts(self) -> None:
        for line in self._outlets.take_edges():
            serial = self._on_line.get(self._newest)
            if serial is not None and line.trigger_id == self._newest[0]:
                self._judge.judge(line, serial)

    def _look_at_the_gate(self) -> None:
        while self._controller.gated:
            part = self._controller.gated.popleft()
            serial = self._on_line.pop((part.trigger_id, part.trigger_ns))
            said = self._judge.said.pop(serial, [])
            if part.is_accepted:
                self._accepted += 1
                self._hold_to_truth(part, serial, said)

    def _hold_to_truth(self, part: PartAtGate, serial: int, said: list[Verdict]) -> None:
        writes = self._controller.memory.writes(
            RESULT_TAG.name, slot_of(part.trigger_id), since_ns=part.trigger_ns
        )
        results = (unpack(RESULT, write.content) for write in reversed(writes))
        # A torn write has the old SeqEnd beside the new result's score.
        is_it = {"SeqBegin": part.result_seq, "SeqEnd": part.result_seq}
        found = next((one for one in results if is_it.items() <= one.items()), None)
        score = None if found is None else float(found["Score"])
        if Verdict.PASS in said and score == (serial % SERIALS) / SERIALS:
            return
        self._foreign += 1
        self._findings.append(
            f"part {serial} (TriggerId {part.trigger_id}) passed; said of it was {said}, "
            f"the score of result {part.result_seq} is {score}"
        )

    # What strikes.

    def _boot(self) -> None:
        """Start the host: its clock begins again."""
        self._kernel_boot = str(next(self._boots))
        self._boot_ns = self._controller.now_ns - 10 * SECOND
        self._beat_due_ns = 0
        self._start_writer()

    def _reboot(self) -> None:
        self._judge.forget_host()
        self._judge.restart()
        self._boot()

    def _restart_judge(self) -> None:
        self._judge.restart()

    def _restart_plc(self) -> None:
        self._network.forget()
        for key in list(self._on_line):
            self._judge.said.pop(self._on_line.pop(key), None)
        self._controller.restart(self._chance.choice(list(Numbers)))
        self._stopped_cycles = 0
        self._newest = (0, 0)

    def _stop_program(self) -> None:
        if self._controller.is_running:
            self._controller.stop_program()
            self._stopped_cycles = self._chance.randrange(1, 60)

    def _start_writer(self) -> None:
        self._inbox, self._outlets = _Inbox(), _Ears(self._outcomes)
        start = next(self._starts)
        self._writer = Writer(
            Setup(
                place=Place(station="VIS01", kernel_boot_id=self._kernel_boot),
                writer_start_id=str(start),
                boot_id=start,
                controller="10.0.0.1",
                tick_ms=CYCLE_MS,
                write_reserve_ms=20,
                rights=RealtimeRights(),
                lanes=frozenset({Lane.LOCAL, Lane.EDGEHUB}),
                reads_back=self._chance.random() < 0.5,
            ),
            Surroundings(
                link=MemoryControllerLink(self._network),
                probe=MemoryProbe(),
                checker=MemoryChecker(),
                inbox=self._inbox,
                outlets=self._outlets,
                clock=self._host_ns,
                wait=lambda limit_ns: None,
                choose_epoch=lambda: next(self._epochs),
                backoff=Backoff(self._chance.random),
            ),
        )

    def _host_ns(self) -> int:
        return self._controller.now_ns - self._boot_ns

    def _weather(self) -> Weather:
        controller, judged = self._controller, self._judge.counts
        disturbances = self._happened + self._network.counts + judged
        verdicts = disturbances.pop("verdicts")
        return Weather(
            seed=self._seed,
            verdicts=verdicts,
            parts=next(self._serials) - 1,
            accepted=self._accepted,
            unsafe=controller.unsafe,
            foreign=self._foreign,
            disturbances=disturbances,
            outcomes=self._outcomes,
            findings=(*controller.findings, *self._findings),
        )


class _Inbox:
    """Datagrams that have arrived."""

    def __init__(self) -> None:
        self.refused = 0
        self.waiting: deque[Datagram] = deque()

    def receive(self) -> Datagram | None:
        return self.waiting.popleft() if self.waiting else None


class _Ears(Outlets):
    """Hears what the writer says, before it becomes a datagram."""

    def __init__(self, outcomes: Counter[str]) -> None:
        super().__init__(judge=None, agent=_Nobody())
        self._edges: list[LineState] = []
        self._outcomes = outcomes

    def line(self, state: LineState) -> None:
        if state.is_edge:
            self._edges.append(state)

    def outcome(self, outcome: Outcome) -> None:
        fate = "written" if outcome.written else "unknown"
        self._outcomes[f"{outcome.verdict} {fate}"] += 1

    def take_edges(self) -> list[LineState]:
        """Return the edges since the last call."""
        edges, self._edges = self._edges, []
        return edges


class _Nobody:
    """An agent that does not listen."""

    lost = 0

    def send(self, kind: str, payload: bytes) -> bool:
        return True
