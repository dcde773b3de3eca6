"""Breaks what the run was asked to break, when it was asked to."""

import asyncio
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

import psutil

from taktgate.standin.demo.options import EDGEHUB, PlannedFault
from taktgate.standin.demo.processes import processes_named
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import Fault


async def break_as_planned(station: LocalStation, fault: PlannedFault) -> None:
    """Wait for the moment of *fault*, break its target, and mend it again when that is planned."""
    await asyncio.sleep(fault.at_s)
    await break_now(station, fault)


async def break_now(station: LocalStation, fault: PlannedFault) -> None:
    """Break the target of *fault*, and mend it again when that is planned."""
    station.tally.faults.append(
        Fault(
            name=fault.name,
            at_ns=time.monotonic_ns(),
            injected=True,
            duration_s=fault.duration_s,
        )
    )
    if fault.target == EDGEHUB:
        await _stop_edgehub(station, fault.duration_s)
    else:
        await _break_processes(station, fault)


async def _break_processes(station: LocalStation, fault: PlannedFault) -> None:
    victims = list(processes_named(station.name, fault.target))
    if not victims:
        station.tally.mishaps.append(f"{fault.name}: no such process ran")
    elif fault.action == "kill":
        _signal(victims, signal.SIGKILL)
    else:
        _signal(victims, signal.SIGSTOP)
        try:
            await asyncio.sleep(fault.duration_s)
        finally:
            _signal(victims, signal.SIGCONT)


async def _stop_edgehub(station: LocalStation, duration_s: float) -> None:
    await station.device.edgehub.stop()
    await asyncio.sleep(duration_s)
    await station.device.edgehub.start()


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
