"""One controller, one writer: whoever comes second writes nothing."""

from itertools import count

import pytest
from tests.unit.plc.writer.bench import PASS, Station, tag_of

from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import StatusEcho
from taktgate.plc.errors import (
    ForeignWriterError,
    LinkDeadError,
)


def test_a_controller_whose_writer_lives_is_left_alone() -> None:
    station = Station()
    began_ns = station.now_ns
    with pytest.raises(ForeignWriterError):
        run_beside_another(station)
    assert station.controller.status is None
    assert station.controller.written == []
    assert station.now_ns - began_ns <= 200 * MILLISECOND


def run_beside_another(station: Station) -> None:
    for heartbeat in count():
        station.controller.echo = StatusEcho(boot_id=12, heartbeat=heartbeat, last_seq=4000)
        station.run_ms(100)


def test_a_controller_whose_writer_is_dead_is_taken_over_within_400_ms() -> None:
    station = Station()
    station.controller.echo = StatusEcho(boot_id=12, heartbeat=7, last_seq=4000)
    station.run_ms(290)
    assert station.controller.status is None
    assert station.status().state == "connecting"
    assert "another BootId" in station.status().error
    assert not station.status().is_ready
    station.run_ms(110)
    assert tag_of(station, "boot_id") == 77
    assert station.status().state == "run"


def test_a_controller_that_nobody_wrote_to_is_not_watched_first() -> None:
    station = Station()
    station.run_ms(20)
    assert tag_of(station, "boot_id") == 77


def test_a_part_that_came_while_the_dead_writers_tag_was_watched_is_passed() -> None:
    station = Station()
    station.controller.echo = StatusEcho(boot_id=12, heartbeat=7, last_seq=4000)
    station.run_ms(250)
    station.judge_part(station.trigger(101))
    station.run_ms(100)
    assert (101, PASS) in [(r.trigger_id, r.decision) for r in station.controller.written]


def test_a_writer_that_was_replaced_while_it_was_away_writes_nothing_more(
    station: Station,
) -> None:
    station.controller.failures["read"].append(LinkDeadError("gone"))
    station.run_ms(10)
    written = station.controller.status
    station.controller.echo = StatusEcho(boot_id=12345, heartbeat=5, last_seq=900)
    with pytest.raises(ForeignWriterError):
        station.run_ms(500)
    assert station.controller.status is written


def test_a_status_tag_that_a_download_cleared_is_written_at_once_after_a_reconnect(
    station: Station,
) -> None:
    station.controller.failures["read"].append(LinkDeadError("download"))
    station.run_ms(10)
    station.controller.echo = StatusEcho(boot_id=0, heartbeat=0, last_seq=0)
    station.run_ms(150)
    assert station.controller.opens == 2
    assert station.controller.echo.boot_id == 77


def test_a_foreign_writer_ends_this_one_without_another_write(station: Station) -> None:
    station.controller.echo = StatusEcho(boot_id=78, heartbeat=1, last_seq=0)
    written = station.controller.status
    with pytest.raises(ForeignWriterError):
        station.writer.run()
    assert station.controller.status is written
    assert station.controller.closes[-1] is True
    assert station.status().state == "fault"


def test_a_status_tag_that_the_plc_cleared_is_no_foreign_writer(station: Station) -> None:
    station.controller.echo = StatusEcho(boot_id=0, heartbeat=0, last_seq=0)
    station.run_ms(200)
    assert tag_of(station, "boot_id") == 77
