"""What the judge says of its turns."""

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.judge.turn_watch import TurnWatch


def after(*turns_ms: tuple[int, int]) -> dict[str, int]:
    """Return what is said after turns, each of them at a time and of a length in milliseconds."""
    watch = TurnWatch()
    for at_ms, length_ms in turns_ms:
        end_ns = 1000 * SECOND + at_ms * MILLISECOND
        watch.took(end_ns - length_ms * MILLISECOND, end_ns)
    return watch.counters()


def test_the_longest_turn_is_said_for_a_second_at_least() -> None:
    assert after((0, 1), (900, 70), (1100, 2), (1890, 3))["longest_turn_us"] == 70_000


def test_the_longest_turn_is_forgotten_after_two_seconds() -> None:
    assert after((0, 70), (1000, 1), (2000, 2))["longest_turn_us"] == 2_000
    assert after((0, 70), (9000, 1))["longest_turn_us"] == 1_000


def test_long_turns_are_counted_for_ever() -> None:
    assert after((0, 70), (5000, 1), (9000, 6), (9010, 5))["long_turns"] == 2
