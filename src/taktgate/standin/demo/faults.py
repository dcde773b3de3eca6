"""Breaks what the run was asked to break, when it was asked to."""

import asyncio
import signal
import time
from contextlib import suppress

import psutil

from taktgate.standin.demo.options import EDGEHUB, PlannedFault
from taktgate.standin.demo.processes import processes_named
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import Fault


async def break_as_planned(station: LocalStation, fault: PlannedFault) -> None:
    """Wait for the moment of *fault*, break its target, and mend it again when that is planned."""
    await asyncio.sleep(fault.at_s)
    station.tally.faults.append(
        Fault(
            name=f"{fault.action} {fault.target}",
            at_ns=time.monotonic_ns(),
            injected=True,
            duration_s=fault.duration_s,
        )
    )
    if fault.target == EDGEHUB:
        await _stop_edgehub(station, fault.duration_s)
    elif fault.action == "kill":
        _signal(station, fault.target, signal.SIGKILL)
    else:
        _signal(station, fault.target, signal.SIGSTOP)
        await asyncio.sleep(fault.duration_s)
        _signal(station, fault.target, signal.SIGCONT)


async def _stop_edgehub(station: LocalStation, duration_s: float) -> None:
    await station.device.edgehub.stop()
    await asyncio.sleep(duration_s)
    await station.device.edgehub.start()


def _signal(station: LocalStation, target: str, number: signal.Signals) -> None:
    for process in processes_named(station.name, target):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
