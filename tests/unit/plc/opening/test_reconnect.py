"""A session is opened again at once if it had lived, soon if it died, later if refused."""

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.opening.reconnect import Backoff

DOUBLING = [100, 200, 400, 800, 1600, 2000, 2000]


def test_the_delays_of_refused_sessions_double_up_to_two_seconds() -> None:
    backoff = Backoff(lambda: 0.5)
    assert [backoff.refused(0) / MILLISECOND for _ in DOUBLING] == DOUBLING


def test_the_delays_of_sessions_that_die_young_never_exceed_200_ms() -> None:
    backoff = Backoff(lambda: 0.5)
    found = []
    for _ in range(50):
        backoff.opened(0)
        found += [backoff.lost(SECOND) - SECOND, backoff.died(0)]
    assert found == [100 * MILLISECOND] + 99 * [200 * MILLISECOND]


def test_sessions_that_died_do_not_lengthen_the_delay_of_a_refusal() -> None:
    backoff = Backoff(lambda: 0.5)
    backoff.opened(0)
    backoff.lost(SECOND)
    backoff.died(SECOND)
    assert backoff.refused(0) == 100 * MILLISECOND


def test_delays_are_spread_by_a_quarter() -> None:
    assert Backoff(lambda: 0.0).refused(0) == 75 * MILLISECOND
    assert Backoff(lambda: 1.0).refused(0) == 125 * MILLISECOND


def test_a_session_that_lived_is_opened_again_at_once() -> None:
    backoff = Backoff(lambda: 0.5)
    backoff.opened(0)
    assert backoff.lost(2 * SECOND) == 2 * SECOND


def test_a_session_that_lived_starts_the_delays_over() -> None:
    backoff = Backoff(lambda: 0.5)
    for _ in range(5):
        backoff.refused(0)
    backoff.opened(0)
    backoff.lost(2 * SECOND)
    assert backoff.refused(3 * SECOND) == 3 * SECOND + 100 * MILLISECOND


def test_an_open_alone_does_not_start_them_over() -> None:
    backoff = Backoff(lambda: 0.5)
    backoff.refused(0)
    backoff.opened(0)
    backoff.lost(SECOND)
    assert backoff.refused(SECOND) == SECOND + 200 * MILLISECOND
