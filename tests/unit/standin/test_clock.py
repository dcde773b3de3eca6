import asyncio
from datetime import timedelta

import pytest

from taktgate.standin.azure.clock import ManualClock, WorldClock


def test_manual_clock_makes_each_call_at_its_time_and_in_order() -> None:
    clock = ManualClock()
    made: list[tuple[str, float]] = []
    clock.call_later(5, lambda: made.append(("late", clock.now())))
    clock.call_later(2, lambda: clock.call_later(1, lambda: made.append(("nested", clock.now()))))
    clock.call_later(3.5, lambda: made.append(("cancelled", clock.now()))).cancel()
    clock.advance(10)
    assert made == [("nested", 3.0), ("late", 5.0)]
    assert clock.now() == 10


def test_manual_clock_dates_a_day_later_after_a_day() -> None:
    clock = ManualClock()
    before = clock.utc()
    clock.advance(86_400)
    assert clock.utc() - before == timedelta(days=1)


def test_manual_clock_wakes_a_sleeper() -> None:
    clock = ManualClock()

    async def run() -> bool:
        task = asyncio.create_task(clock.sleep(60))
        await asyncio.sleep(0)
        clock.advance(59)
        await asyncio.sleep(0)
        is_early = task.done()
        clock.advance(1)
        await task
        return is_early

    assert not asyncio.run(run())


def test_world_clock_lets_an_hour_pass_in_an_instant() -> None:
    clock = WorldClock(speed=1_000_000)

    async def run() -> None:
        async with asyncio.timeout(5):
            await clock.sleep(3600)

    before_s = clock.now()
    asyncio.run(run())
    assert clock.now() - before_s >= 3600


def test_world_clock_refuses_to_stand_still() -> None:
    with pytest.raises(ValueError, match="speed must be above 0"):
        WorldClock(speed=0)
