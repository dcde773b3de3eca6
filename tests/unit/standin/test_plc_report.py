"""What a PLC fault did to the line: noticed when, rejected how many, back or not."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.standin.test_tally import PART, SILENT

from taktgate.contracts.verdict import Verdict
from taktgate.standin.demo.plc_report import PlcJournal, Struck, objections, reports
from taktgate.standin.demo.tally import Part

S = 1_000_000_000


def state(at_s: float, *, comm_ok: bool = True, ready: bool = True) -> dict[str, Any]:
    return {"event": "state", "comm_ok": comm_ok, "ready": ready, "at_ns": int(at_s * S)}


def vision(at_s: float, **members: int) -> dict[str, Any]:
    said = {"State": 2, "Ready": True, "CntReconnect": 0, "BootId": 7, **members}
    return {"event": "vision", **said, "at_ns": int(at_s * S)}


def journal(*events: dict[str, Any]) -> PlcJournal:
    written = PlcJournal()
    for event in (state(0), vision(0), *events):
        written.take(event)
    return written


def parts(*, lost: range = range(0)) -> list[Part]:
    """Return a part for each half second of half a minute; those of *lost* are silent."""
    return [
        replace(SILENT if number in lost else PART, trigger_id=number, trigger_ns=number * S // 2)
        for number in range(60)
    ]


def struck(at_s: float = 10.0, mended_s: float | None = 12.0) -> Struck:
    mended_ns = None if mended_s is None else int(mended_s * S)
    return Struck(name="cable-pull", at_ns=int(at_s * S), mended_ns=mended_ns)


def test_a_fault_is_noticed_costs_parts_and_ends() -> None:
    events = journal(state(10.4, comm_ok=False), state(12.3))
    events.take_metrics(int(10.2 * S), is_ready=False, sessions=0.0)
    (report,) = reports([struck()], events, parts(lost=range(20, 25)))

    assert (report.at_s, report.lasted_s) == (10.0, 2.0)
    assert (report.writer_noticed_s, report.plc_noticed_s) == (0.2, 0.4)
    assert (report.rejected, report.unsafe, report.unexplained) == (5, 0, 0)
    assert report.ready_again_s == 0.3
    assert report.is_back
    assert objections([report]) == []


def test_a_fault_that_nobody_notices_costs_nothing() -> None:
    (report,) = reports([struck()], journal(), parts())

    assert (report.writer_noticed_s, report.plc_noticed_s, report.rejected) == (None, None, 0)
    assert (report.ready_again_s, report.is_back) == (0.0, True)


@pytest.mark.parametrize(
    "events",
    [
        [vision(10.3, Ready=False)],
        [vision(10.3, State=3)],
        [vision(10.3, CntReconnect=1)],
        [vision(10.3, BootId=8)],
    ],
)
def test_the_writer_notices_by_its_tags(events: list[dict[str, Any]]) -> None:
    (report,) = reports([struck()], journal(*events), parts())

    assert report.writer_noticed_s == 0.3


def test_a_session_that_was_opened_between_two_looks_at_the_metrics_was_lost_before() -> None:
    written = journal()
    for at_s, sessions in ((9.9, 3.0), (10.1, 4.0), (10.2, 4.0)):
        written.take_metrics(int(at_s * S), is_ready=True, sessions=sessions)
    (report,) = reports([struck()], written, parts())

    assert report.writer_noticed_s == 0.1


def test_a_program_that_stands_is_what_the_plc_notices() -> None:
    stands = {"event": "program", "standstill": ["PROGRAM_MODE"], "at_ns": int(10.01 * S)}
    (report,) = reports([struck()], journal(stands), parts())

    assert report.plc_noticed_s == 0.01


def test_a_line_that_is_not_ready_at_the_end_did_not_come_back() -> None:
    (report,) = reports([struck()], journal(state(10.4, comm_ok=False)), parts())

    assert not report.is_back
    assert objections([report]) == ["the line did not come back after plc fault cable-pull"]


def test_a_line_that_is_ready_and_judges_nothing_did_not_come_back() -> None:
    (report,) = reports([struck()], journal(), parts(lost=range(20, 60)))

    assert (report.ready_again_s, report.judged_after, report.is_back) == (0.0, 0, False)


def test_each_fault_answers_for_the_time_until_the_next() -> None:
    events = journal(state(10.4, ready=False), state(12.5), state(20.4, ready=False))
    first, second = reports([struck(), struck(20, 22)], events, parts())

    assert (first.is_back, first.ready_again_s) == (True, 0.5)
    assert (second.is_back, second.ready_again_s) == (False, None)


def test_a_part_that_its_verdict_rejects_is_not_lost_to_the_fault() -> None:
    failed = [replace(part, verdict=Verdict.FAIL, gate="reject") for part in parts()]
    (report,) = reports([struck()], journal(), failed)

    assert report.rejected == 0


def test_an_unsafe_part_during_a_fault_is_counted_with_it() -> None:
    line = parts()
    line[21] = replace(line[21], unsafe=True, unexplained=True)
    (report,) = reports([struck()], journal(), line)

    assert (report.unsafe, report.unexplained) == (1, 1)


def test_without_parts_or_faults_there_is_nothing_to_say() -> None:
    assert reports([struck()], journal(), []) == []
    assert reports([], journal(), parts()) == []
