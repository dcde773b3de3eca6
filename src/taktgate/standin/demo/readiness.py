"""Waits for the first part, and says why when there will be none."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER, PLC_WRITER
from taktgate.edge.metrics import METRICS_PORT
from taktgate.inspection.agent.faults import SURFACE_PORT
from taktgate.standin.demo.station import LocalStation

READY_WITHIN_S: Final = 60.0
_STANDS_S: Final = 3.0
"""How long something has to be wrong before it counts: modules start side by side."""
_PASSING: Final = frozenset({"NOT_READY", "WAITING", "UNREACHABLE", "TIMEOUT", "TRIAL_RUNNING"})
"""Reasons that go by themselves, mostly."""
_HARMLESS: Final = frozenset({METRICS_PORT, SURFACE_PORT, "SETTINGS", "ACTIVATION_FILE"})
"""Reasons that stay and keep no station from judging."""
_POLL_S: Final = 0.1


class StationNotReadyError(RuntimeError):
    """A station judges no part; the message says which module says what."""


async def until_first_part(station: LocalStation, *, limit_s: float = READY_WITHIN_S) -> None:
    """Wait until *station* has shown its first part to the camera.

    Raises:
        StationNotReadyError: it is not going to, or has not within *limit_s*.
        StationBrokenError: its camera or PLC has ended.
    """
    clock = asyncio.get_running_loop().time
    began_s = clock()
    since_s: dict[str, float] = {}
    while not station.tally.truth:
        station.check()
        now_s = clock()
        since_s = {text: since_s.get(text, now_s) for text in hindrances(station)}
        standing = [text for text, first_s in since_s.items() if now_s - first_s >= _STANDS_S]
        if not standing and now_s - began_s >= limit_s:
            standing = list(_complaints(station, frozenset())) or ["no module says why"]
        if standing:
            raise StationNotReadyError(f"{station.name} is not ready: {'; '.join(standing)}")
        await asyncio.sleep(_POLL_S)


def hindrances(station: LocalStation) -> Iterator[str]:
    """Yield what keeps *station* from judging, as its modules report it."""
    return _complaints(station, _PASSING | _HARMLESS)


def lasting_complaints(station: LocalStation) -> Iterator[str]:
    """Yield what the modules of *station* report to be wrong, and what does not go by itself."""
    return _complaints(station, _PASSING)


def _complaints(station: LocalStation, ignored: frozenset[str]) -> Iterator[str]:
    yield from station.failed_modules()
    for module, section in ((INFERENCE, "inspection"), (MODEL_STAGER, "stager")):
        error = reported_section(station, module, section).get("lastError")
        if error is not None and error["reason"] not in ignored:
            yield f"{module}: {error['reason']}: {error['message']}"
    writer = reported_section(station, PLC_WRITER, "plc")
    # In state `run` the error is the agent's own; in the states between it is about to pass.
    telling = {"run": METRICS_PORT, "fault": "FAULT"}.get(writer.get("state", ""), "NOT_READY")
    if writer.get("error") and telling not in ignored:
        yield f"{PLC_WRITER}: {writer['error']}"


def reported_section(station: LocalStation, module: str, name: str) -> dict[str, Any]:
    """Return the section *name* of what *module* reports, as JSON; empty if there is none yet."""
    section: dict[str, Any] = station.device.module_twin(module)["reported"].get(name) or {}
    return section
