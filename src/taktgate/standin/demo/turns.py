"""Faults in turn: each strikes when the line has come back from the one before.

How long a line takes to come back is the machine's affair, so a run that wants to see it come back
from each fault cannot say beforehand when the next one is due.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from taktgate.standin.demo.faults import break_now
from taktgate.standin.demo.options import PlannedFault, PlannedPlcFault
from taktgate.standin.demo.plc_faults import strike_now
from taktgate.standin.demo.processes import station_processes
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import Part

Planned = PlannedFault | PlannedPlcFault

_JUDGED_IN_A_ROW: Final = 4
"""So many parts judged, one after the other, are a line that is back."""
_BACK_WITHIN_S: Final = 60.0
_LOOK_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one fault cost, for `--json`."""

    name: str
    lost: int
    """Parts that no model judged, from the last one judged before the strike until it was back."""
    back_s: float | None
    """From the end of the fault to the first part that was judged for good; None: it was never."""


async def strike_in_turn(
    station: LocalStation, faults: Sequence[Planned], turns: list[Turn]
) -> None:
    """Let *faults* strike, each when its time has come and the line is back; then end the parts.

    *turns* takes what each of them cost. A fault from which the line does not come back is a mishap
    of the run.
    """
    began_s = time.monotonic()
    for planned in faults:
        await asyncio.sleep(began_s + planned.at_s - time.monotonic())
        turns.append(await _take_turn(station, planned))
    await station.plc.end_parts()


async def _take_turn(station: LocalStation, planned: Planned) -> Turn:
    tally = station.tally
    names = _running(station)
    first = len(tally.parts)
    noted = len(tally.faults)
    if isinstance(planned, PlannedFault):
        await break_now(station, planned)
    else:
        await strike_now(station, planned)
    over_ns = time.monotonic_ns()
    back = await _until_back(station, names, over_ns)
    if back is None:
        tally.mishaps.append(f"{planned.name}: the line was not back {_BACK_WITHIN_S:.0f} s later")
    # Until the line is back, a silent part is this fault's doing.
    fault = tally.faults[noted]
    lasted_s = (time.monotonic_ns() - fault.at_ns) / 1e9
    tally.faults[noted] = replace(fault, duration_s=lasted_s)
    until = tally.parts.index(back) if back else len(tally.parts)
    return Turn(
        name=planned.name,
        lost=sum(not part.is_judged for part in tally.parts[first:until]),
        back_s=round((back.trigger_ns - over_ns) / 1e9, 3) if back else None,
    )


async def _until_back(station: LocalStation, names: frozenset[str], over_ns: int) -> Part | None:
    """Return the first part that was judged for good since *over_ns*; None if there was none."""
    limit_s = time.monotonic() + _BACK_WITHIN_S
    while time.monotonic() < limit_s:
        gate = station.journal.gate[-1]
        row = judged_since(station.tally.parts, max(over_ns, gate.at_ns))
        is_well = gate.is_well and names <= _running(station)
        if is_well and len(row) >= _JUDGED_IN_A_ROW:
            return row[0]
        await asyncio.sleep(_LOOK_S)
    return None


def judged_since(parts: Sequence[Part], since_ns: int) -> Sequence[Part]:
    """Return the last of *parts* that a model judged without a gap, since *since_ns*."""
    count = 0
    for part in reversed(parts):
        if not part.is_judged or part.trigger_ns < since_ns:
            break
        count += 1
    return parts[len(parts) - count :]


def _running(station: LocalStation) -> frozenset[str]:
    """Return the names of the processes that run now, as in PROCESSES."""
    return frozenset(station_processes(station.name).values())
