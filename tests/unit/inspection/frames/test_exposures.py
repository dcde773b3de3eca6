"""When a drawn or stored image is exposed: in step, or on command."""

import pytest

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.frames.grabber.exposures import MAX_WAITING, InStep, OnCommand


class Time:
    def __init__(self) -> None:
        self.now_ns = 5 * SECOND

    def __call__(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def steps(time: Time) -> InStep:
    return InStep(100 * MILLISECOND, clock=time, sleep=time.sleep)


def test_exposures_come_in_step_whatever_time_is_spent_between_them(
    time: Time, steps: InStep
) -> None:
    start_ns = time.now_ns
    times = []
    for spent_ms in (0, 30, 99, 1):
        exposure = steps.next(1.0)
        assert exposure is not None
        times.append((exposure.frame_id, exposure.at_ns - start_ns))
        time.now_ns += spent_ms * MILLISECOND
    assert times == [(n + 1, n * 100 * MILLISECOND) for n in range(4)]


def test_who_asks_too_late_has_missed_exposures_and_their_numbers(
    time: Time, steps: InStep
) -> None:
    first = steps.next(1.0)
    time.now_ns += 350 * MILLISECOND
    late = steps.next(1.0)
    assert first is not None
    assert late is not None
    assert late.frame_id - first.frame_id == 3
    assert late.at_ns - first.at_ns == 300 * MILLISECOND
    assert steps.missed == 2


def test_no_exposure_before_it_is_due(time: Time, steps: InStep) -> None:
    steps.next(1.0)
    assert steps.next(0.03) is None
    assert steps.next(0.03) is None
    assert steps.next(0.05) is not None


def test_a_break_is_no_time_of_exposing(time: Time, steps: InStep) -> None:
    steps.next(1.0)
    time.now_ns += 60 * SECOND
    steps.restart()
    exposure = steps.next(1.0)
    assert exposure is not None
    assert (exposure.frame_id, exposure.at_ns) == (2, time.now_ns)


def test_a_command_exposes_at_once_and_its_frame_says_the_part(time: Time) -> None:
    commands = OnCommand(clock=time)
    at_ns = time.now_ns
    commands.trigger(4711)
    time.now_ns += SECOND
    exposure = commands.next(0.0)
    assert exposure is not None
    assert (exposure.frame_id, exposure.at_ns, exposure.trigger_id) == (1, at_ns, 4711)


def test_no_command_no_exposure() -> None:
    assert OnCommand().next(0.001) is None


def test_commands_that_nobody_takes_are_missed_and_counted() -> None:
    commands = OnCommand()
    for part in range(MAX_WAITING + 3):
        commands.trigger(part)
    assert commands.missed == 3


def test_commands_for_parts_that_are_long_past_are_forgotten() -> None:
    commands = OnCommand()
    commands.trigger(1)
    commands.restart()
    assert commands.next(0.001) is None
