"""What the writer times: into the right bucket, of the right thing, and small enough to be sent."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.plc.writer.bench import Station

from taktgate.contracts.codec import encode
from taktgate.edge.clock import MILLISECOND
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.handshake.admission import MAX_MESSAGE_BYTES
from taktgate.plc.writer.timing import BOUNDS_US, Histogram, Spread, Timings


def spread(*durations_ns: int) -> Spread:
    histogram = Histogram()
    for duration_ns in durations_ns:
        histogram.add(duration_ns)
    return histogram.spread()


def test_a_duration_of_exactly_a_bound_is_not_longer_than_it() -> None:
    assert spread(10 * MILLISECOND).longer_than(10_000) == 0
    assert spread(10 * MILLISECOND + 1).longer_than(10_000) == 1


def test_what_no_bucket_can_tell_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        spread().longer_than(9_000)


@given(st.lists(st.integers(min_value=-1000, max_value=10**12)))
def test_each_duration_is_in_one_bucket_and_in_the_sum(durations_ns: list[int]) -> None:
    counted = spread(*durations_ns)
    assert counted.total == len(durations_ns)
    assert counted.sum_us == sum(max(each, 0) for each in durations_ns) // 1000
    for bound_us in BOUNDS_US:
        longer = sum(each > 1000 * bound_us for each in durations_ns)
        assert counted.longer_than(bound_us) == longer


def timings(station: Station) -> Timings:
    """Return what the writer has counted after one more second."""
    station.run_ms(1000)
    return timed(station)


def timed(station: Station) -> Timings:
    return station.writer.status(station.now_ns).timings


def test_a_tick_that_begins_late_is_late_by_as_much(station: Station) -> None:
    before = timings(station).lateness
    station.now_ns += 35 * MILLISECOND
    after = timings(station).lateness
    assert after.longer_than(20_000) - before.longer_than(20_000) == 1
    assert after.longer_than(50_000) == before.longer_than(50_000)


def test_a_cycle_ends_with_its_last_reply(station: Station) -> None:
    before = timings(station)
    station.controller.write_takes_ns = 4 * MILLISECOND
    after = timings(station)
    slow = after.cycle.longer_than(3_000) - before.cycle.longer_than(3_000)
    assert slow == after.write.total - before.write.total
    assert after.lateness.longer_than(100) == before.lateness.longer_than(100)


def test_each_session_was_opened_once_and_timed(station: Station) -> None:
    before = timed(station).open.total
    station.controller.failures["read"].append(LinkDeadError("cut"))
    station.run_ms(3000)
    assert timed(station).open.total == before + 1


def test_reads_and_writes_are_timed_apart(station: Station) -> None:
    before = timings(station)
    station.controller.write_takes_ns = 4 * MILLISECOND
    after = timings(station)
    assert after.write.longer_than(3_000) - before.write.longer_than(3_000) in (9, 10, 11)
    assert after.read.longer_than(100) == 0
    assert after.read.total - before.read.total in (99, 100, 101)


def test_an_exchange_that_fails_is_no_duration_and_its_cycle_counts(station: Station) -> None:
    before = timings(station)
    station.controller.failures["read"].append(LinkDeadError("cut"))
    station.run_ms(10)
    after = timed(station)
    assert after.read.total == before.read.total
    assert after.cycle.total == before.cycle.total + 1


def test_a_tick_without_a_session_is_no_cycle(station: Station) -> None:
    station.controller.failures["read"].append(LinkDeadError("cut"))
    station.run_ms(10)
    before = timed(station)
    station.run_ms(50)
    after = timed(station)
    assert after.cycle.total == before.cycle.total
    assert after.lateness.total > before.lateness.total


def test_a_verdict_is_timed_from_its_arrival_to_its_acknowledge(station: Station) -> None:
    line = station.trigger(101)
    station.controller.write_takes_ns = 7 * MILLISECOND
    station.judge_part(line)
    station.writer.turn()
    verdict = timed(station).verdict
    assert (verdict.total, verdict.longer_than(5_000), verdict.longer_than(10_000)) == (1, 1, 0)


def test_a_verdict_whose_write_fails_is_not_timed(station: Station) -> None:
    line = station.trigger(101)
    station.controller.failures["write"].append(LinkDeadError("cut"))
    station.judge_part(line)
    station.writer.turn()
    assert timed(station).verdict.total == 0


def test_a_status_with_years_of_counts_is_within_what_a_message_may_be(station: Station) -> None:
    years = Spread(counts=(10**10,) * (len(BOUNDS_US) + 1), sum_us=10**16)
    full = Timings(open=years, lateness=years, cycle=years, read=years, write=years, verdict=years)
    status = replace(station.status(), timings=full)
    assert len(encode(status)) < MAX_MESSAGE_BYTES // 2
