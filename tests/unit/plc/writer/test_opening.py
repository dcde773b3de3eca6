"""How the writer comes to a session, keeps what it knows of the controller, and doubts it."""

from dataclasses import replace

import pytest
from tests.unit.plc.writer.bench import Station, tag_of

from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command
from taktgate.plc.contract.tags import StatusError, WriterState
from taktgate.plc.errors import (
    ConnectionTooSmallError,
    ContractChangedError,
    LinkDeadError,
    LinkRefusedError,
)
from taktgate.plc.link.port import Mode
from taktgate.plc.opening.check_report import CheckReport, Finding
from taktgate.standin.memory_plc import VERIFIED

CHANGED = ContractChangedError("the tag table")
DEAD = LinkDeadError("no whole reply")
MISMATCH = CheckReport(
    finding=Finding.MISMATCH, host="10.0.0.1", words="tag VIS01_Result.Score: must be a REAL"
)
FOREIGN = CheckReport(finding=Finding.FOREIGN, host="10.0.0.1", words="10.0.0.1: is no PLC")
assert VERIFIED.verified is not None
UNRECOGNISABLE = replace(VERIFIED, verified=replace(VERIFIED.verified, table_version=""))


def lose(station: Station) -> None:
    """Have the session die, after it has lived long enough to be opened again at once."""
    station.run_ms(2500)
    station.controller.failures["read"].append(DEAD)
    station.run_ms(20)


def test_a_controller_is_checked_once_and_then_opened(station: Station) -> None:
    assert (station.checker.starts, station.controller.opens) == (1, 1)
    assert station.status().contract_checks == 1


def test_what_was_verified_stays_known_over_every_loss(station: Station) -> None:
    for _ in range(5):
        lose(station)
    station.run_ms(500)
    assert (station.checker.starts, station.controller.opens) == (1, 6)


def test_a_controller_that_cannot_be_recognised_is_checked_before_each_session() -> None:
    station = Station()
    station.checker.reports = [UNRECOGNISABLE] * 3
    station.run_ms(500)
    for _ in range(2):
        lose(station)
    station.run_ms(500)
    assert (station.checker.starts, station.controller.opens) == (3, 3)


def test_a_controller_that_cannot_be_recognised_is_checked_again_after_any_silence() -> None:
    station = Station()
    station.checker.reports = [UNRECOGNISABLE] * 2
    while not station.checker.starts or station.checker.is_running:
        station.writer.turn()
    station.probe.is_silent = True
    station.run_ms(100)
    station.probe.is_silent = False
    station.run_ms(100)
    assert (station.checker.starts, station.controller.opens) == (2, 1)


def test_a_controller_that_changed_while_we_were_away_is_checked_again(station: Station) -> None:
    station.controller.failures["open"] = [CHANGED]
    lose(station)
    station.run_ms(500)
    assert (station.checker.starts, station.controller.opens) == (2, 2)
    assert tag_of(station, "ready") is True


def test_a_download_that_does_not_cost_the_session_is_noticed_within_5_s(station: Station) -> None:
    station.controller.failures["recheck"] = [CHANGED]
    station.run_ms(5010)
    assert station.status().last_loss == str(CHANGED)
    station.run_ms(500)
    assert (station.checker.starts, station.controller.opens) == (2, 2)


def test_a_download_that_stops_the_program_is_noticed_half_a_second_after_the_stall(
    station: Station,
) -> None:
    station.plc_is_running = False
    station.run_ms(700)
    station.controller.failures["recheck"] = [CHANGED]
    station.run_ms(520)
    assert station.status().losses == 1


@pytest.mark.parametrize(
    "after_download",
    [
        Command(plc_heartbeat=0, trigger_id=100, deadline_ms=200, enable=True),
        Command(plc_heartbeat=1000, trigger_id=1, deadline_ms=200, enable=True),
    ],
    ids=["heartbeat", "numbers"],
)
def test_a_download_too_quick_for_a_stall_is_noticed_before_the_next_write(
    station: Station, after_download: Command
) -> None:
    station.controller.failures["recheck"] = [CHANGED]
    station.controller.command = after_download
    written = station.controller.status
    station.run_ms(10)
    assert station.status().losses == 1
    assert station.controller.status is written


@pytest.mark.parametrize(
    ("report", "code"), [(MISMATCH, StatusError.TAGS), (FOREIGN, StatusError.CONTROLLER)]
)
def test_what_a_person_has_to_mend_is_a_fault_and_looked_at_every_ten_seconds(
    report: CheckReport, code: StatusError
) -> None:
    station = Station()
    station.checker.reports = [report, report]
    station.run_ms(9_900)
    assert (station.status().state, station.status().error_code) == ("fault", code)
    assert station.status().error == report.words
    assert station.checker.starts == 1
    assert station.controller.status is None
    station.run_ms(10_500)
    assert station.checker.starts == 3
    assert (station.status().state, station.status().error_code) == ("run", StatusError.NONE)


def test_wrong_tags_at_a_running_station_stop_every_write(station: Station) -> None:
    station.checker.reports = [MISMATCH]
    station.controller.failures["recheck"] = [CHANGED]
    station.run_ms(5100)
    written = station.controller.status
    station.run_ms(5000)
    assert station.controller.status is written
    assert station.status().state == "fault"


def test_a_fault_stays_one_while_the_controller_is_silent() -> None:
    station = Station()
    station.checker.reports = [MISMATCH]
    station.run_ms(100)
    station.probe.is_silent = True
    station.run_ms(30_000)
    assert station.status().state == "fault"
    assert station.status().error == MISMATCH.words


def test_connections_that_hold_no_verdict_are_a_fault() -> None:
    station = Station()
    too_small = ConnectionTooSmallError(
        "VIS01_Result", profile="flat", needed_bytes=700, granted_bytes=500
    )
    station.controller.failures["open"] = [too_small]
    station.run_ms(500)
    assert station.status().state == "fault"
    assert "500" in station.status().error


def test_a_controller_that_was_silent_for_a_minute_is_written_to_at_once(
    station: Station,
) -> None:
    station.probe.is_silent = True
    lose(station)
    station.run_ms(60_000)
    written = station.controller.status
    station.probe.is_silent = False
    station.run_ms(50)
    assert station.controller.status is not written


def test_a_dead_controller_is_noticed_within_120_ms(station: Station) -> None:
    station.controller.read_takes_ns = 100 * MILLISECOND
    station.controller.failures["read"].append(DEAD)
    died_ns = station.now_ns
    while station.status().is_connected:
        station.writer.turn()
    assert station.now_ns - died_ns <= 120 * MILLISECOND


def test_refused_sessions_are_tried_less_and_less_often() -> None:
    station = Station()
    station.controller.failures["open"] = [LinkRefusedError("out of connections")] * 100
    station.run_ms(10_000)
    tried = 100 - len(station.controller.failures["open"])
    assert 7 <= tried <= 9
    assert station.status().error == "out of connections"


@pytest.mark.parametrize("where", ["open", "read", "write"])
@pytest.mark.parametrize("sick_ms", [150, 1_000, 30_000])
def test_a_controller_at_which_sessions_died_young_is_written_to_400_ms_after_it_is_back(
    station: Station, where: str, sick_ms: int
) -> None:
    failures = station.controller.failures[where]
    station.run_ms(2500)
    failures += [DEAD] * 1000
    station.controller.failures["read"].append(DEAD)
    station.run_ms(sick_ms)
    assert len(failures) < 1000
    failures.clear()
    written = station.controller.status
    station.run_ms(400 - 100)  # an exchange that was under way takes the reply time-out
    assert station.controller.status is not written


def test_a_controller_at_which_sessions_die_young_is_tried_five_times_a_second() -> None:
    station = Station()
    station.controller.failures["open"] = [DEAD] * 1000
    station.run_ms(10_000)
    assert 1000 - len(station.controller.failures["open"]) <= 52


def test_a_controller_that_changes_after_each_check_is_checked_less_and_less_often() -> None:
    station = Station()
    station.controller.failures["open"] = [CHANGED] * 100
    station.run_ms(10_000)
    assert station.checker.starts <= 10


def test_program_mode_is_degraded_and_not_ready_although_the_heartbeat_moves(
    station: Station,
) -> None:
    station.controller.mode = Mode.PROGRAM
    station.run_ms(5100)
    assert tag_of(station, "state") is WriterState.DEGRADED
    assert tag_of(station, "ready") is False
    assert tag_of(station, "error_code") == StatusError.PLC_PROGRAM
    station.controller.mode = Mode.RUN
    station.run_ms(620)
    assert tag_of(station, "state") is WriterState.RUN


def test_the_cause_of_the_last_loss_and_their_number_are_told(station: Station) -> None:
    assert (station.status().losses, station.status().last_loss) == (0, "")
    for _ in range(2):
        lose(station)
    station.run_ms(500)
    assert (station.status().losses, station.status().last_loss) == (2, str(DEAD))
    assert station.status().error == ""


def test_a_name_is_looked_up_by_the_check_before_anything_is_probed() -> None:
    station = Station("plc-7.plant.local")
    station.writer.turn()
    assert (station.checker.starts, station.probe.looks) == (1, 0)
    station.run_ms(500)
    assert station.status().state == "run"


def test_a_name_behind_which_nobody_answers_is_looked_up_again_after_10_s() -> None:
    station = Station("plc-7.plant.local")
    station.run_ms(500)
    station.probe.is_silent = True
    lose(station)
    station.run_ms(9_900)
    assert station.checker.starts == 1
    station.run_ms(300)
    assert station.checker.starts == 2


def test_the_end_of_the_writer_ends_the_check() -> None:
    station = Station()
    station.writer.turn()
    assert station.checker.is_running
    station.writer.stop()
    station.writer.run()
    assert not station.checker.is_running
