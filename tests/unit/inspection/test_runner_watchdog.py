"""The watchdog's thread against the real clock: limits of seconds, so that load changes nothing."""

import threading
import time
from collections.abc import Callable

from tests.waiting import WITHIN_S, wait_until

from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.inspection.runner.watchdog import Watchdog

FAR_NS = 3600 * SECOND


class Ends:
    """What the watchdog has ended."""

    def __init__(self) -> None:
        self.count = 0
        self.happened = threading.Event()

    def __call__(self) -> None:
        self.count += 1
        self.happened.set()


def started(ends: Ends, clock: Callable[[], int] = monotonic_ns) -> Watchdog:
    watchdog = Watchdog(ends, clock=clock)
    watchdog.start()
    return watchdog


def test_a_run_is_ended_when_its_time_is_up_and_not_before() -> None:
    ends = Ends()
    watchdog = started(ends)
    due_ns = monotonic_ns() + SECOND // 20
    watchdog.arm(due_ns)

    assert ends.happened.wait(WITHIN_S)
    assert monotonic_ns() >= due_ns
    assert watchdog.disarm()


def test_a_run_that_is_over_in_time_is_never_ended_and_neither_is_the_next_one() -> None:
    """The clock stands as long as runs are under way, so that none is over too late."""
    ends, now_ns = Ends(), [0]
    watchdog = started(ends, lambda: now_ns[0])
    for _ in range(50):
        watchdog.arm(SECOND // 10)
        assert not watchdog.disarm()
    now_ns[0] = SECOND
    time.sleep(0.12)  # the thread wakes from the sleep that the first of them began

    assert ends.count == 0


def test_an_earlier_time_than_the_one_it_sleeps_for_is_kept() -> None:
    ends = Ends()
    watchdog = started(ends)
    watchdog.arm(monotonic_ns() + FAR_NS)
    time.sleep(0.05)
    watchdog.disarm()
    watchdog.arm(monotonic_ns())

    assert ends.happened.wait(WITHIN_S)


def test_it_ends_run_after_run() -> None:
    ends = Ends()
    watchdog = started(ends)
    for number in range(1, 6):
        ends.happened.clear()
        watchdog.arm(monotonic_ns())
        assert ends.happened.wait(WITHIN_S)
        assert watchdog.disarm()
        assert ends.count == number


def test_no_run_is_ended_after_it_was_taken_back() -> None:
    """Ended late, it would hit the next part's run: so each end must lie before its `disarm`."""
    ends = Ends()
    watchdog = started(ends)
    told = 0
    for number in range(300):
        watchdog.arm(monotonic_ns() + number % 3 * 50_000)
        time.sleep(0.0001)
        told += watchdog.disarm()
        assert ends.count == told


def test_parts_that_follow_each_other_do_not_wake_the_thread() -> None:
    """It looks at the clock once for each time that it wakes."""
    looks = 0

    def clock() -> int:
        nonlocal looks
        looks += 1
        return monotonic_ns()

    watchdog = started(Ends(), clock)
    start_ns = monotonic_ns()
    watchdog.arm(start_ns + FAR_NS)
    wait_until(lambda: looks)
    for number in range(200):
        watchdog.disarm()
        watchdog.arm(start_ns + FAR_NS + number)
    time.sleep(0.05)

    assert looks == 1
