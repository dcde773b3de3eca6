"""The controller is tried again soon at first, and never in a hurry for long."""

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.opening.reconnect import Backoff


def delays(backoff: Backoff, times: int) -> list[float]:
    return [backoff.failed(0) / MILLISECOND for _ in range(times)]


def test_a_controller_that_is_back_is_found_within_400_ms_however_long_it_was_away() -> None:
    assert delays(Backoff(lambda: 0.5), 5) == [100, 200, 300, 300, 300]
    assert max(delays(Backoff(lambda: 1.0), 50)) < 400


def test_the_delays_of_sessions_that_die_at_once_double_up_to_two_seconds() -> None:
    backoff = Backoff(lambda: 0.5)
    found = []
    for _ in range(7):
        backoff.opened(0)
        found.append(backoff.failed(0) / MILLISECOND)
    assert found == [100, 200, 400, 800, 1600, 2000, 2000]


def test_delays_are_spread_by_a_quarter() -> None:
    assert delays(Backoff(lambda: 0.0), 1) == [75]


def test_a_session_that_lived_starts_them_over() -> None:
    backoff = Backoff(lambda: 0.5)
    delays(backoff, 5)
    backoff.opened(0)
    assert backoff.failed(2 * SECOND) == 2 * SECOND + 100 * MILLISECOND


def test_a_session_that_died_at_once_does_not() -> None:
    backoff = Backoff(lambda: 0.5)
    delays(backoff, 5)
    backoff.opened(0)
    assert backoff.failed(SECOND) == SECOND + 300 * MILLISECOND
    backoff.opened(2 * SECOND)
    assert backoff.failed(3 * SECOND) == 3 * SECOND + 600 * MILLISECOND
