"""When a stream's image was exposed: never said to be later than it was."""

from hypothesis import given
from hypothesis import strategies as st

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.frames.grabber.stream_time import StreamTime

LATENCY_NS = 200 * MILLISECOND
latencies = st.lists(st.integers(1, LATENCY_NS), min_size=1, max_size=60)


@given(latencies, st.integers(-(1 << 50), 1 << 50), st.integers(1, 2 * SECOND))
def test_exposure_is_never_said_to_be_later_than_it_was(
    latencies: list[int], shift_ns: int, period_ns: int
) -> None:
    time = StreamTime(latency_ns=LATENCY_NS)
    exposed_ns = 1000 * SECOND
    for latency_ns in latencies:
        exposed_ns += period_ns
        said_ns = time.exposure_ns(exposed_ns + shift_ns, exposed_ns + latency_ns)
        assert exposed_ns - LATENCY_NS <= said_ns <= exposed_ns


@given(st.lists(st.integers(1, 20 * LATENCY_NS), max_size=20))
def test_one_image_that_came_in_time_keeps_those_that_are_held_up_from_looking_younger(
    latencies: list[int],
) -> None:
    time = StreamTime(latency_ns=LATENCY_NS)
    quickest_ns = LATENCY_NS + 1
    for index, latency_ns in enumerate(latencies):
        exposed_ns = (1000 + index) * SECOND
        quickest_ns = min(quickest_ns, latency_ns)
        said_ns = time.exposure_ns(exposed_ns, exposed_ns + latency_ns)
        assert said_ns <= exposed_ns or quickest_ns > LATENCY_NS


def test_an_image_that_was_held_up_keeps_its_time() -> None:
    time = StreamTime(latency_ns=LATENCY_NS)
    first_ns = time.exposure_ns(0, 10 * SECOND)
    held_up_ns = time.exposure_ns(1 * SECOND, 14 * SECOND)
    assert held_up_ns - first_ns == 1 * SECOND


def test_the_drift_of_a_slow_clock_is_forgotten_after_a_minute() -> None:
    time = StreamTime(latency_ns=0)
    said_ns = arrived_ns = 0
    for second in range(600):
        arrived_ns = second * SECOND
        said_ns = time.exposure_ns(round(arrived_ns * 0.9999), arrived_ns)
    assert arrived_ns - said_ns <= 61 * SECOND * 0.0001


def test_a_stream_that_begins_anew_has_a_time_of_its_own() -> None:
    time = StreamTime(latency_ns=0)
    time.exposure_ns(500 * SECOND, 500 * SECOND)
    time.restart()
    assert time.exposure_ns(0, 600 * SECOND) == 600 * SECOND
