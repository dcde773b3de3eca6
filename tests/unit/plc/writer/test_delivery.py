"""What the writer does about a result that does not stand, or that nobody acknowledges."""

from dataclasses import replace

from tests.unit.plc.writer.bench import PASS, Station, tag_of

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.records import EMPTY_SLOT
from taktgate.plc.contract.tags import ERROR_CODES, slot_of
from taktgate.plc.errors import LinkDeadError


def reading_back() -> Station:
    station = Station(reads_back=True)
    station.run_ms(500)
    return station


def decisions(station: Station, trigger_id: int) -> list[int]:
    written = [record for record in station.controller.written if record.trigger_id == trigger_id]
    return [record.error_code or record.decision for record in written]


def test_a_result_that_stands_in_its_slot_is_written_once() -> None:
    station = reading_back()
    station.judge_part(station.trigger(101))
    station.run_ms(100)
    assert decisions(station, 101) == [PASS]
    assert station.outcomes()[-1].written


def test_a_slot_that_holds_something_else_again_ends_in_fault_and_reject() -> None:
    station = reading_back()
    station.controller.acknowledges = False
    station.controller.foreign[slot_of(101)] = EMPTY_SLOT
    station.judge_part(station.trigger(101))
    station.run_ms(100)
    assert decisions(station, 101) == [PASS, PASS, ERROR_CODES[Reason.CONFLICT]]
    assert tag_of(station, "fault") is True


def test_a_slot_that_cannot_be_read_back_is_a_write_of_unknown_outcome() -> None:
    station = reading_back()
    station.controller.acknowledges = False
    station.judge_part(station.trigger(101))
    station.controller.failures["read_back"].append(LinkDeadError("no whole reply"))
    station.run_ms(160)
    assert decisions(station, 101) == [PASS, PASS]
    assert station.status().rewritten == 1


def test_slots_are_not_read_back_unless_the_station_says_so(station: Station) -> None:
    station.controller.failures["read_back"].append(LinkDeadError("must not be asked"))
    station.judge_part(station.trigger(101))
    station.run_ms(50)
    assert station.status().losses == 0


def test_a_plc_that_acknowledges_nothing_is_seen_and_still_served(station: Station) -> None:
    station.controller.acknowledges = False
    for trigger_id in (101, 102, 103):
        station.judge_part(station.trigger(trigger_id))
        station.run_ms(400)
    status = station.status()
    assert (status.unacknowledged, status.is_acknowledging) == (3, False)
    assert (status.is_ready, status.has_fault) == (True, False)
    station.controller.acknowledges = True
    station.judge_part(station.trigger(104))
    station.run_ms(100)
    assert station.status().is_acknowledging


def test_an_outcome_tells_what_was_written_and_when_it_was_consumed(station: Station) -> None:
    station.judge_part(station.trigger(101))
    station.run_ms(50)
    outcome = station.outcomes()[-1]
    assert (outcome.verdict, outcome.written, outcome.retries) == (Verdict.PASS, True, 0)
    assert outcome.acknowledged_ms is not None
    assert outcome.trigger_to_ack_ms is not None
    assert outcome.trigger_to_ack_ms <= outcome.acknowledged_ms <= 50
    assert outcome.age_ms == 10


def test_a_long_deadline_does_not_hold_an_outcome_back(station: Station) -> None:
    station.controller.acknowledges = False
    station.controller.command = replace(station.controller.command, deadline_ms=10_000)
    station.judge_part(station.trigger(101))
    station.run_ms(400)
    outcome = station.outcomes()[-1]
    assert (outcome.trigger_id, outcome.acknowledged_ms) == (101, None)
