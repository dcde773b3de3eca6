"""Parts that come until a run has seen what it wants to see, and how such a run waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.standin.demo.line_run import watch_processes
from taktgate.standin.demo.readiness import (
    READY_WITHIN_S,
    StationNotReadyError,
    lasting_complaints,
    reported_section,
    until_first_part,
)
from taktgate.standin.demo.screen import Screen
from taktgate.standin.demo.station import LocalStation

_LOOK_S: Final = 0.05
_SECTIONS: Final = ((MODEL_STAGER, "stager"), (INFERENCE, "inspection"))
_MOST_SAID: Final = 600
"""Characters of what a station says in an error message."""


class Belt:
    """One station, and parts that come to it at *rate* (parts a second).

    Nothing may take longer than *limit_s*. At each look of a wait *screen* is made fresh and
    *meanwhile* is called.
    """

    def __init__(
        self,
        station: LocalStation,
        screen: Screen,
        *,
        rate: float,
        limit_s: float,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        self._station = station
        self._screen = screen
        self._rate = rate
        self._limit_s = limit_s
        self._meanwhile = meanwhile

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Let parts come inside the context, from the first one on; wait for the last one.

        Raises:
            StationNotReadyError: The station judges no part, or the last one did not come.
            StationBrokenError: Camera or PLC have ended.
        """
        station = self._station
        await station.plc.run(None, self._rate, wait_ready_s=2 * READY_WITHIN_S)
        self._screen.note("waiting for the station: modules start, the model is staged and proven")
        await until_first_part(station)
        watching = asyncio.create_task(watch_processes(station), name="process watch")
        try:
            yield
            await station.plc.end_parts()
            await self.until("the last part", station.finished.is_set)
        finally:
            watching.cancel()

    async def more_parts(self, count: int) -> None:
        """Wait until *count* more parts are through; raises as `until`."""
        parts = self._station.tally.parts
        enough = len(parts) + count
        await self.until(f"{count} parts", lambda: len(parts) >= enough)

    async def until(
        self, what: str, is_so: Callable[[], bool], *, period_s: float = _LOOK_S
    ) -> None:
        """Wait for *what*, that is until *is_so*, looking each *period_s*.

        Raises:
            StationNotReadyError: It took too long; the message holds what the station says.
            StationBrokenError: Camera or PLC have ended.
        """
        end_s = time.monotonic() + self._limit_s
        while not is_so():
            self._station.check()
            self._screen.refresh()
            self._meanwhile()
            if time.monotonic() > end_s:
                said = _said(self._station)
                raise StationNotReadyError(f"waited {self._limit_s:.0f} s for {what}; {said}")
            await asyncio.sleep(period_s)


def _said(station: LocalStation) -> str:
    phases = [
        f"{module} is {reported_section(station, module, name).get('phase')}"
        for module, name in _SECTIONS
    ]
    return "; ".join([*phases, *lasting_complaints(station)])[:_MOST_SAID]
