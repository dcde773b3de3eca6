"""Waiting for what nobody announces: the state of other threads, processes and connections."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

WITHIN_S = 30.0


def wait_until(condition: Callable[[], Any]) -> Any:
    """Block until *condition* is true; return what it said."""
    deadline_s = time.monotonic() + WITHIN_S
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "condition did not become true in time"
        time.sleep(0.01)
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait until *condition* is true; the loop goes on meanwhile."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no events of ours
            await asyncio.sleep(0.02)
