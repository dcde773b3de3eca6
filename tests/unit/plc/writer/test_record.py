"""No part is missing from the record, whatever happens to the link, the agent or the writer."""

from dataclasses import replace

import pytest
from tests.unit.plc.writer.bench import PASS, ListOutlet, Station, tag_of

from taktgate.contracts.codec import decode
from taktgate.contracts.outcome import Outcome
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import StatusEcho
from taktgate.plc.contract.tags import DECISIONS, StatusError
from taktgate.plc.writer.outlets import MAX_WAITING, Outlets


def test_an_orderly_end_says_so_to_the_plc(station: Station) -> None:
    station.trigger(101)
    station.writer.stop()
    station.writer.run()
    assert tag_of(station, "online") is False
    assert tag_of(station, "ready") is False
    assert tag_of(station, "error_code") == StatusError.STOPPING
    assert station.controller.closes == [False]
    assert station.outcomes()[-1].reason is Reason.NOT_READY


@pytest.mark.parametrize(
    ("takes_ms", "decisions", "last_word"),
    [
        (195, [PASS, DECISIONS[Verdict.LATE]], (Verdict.LATE, False)),
        (250, [PASS], (Verdict.PASS, False)),
    ],
)
def test_a_pass_that_the_end_confirms_too_late_is_overruled_or_on_record(
    station: Station, takes_ms: int, decisions: list[int], last_word: tuple[Verdict, bool]
) -> None:
    station.judge_part(station.trigger(101))
    station.take_in_without_writing()
    station.controller.write_takes_ns = takes_ms * MILLISECOND
    station.writer.stop()
    station.writer.run()
    assert [r.decision for r in station.controller.written if r.trigger_id == 101] == decisions
    (outcome,) = [outcome for outcome in station.outcomes() if outcome.trigger_id == 101]
    assert (outcome.verdict, outcome.written) == last_word


def test_a_verdict_that_waits_for_a_dead_writers_tag_is_on_record_when_the_writer_ends() -> None:
    station = Station()
    station.controller.echo = StatusEcho(boot_id=12, heartbeat=7, last_seq=4000)
    station.run_ms(100)
    station.judge_part(station.trigger(101))
    station.run_ms(10)
    station.writer.stop()
    station.writer.run()
    assert station.controller.status is None
    assert (101, False) in [(o.trigger_id, o.written) for o in station.outcomes()]


def test_outcomes_that_the_agent_has_no_room_for_are_handed_over_later_in_order(
    station: Station,
) -> None:
    station.agent.room = 3
    station.controller.acknowledges = False
    before = len(station.outcomes())
    station.controller.command = replace(station.controller.command, trigger_id=108)
    station.run_ms(50)
    station.agent.room = 100
    station.run_ms(400)
    told = [outcome.trigger_id for outcome in station.outcomes()[before:]]
    assert told[:7] == [101, 102, 103, 104, 105, 106, 107]
    assert "agent" in station.status().lost


def test_an_agent_that_stays_away_costs_the_oldest_outcomes() -> None:
    agent = ListOutlet()
    agent.room = 0
    outlets = Outlets(judge=None, agent=agent)
    station = Station()
    station.run_ms(500)
    (outcome,) = station.outcomes()
    for trigger_id in range(MAX_WAITING + 6):
        outlets.outcome(replace(outcome, trigger_id=trigger_id))
        outlets.hand_over()
    assert outlets.lost() == {"agent": 6}
    agent.room = 1000
    outlets.hand_over()
    assert [decode(Outcome, payload).trigger_id for payload in agent.of("outcome")] == list(
        range(6, MAX_WAITING + 6)
    )
