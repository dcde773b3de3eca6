"""`taktgate demo`: one station, a number of parts, and what became of them."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from dataclasses import asdict
from typing import Any, Final

import psutil
from rich.console import Console

from taktgate.standin.demo.deployments import APP_TAG
from taktgate.standin.demo.faults import break_as_planned
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.plc_faults import strike_as_planned
from taktgate.standin.demo.plc_report import objections as plc_objections
from taktgate.standin.demo.plc_report import reports
from taktgate.standin.demo.readiness import READY_WITHIN_S, until_first_part
from taktgate.standin.demo.remarks import remarks
from taktgate.standin.demo.samples import SOLAR_CELLS, WELD_SEAMS
from taktgate.standin.demo.screen import Screen, print_plc_faults, print_summary, print_turns
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.turns import Turn, strike_in_turn
from taktgate.standin.demo.world import local_world
from taktgate.standin.demo.writer_watch import watch_writer

STATION: Final = "station-1"
_LOOK_PERIOD_S: Final = 0.5
_PICTURE_PERIOD_S: Final = 0.1
_LAST_WORDS_S: Final = 4.0
"""How long to wait for the outcomes of the last parts to reach the cloud."""


async def run_line(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Run the parts of *options* past one station and return the figures of `--json`.

    Raises:
        WorldError, PortInUseError, SampleMissingError, StandinStartError: as `local_world`.
        StationNotReadyError, StationBrokenError: the station judges no part.
    """
    line = WELD_SEAMS if options.offline else SOLAR_CELLS
    async with local_world(
        options, line, versions=[line.first], stations={STATION: {"app": APP_TAG}}
    ) as world:
        station = world.stations[STATION]
        turns: list[Turn] = []
        with Screen(console, {STATION: station.tally}, expected=options.parts) as screen:
            first_part_s = await _produce(station, options, screen, turns)
        limits = remarks([station])
    tally = station.tally
    found = reports(station.struck, station.journal, tally.parts)
    objections = [
        *tally.objections(expected_parts=len(tally.parts) if options.in_turn else options.parts),
        *plc_objections(found),
    ]
    figures = {
        **tally.summary(),
        "plc_faults": [report.as_dict() for report in found],
        "turns": [asdict(turn) for turn in turns],
        "first_part_s": first_part_s,
        "deadline_ms": options.deadline_ms,
        "images": options.images or line.images,
        "remarks": limits,
        "objections": objections,
    }
    print_summary(console, STATION, figures)
    if found:
        print_plc_faults(console, found)
    print_turns(console, turns)
    return figures


async def _produce(
    station: LocalStation, options: DemoOptions, screen: Screen, turns: list[Turn]
) -> float:
    """Run the parts; return the seconds from the start of this process to the first exposure.

    *turns* takes what became of faults that strike in turn.
    """
    parts = None if options.in_turn else options.parts
    await station.plc.run(parts, options.rate, wait_ready_s=2 * READY_WITHIN_S)
    screen.note("waiting for the station: modules start, the model is staged and proven")
    await until_first_part(station)
    first_part_s = round(time.time() - psutil.Process().create_time(), 2)
    screen.note(f"first part after {first_part_s} s")
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch_processes(station), name="process watch")
        breaking = [
            group.create_task(deed, name="fault") for deed in _deeds(station, options, turns)
        ]
        while not station.finished.is_set():
            await asyncio.sleep(_PICTURE_PERIOD_S)
            await _show(station, screen)
        for task in breaking:
            task.cancel()
        await _wait_for_last_outcomes(station)
        watching.cancel()
    station.check()
    return first_part_s


def _deeds(
    station: LocalStation, options: DemoOptions, turns: list[Turn]
) -> Iterator[Coroutine[Any, Any, None]]:
    """Yield what is done to *station* while its parts come."""
    if options.in_turn:
        yield strike_in_turn(station, options.faults_in_order, turns)
    else:
        yield from (break_as_planned(station, fault) for fault in options.faults)
        yield from (strike_as_planned(station, fault) for fault in options.plc_faults)
    if options.plc_faults:
        yield watch_writer(station)


async def _show(station: LocalStation, screen: Screen) -> None:
    if station.struck:
        newest = station.struck[-1]
        screen.note(f"PLC fault {newest.name}{' is over' if newest.mended_ns else ''}")
    if screen.is_live:
        screen.show_belt(await station.plc.status())
    screen.refresh()


async def watch_processes(station: LocalStation) -> None:
    """Note module processes that end, until cancelled."""
    while True:
        station.look_for_faults()
        await asyncio.sleep(_LOOK_PERIOD_S)


async def _wait_for_last_outcomes(station: LocalStation) -> None:
    parts = {part.trigger_id for part in station.tally.parts}
    for _ in range(int(_LAST_WORDS_S / 0.1)):
        if parts <= station.tally.lanes.keys():
            return
        await asyncio.sleep(0.1)
