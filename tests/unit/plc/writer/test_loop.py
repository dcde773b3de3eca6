"""The writer's loop on a controller in memory, under a clock of our own."""

from dataclasses import replace

import pytest
from tests.unit.plc.writer.bench import PASS, Station, tag_of

from taktgate.contracts.codec import decode
from taktgate.contracts.line import LineState
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.edge.lane import Datagram
from taktgate.plc.contract.records import StatusEcho
from taktgate.plc.contract.tags import DECISIONS, ERROR_CODES, StatusError, WriterState
from taktgate.plc.errors import (
    LinkDeadError,
)


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
    station.run_ms(10)
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


def test_a_pass_whose_write_died_is_written_once_more_as_it_was(station: Station) -> None:
    station.controller.acknowledges = False
    line = station.trigger(101)
    station.judge_part(line)
    station.controller.failures["write"].append(LinkDeadError("no whole reply"))
    station.run_ms(160)
    first, second = station.controller.written[-2:]
    assert first == second
    assert first.decision == PASS
    assert station.status().rewritten == 1


def test_a_pass_whose_write_died_twice_is_overwritten_as_restarted(station: Station) -> None:
    station.controller.acknowledges = False
    station.controller.command = replace(station.controller.command, deadline_ms=2000)
    line = station.trigger(101)
    station.judge_part(line)
    station.controller.failures["write"] += [LinkDeadError("no whole reply")] * 2
    station.run_ms(600)
    written = [
        record.error_code for record in station.controller.written if record.trigger_id == 101
    ]
    assert written == [0, 0, ERROR_CODES[Reason.RESTARTED]]


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
    station.probe.is_silent = True
    station.controller.failures["read"].append(LinkDeadError("gone"))
    station.run_ms(5000)
    assert not station.inbox.waiting
    assert station.status().state == "connecting"
    assert station.status().error == "10.0.0.1:44818: nobody answers"


def test_result_numbers_go_on_from_the_last_writer() -> None:
    station = Station()
    station.controller.echo = StatusEcho(boot_id=12, heartbeat=7, last_seq=4000)
    station.run_ms(400)
    assert station.controller.written[0].sequence == 4001


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


def test_a_message_that_is_slow_to_read_ends_the_turn_when_the_tick_is_due(
    station: Station,
) -> None:
    station.inbox.costs_ns = 6 * MILLISECOND
    station.inbox.clock = station
    junk = Datagram(kind="verdict", lane=Lane.EDGEHUB, payload=b'{"a": 1}' * 900)
    station.inbox.waiting.extend([junk] * 1000)
    heartbeat = station.controller.status.heartbeat if station.controller.status else 0
    station.run_ms(1000)
    assert station.controller.status is not None
    assert station.controller.status.heartbeat - heartbeat >= 9


def test_missed_ticks_are_counted_and_left_out(station: Station) -> None:
    station.now_ns += 55 * MILLISECOND
    station.run_ms(1010)
    assert station.status().late_ticks == 1


def test_a_judge_that_falls_silent_is_told_with_the_next_turn(station: Station) -> None:
    station.run_ms(1500)
    station.judge_is_alive = False
    while tag_of(station, "error_code") != StatusError.NO_BEAT:
        station.writer.turn()
    assert station.status().error == "no_beat"


def test_another_reason_for_the_same_state_is_told_with_the_next_turn(station: Station) -> None:
    station.judge_is_alive = False
    station.run_ms(1500)
    assert tag_of(station, "error_code") == StatusError.NO_BEAT
    station.controller.command = replace(station.controller.command, deadline_ms=0)
    while tag_of(station, "error_code") == StatusError.NO_BEAT:
        station.writer.turn()
    assert station.status().error == "deadline"


def test_a_rival_verdict_is_told_with_the_next_turn(station: Station) -> None:
    station.run_ms(1500)
    line = station.trigger(101)
    station.judge_part(line)
    station.run_ms(20)
    told = station.status()
    station.judge_part(line, verdict=Verdict.FAIL, sequence=2)
    station.run_ms(20)
    assert (told.has_fault, station.status().has_fault) == (False, True)


def test_status_is_told_every_second(station: Station) -> None:
    before = len(station.agent.of("status"))
    station.run_ms(3000)
    assert len(station.agent.of("status")) - before == 3
