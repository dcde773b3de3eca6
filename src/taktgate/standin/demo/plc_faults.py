"""Does to the PLC and its link what `--plc-fault` asks for, and mends it again."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psutil

from taktgate.standin.control.commands import ControlError
from taktgate.standin.demo.options import PlannedPlcFault
from taktgate.standin.demo.plc_report import Struck
from taktgate.standin.demo.processes import station_processes
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import Fault
from taktgate.standin.line.process import LineProcess

_SLOW_MS: Final = 400.0
"""Longer than the reply timeout of config/station.yaml."""
_RETYPED: Final = ("VIS01_Result", "AgeMs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """How a fault is done, told how many seconds it lasts, and undone if it has to be."""

    strike: Callable[[LocalStation, float], Awaitable[None]]
    mend: Callable[[LocalStation], Awaitable[None]] | None = None


async def strike_as_planned(station: LocalStation, planned: PlannedPlcFault) -> None:
    """Wait for the moment of *planned*, do it, and undo it when its time is over."""
    await asyncio.sleep(planned.at_s)
    await strike_now(station, planned)


async def strike_now(station: LocalStation, planned: PlannedPlcFault) -> None:
    """Do *planned*, and undo it when its time is over."""
    action = ACTIONS[planned.name]
    struck = Struck(name=planned.name, at_ns=time.monotonic_ns(), mended_ns=None)
    station.struck.append(struck)
    station.tally.faults.append(
        Fault(
            name=f"plc {planned.name}",
            at_ns=struck.at_ns,
            injected=True,
            duration_s=planned.duration_s,
        )
    )
    try:
        await _do_and_undo(station, action, planned.duration_s)
    except (ControlError, ConnectionError, TimeoutError) as error:
        station.tally.mishaps.append(f"plc fault {planned.name}: {error or type(error).__name__}")
    struck.mended_ns = time.monotonic_ns()


async def _do_and_undo(station: LocalStation, action: Action, lasts_s: float) -> None:
    await action.strike(station, lasts_s)
    try:
        await asyncio.sleep(lasts_s)
    finally:
        if action.mend is not None:
            await action.mend(station)


def _fault(**fields: float | bool) -> Action:
    """Return a fault of the communication."""

    async def strike(station: LocalStation, _lasts_s: float) -> None:
        await station.plc.command("fault", **fields)

    return Action(strike=strike, mend=_mend_communication)


async def _mend_communication(station: LocalStation) -> None:
    await station.plc.fault(clear=True)


def _once(deed: Callable[[LineProcess, float], Awaitable[None]]) -> Action:
    """Return a fault that the PLC ends by itself."""

    async def strike(station: LocalStation, lasts_s: float) -> None:
        await deed(station.plc, lasts_s)

    return Action(strike=strike)


def _between(
    begin: Callable[[LineProcess], Awaitable[None]], end: Callable[[LineProcess], Awaitable[None]]
) -> Action:
    """Return a fault that has to be ended."""

    async def strike(station: LocalStation, _lasts_s: float) -> None:
        await begin(station.plc)

    async def mend(station: LocalStation) -> None:
        await end(station.plc)

    return Action(strike=strike, mend=mend)


async def _refuse(station: LocalStation, _lasts_s: float) -> None:
    await station.plc.fault(refuse=True)
    await station.plc.reset()


async def _stop_host(station: LocalStation, _lasts_s: float) -> None:
    _signal_host(station, signal.SIGSTOP)


async def _wake_host(station: LocalStation) -> None:
    _signal_host(station, signal.SIGCONT)


def _signal_host(station: LocalStation, number: signal.Signals) -> None:
    for pid in station_processes(station.name):
        with suppress(psutil.Error):
            psutil.Process(pid).send_signal(number)


ACTIONS: Final[Mapping[str, Action]] = {
    "program-mode": _between(
        lambda plc: plc.set_mode("remote_program"), lambda plc: plc.set_mode("remote_run")
    ),
    "power-cycle": _once(lambda plc, lasts_s: plc.power_cycle(lasts_s * 1000)),
    "download": _once(lambda plc, lasts_s: plc.download(off_ms=lasts_s * 1000, keep_values=False)),
    "download-changed": _between(
        lambda plc: plc.download("retype", tag=_RETYPED[0], member=_RETYPED[1]),
        lambda plc: plc.download("restore"),
    ),
    "cable-pull": _fault(blackhole=True),
    "silence": _fault(freeze=True),
    "reset": _once(lambda plc, _: plc.reset()),
    "refuse": Action(strike=_refuse, mend=_mend_communication),
    "forget-connections": _once(lambda plc, _: plc.forget()),
    "slow": _fault(delay_ms=_SLOW_MS),
    "drip": _fault(drip_ms=20.0),
    "cut-reply": _fault(cut_after_bytes=30),
    "duplicate": _fault(duplicate=True),
    "reorder": _fault(reorder=True),
    "drop": _fault(drop_every=20),
    "torn-writes": _fault(torn_ms=20.0),
    "freeze-logic": _between(
        lambda plc: plc.freeze_logic(True), lambda plc: plc.freeze_logic(False)
    ),
    "host-stop": Action(strike=_stop_host, mend=_wake_host),
}
