"""What the PLC writer says of itself in its metrics, for when it cannot write it into a tag."""

import asyncio
import re
import time
from typing import Final

import aiohttp

from taktgate.standin.demo.station import LocalStation

_PERIOD_S: Final = 0.1
_TIMEOUT: Final = aiohttp.ClientTimeout(total=1.0)
_NAMES: Final = ("connected", "ready", "reconnects_total")
_SAMPLE: Final = re.compile(
    rf"^taktgate_plc_(?P<name>{'|'.join(_NAMES)})(\{{[^}}]*\}})? (?P<value>\S+)$",
    re.MULTILINE,
)


async def watch_writer(station: LocalStation) -> None:
    """Note the writer's state ten times a second, until cancelled."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        while True:
            await asyncio.sleep(_PERIOD_S)
            try:
                async with session.get(station.writer_metrics) as reply:
                    values = _values(await reply.text())
            except (aiohttp.ClientError, TimeoutError):
                continue
            if len(values) == len(_NAMES):
                station.journal.take_metrics(
                    time.monotonic_ns(),
                    is_ready=bool(values["connected"] and values["ready"]),
                    sessions=values["reconnects_total"],
                )


def _values(page: str) -> dict[str, float]:
    return {match["name"]: float(match["value"]) for match in _SAMPLE.finditer(page)}
