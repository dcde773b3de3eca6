"""When scans begin."""

from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.line.pace import ScanPace

MS = 1_000_000


def starts(pace: ScanPace, took_ns: list[int]) -> list[int]:
    now_ns, begun = 0, []
    for took in took_ns:
        begun.append(now_ns)
        pace.begin(now_ns)
        now_ns = max(pace.end(now_ns + took), now_ns + took)
    return begun


def test_scans_keep_to_the_grid_whatever_they_take() -> None:
    assert starts(ScanPace(period_ms=5), [MS, 4 * MS, 0, MS]) == [0, 5 * MS, 10 * MS, 15 * MS]


def test_a_scan_that_takes_too_long_costs_the_missed_ones_and_is_counted() -> None:
    pace = ScanPace(period_ms=5)
    assert starts(pace, [MS, 12 * MS, MS, MS]) == [0, 5 * MS, 17 * MS, 22 * MS]
    assert (pace.scans, pace.overruns, pace.as_dict()["longest_ms"]) == (4, 1, 12.0)


@given(seed=st.integers(0, 2**32))
def test_jitter_delays_a_scan_within_its_range_and_a_seed_repeats_it(seed: int) -> None:
    runs = [starts(ScanPace(period_ms=5, jitter_ms=3, seed=seed), [0] * 20) for _ in range(2)]

    assert runs[0] == runs[1]
    assert all(0 <= at - index * 5 * MS <= 3 * MS for index, at in enumerate(runs[0]))
