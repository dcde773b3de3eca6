"""The writer's loop on a controller in memory, under a clock of our own."""

from collections import deque
from dataclasses import replace
from itertools import count

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane, Outcome
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, seal
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.lane import Datagram
from taktgate.plc.admission import Place
from taktgate.plc.errors import (
    ContractMismatchError,
    ForeignWriterError,
    LinkDeadError,
    LinkRefusedError,
)
from taktgate.plc.link import Command, StatusEcho
from taktgate.plc.memory_link import MemoryLink
from taktgate.plc.outlets import Outlets
from taktgate.plc.reconnect import Backoff
from taktgate.plc.status import WriterStatus
from taktgate.plc.tags import DECISIONS, StatusError, WriterState
from taktgate.plc.writer import Setup, Surroundings, Writer

MODEL = ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + "ff" * 32)
PASS = DECISIONS[Verdict.PASS]


class ListInbox:
    def __init__(self) -> None:
        self.refused = 0
        self.waiting: deque[Datagram] = deque()

    def receive(self) -> Datagram | None:
        return self.waiting.popleft() if self.waiting else None


class ListOutlet:
    def __init__(self) -> None:
        self.lost = 0
        self.sent: list[tuple[str, bytes]] = []

    def send(self, kind: str, payload: bytes) -> bool:
        self.sent.append((kind, payload))
        return True

    def of(self, kind: str) -> list[bytes]:
        return [payload for sent_kind, payload in self.sent if sent_kind == kind]


class Station:
    """A writer, its controller, a judge that beats, and the time."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND
        self.controller = MemoryLink(
            Command(plc_heartbeat=1, trigger_id=100, deadline_ms=200, enable=True)
        )
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
                controller="10.0.0.1",
                tick_ms=10,
                write_reserve_ms=20,
                is_realtime=False,
                lanes=frozenset({Lane.LOCAL, Lane.EDGEHUB}),
            ),
            Surroundings(
                link=self.controller,
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
        beat = Beat(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="boot",
            judge_start_id="judge",
            sequence=next(self._beats),
            ready=True,
            reason="",
            model=MODEL,
            sent_ns=self.now_ns,
        )
        self.inbox.waiting.append(Datagram(kind="beat", lane=Lane.LOCAL, payload=encode(beat)))

    def trigger(self, trigger_id: int) -> LineState:
        """Let a part come and the writer see it; return what the judge is told."""
        self.controller.command = replace(self.controller.command, trigger_id=trigger_id)
        self.run_ms(10)
        return decode(LineState, self.judge.of("line")[-1])

    def judge_part(self, line: LineState, **changes: object) -> None:
        envelope = VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="boot",
            judge_start_id="judge",
            plc_epoch=line.plc_epoch,
            sequence=1,
            trigger_id=line.trigger_id,
            verdict=Verdict.PASS,
            reason=Reason.NONE,
            score=0.25,
            model=MODEL,
            trigger_ns=line.observed_after_ns,
            decided_ns=self.now_ns,
            deadline_ns=self.now_ns,
        )
        payload = encode(seal(replace(envelope, **changes)))  # type: ignore[arg-type]
        self.inbox.waiting.append(Datagram(kind="verdict", lane=Lane.LOCAL, payload=payload))

    def outcomes(self) -> list[Outcome]:
        return [decode(Outcome, payload) for payload in self.agent.of("outcome")]

    def status(self) -> WriterStatus:
        return decode(WriterStatus, self.agent.of("status")[-1])


@pytest.fixture
def station() -> Station:
    """A station that has been running for half a second."""
    station = Station()
    station.run_ms(500)
    return station


def tag_of(station: Station, field: str) -> object:
    return getattr(station.controller.status, field)


def test_a_running_station_is_ready(station: Station) -> None:
    assert tag_of(station, "ready") is True
    assert tag_of(station, "state") is WriterState.RUN
    assert tag_of(station, "boot_id") == 77
    assert station.status().state == "run"


def test_the_heartbeat_moves_every_100_ms(station: Station) -> None:
    before = station.controller.status
    station.run_ms(1000)
    after = station.controller.status
    assert before is not None
    assert after is not None
    assert after.heartbeat - before.heartbeat == 10


def test_the_part_found_at_the_start_is_answered_as_restarted(station: Station) -> None:
    (outcome,) = station.outcomes()
    assert (outcome.trigger_id, outcome.reason) == (100, Reason.RESTARTED)


def test_a_verdict_is_written_when_it_arrives_not_at_the_next_tick(station: Station) -> None:
    line = station.trigger(101)
    station.judge_part(line)
    before_ns = station.now_ns
    station.writer.turn()
    assert station.now_ns == before_ns
    assert station.controller.written[-1].decision == PASS
    assert station.outcomes()[-1].verdict is Verdict.PASS


def test_the_trigger_lies_between_the_two_reads_that_the_judge_is_told(station: Station) -> None:
    line = station.trigger(101)
    assert line.is_edge
    assert line.observed_ns - line.observed_after_ns == 10 * MILLISECOND


def test_the_judge_is_told_every_100_ms_when_nothing_changes(station: Station) -> None:
    before = len(station.judge.of("line"))
    station.run_ms(1000)
    lines = [decode(LineState, payload) for payload in station.judge.of("line")[before:]]
    assert len(lines) == 10
    assert not any(line.is_edge for line in lines)


def test_the_agent_hears_what_the_judge_hears(station: Station) -> None:
    assert station.agent.of("line") == station.judge.of("line")


def test_a_silent_judge_takes_ready_away_within_310_ms(station: Station) -> None:
    station.judge_is_alive = False
    silent_since_ns = station.now_ns
    while tag_of(station, "ready"):
        station.run_ms(10)
    assert station.now_ns - silent_since_ns <= 310 * MILLISECOND
    assert tag_of(station, "error_code") == StatusError.NO_BEAT
    assert tag_of(station, "state") is WriterState.DEGRADED


def test_a_stalled_plc_takes_ready_away(station: Station) -> None:
    station.plc_is_running = False
    station.run_ms(600)
    assert tag_of(station, "ready") is False
    assert tag_of(station, "error_code") == StatusError.PLC_STALLED


@pytest.mark.parametrize("method", ["read", "write"])
def test_a_dead_session_is_dropped_and_opened_again(station: Station, method: str) -> None:
    station.controller.failures[method].append(LinkDeadError("no whole reply"))
    station.run_ms(1000)
    assert station.controller.opens == 2
    assert True in station.controller.closes
    assert tag_of(station, "cnt_reconnect") == 1
    assert tag_of(station, "ready") is True


def test_a_pass_whose_write_died_is_overwritten_as_restarted(station: Station) -> None:
    line = station.trigger(101)
    station.judge_part(line)
    station.controller.failures["write"].append(LinkDeadError("no whole reply"))
    station.run_ms(300)
    assert [record.error_code for record in station.controller.written[-2:]] == [0, 9]
    verdicts = [(o.verdict, o.written) for o in station.outcomes() if o.trigger_id == 101]
    assert verdicts == [(Verdict.PASS, False), (Verdict.NO_DECISION, True)]


def test_a_verdict_queued_over_a_reopen_is_never_written(station: Station) -> None:
    line = station.trigger(101)
    station.controller.failures["read"].append(LinkDeadError("no whole reply"))
    station.run_ms(10)
    station.judge_part(line)
    station.run_ms(300)
    assert PASS not in [record.decision for record in station.controller.written]
    station.judge_part(line)
    station.run_ms(1000)
    assert PASS not in [record.decision for record in station.controller.written]
    assert station.status().refused == {"closed local": 1, "epoch local": 1}


def test_the_inbox_is_drained_while_the_controller_is_away(station: Station) -> None:
    station.controller.failures["open"] = [LinkRefusedError("refused")] * 100
    station.controller.failures["read"].append(LinkDeadError("gone"))
    station.run_ms(5000)
    assert not station.inbox.waiting
    assert station.status().state == "connecting"
    assert station.status().error == "refused"


def test_wrong_tags_are_a_fault_and_looked_at_every_ten_seconds(station: Station) -> None:
    mismatch = ContractMismatchError("VIS01_Result", "Score", "must be a REAL")
    station.controller.failures["open"] = [mismatch, mismatch]
    station.controller.failures["read"].append(LinkDeadError("download"))
    station.run_ms(1500)
    assert station.status().state == "fault"
    assert station.status().error == "tag VIS01_Result.Score: must be a REAL"
    left = len(station.controller.failures["open"])
    station.run_ms(8000)
    assert (left, len(station.controller.failures["open"])) == (1, 1)
    station.run_ms(12_000)
    assert station.status().state == "run"


def test_a_foreign_writer_ends_this_one_without_another_write(station: Station) -> None:
    station.controller.echo = StatusEcho(boot_id=78, last_seq=0)
    written = station.controller.status
    with pytest.raises(ForeignWriterError):
        station.writer.run()
    assert station.controller.status is written
    assert station.controller.closes[-1] is True
    assert station.status().state == "fault"


def test_a_status_tag_that_the_plc_cleared_is_no_foreign_writer(station: Station) -> None:
    station.controller.echo = StatusEcho(boot_id=0, last_seq=0)
    station.run_ms(200)
    assert tag_of(station, "boot_id") == 77


def test_result_numbers_go_on_from_the_last_writer() -> None:
    station = Station()
    station.controller.echo = StatusEcho(boot_id=12, last_seq=4000)
    station.run_ms(20)
    assert station.controller.written[0].sequence == 4001


def test_an_orderly_end_says_so_to_the_plc(station: Station) -> None:
    station.trigger(101)
    station.writer.stop()
    station.writer.run()
    assert tag_of(station, "online") is False
    assert tag_of(station, "ready") is False
    assert tag_of(station, "error_code") == StatusError.STOPPING
    assert station.controller.closes == [False]
    assert station.outcomes()[-1].reason is Reason.NOT_READY


def test_two_verdicts_that_wait_together_meet_before_either_is_written(station: Station) -> None:
    line = station.trigger(101)
    station.judge_part(line)
    station.judge_part(line, verdict=Verdict.FAIL, score=0.9)
    station.run_ms(10)
    decisions = [r.decision for r in station.controller.written if r.trigger_id == 101]
    assert decisions == [DECISIONS[Verdict.NO_DECISION]]
    assert tag_of(station, "fault") is True


def test_a_flood_at_the_inbox_does_not_keep_the_loop_from_its_tick(station: Station) -> None:
    junk = Datagram(kind="verdict", lane=Lane.EDGEHUB, payload=b"{")
    station.inbox.waiting.extend([junk] * 1000)
    station.writer.turn()
    assert len(station.inbox.waiting) == 1000 - 64


def test_missed_ticks_are_counted_and_left_out(station: Station) -> None:
    station.now_ns += 55 * MILLISECOND
    station.run_ms(1010)
    assert station.status().late_ticks == 1


def test_status_is_told_every_second(station: Station) -> None:
    before = len(station.agent.of("status"))
    station.run_ms(3000)
    assert len(station.agent.of("status")) - before == 3
