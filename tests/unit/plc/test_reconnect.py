"""The controller is tried again soon at first, and never in a hurry for long."""

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.reconnect import Backoff


def delays(backoff: Backoff, times: int) -> list[float]:
    return [backoff.failed(0) / MILLISECOND for _ in range(times)]


def test_delays_double_up_to_two_seconds() -> None:
    assert delays(Backoff(lambda: 0.5), 7) == [100, 200, 400, 800, 1600, 2000, 2000]


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
    assert backoff.failed(SECOND) == SECOND + 2000 * MILLISECOND
