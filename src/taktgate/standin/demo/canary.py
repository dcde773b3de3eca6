"""`taktgate demo --canary`: a second model, ring by ring, over two stations.

The rollout is the real command in a process of its own, against the hub's REST interface; the demo
only provides the line, and judges the end from the stations' own reports.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from rich.console import Console

from taktgate.contracts.twins import InspectionReported
from taktgate.edge.settings import load_yaml
from taktgate.rollout.plan import Rings
from taktgate.standin.demo.deployments import APP_TAG
from taktgate.standin.demo.line_run import watch_processes
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.readiness import READY_WITHIN_S, StationNotReadyError, until_first_part
from taktgate.standin.demo.remarks import remarks
from taktgate.standin.demo.samples import REPOSITORY_ROOT, SOLAR_CELLS, WELD_SEAMS, SampleLine
from taktgate.standin.demo.screen import Screen, print_summary
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import combine
from taktgate.standin.demo.world import FIRST_ORDER, World, local_world

CANARY: Final = "station-canary"
BROAD: Final = "station-broad"
BASELINE_PARTS: Final = 40
"""Parts that each station judges with the first model before the rollout starts."""
NEW_ORDER: Final = "order-2"
ROLLED_OUT: Final = 0
WITHDRAWN: Final = 3
_ROLLOUT_LIMIT_S: Final = 400
_POLL_S: Final = 1
_SETTLE_S: Final = 15.0
_SHIPPED_RINGS: Final = REPOSITORY_ROOT / "config/rings.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the rollout ended, and what the stations then reported."""

    exit_code: int
    said: str
    layers: tuple[str, ...]
    """Layered deployments that were left at the hub."""
    reports: Mapping[str, InspectionReported]


async def run_canary(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Roll a second model out over two stations and return the figures of `--json`.

    Raises:
        WorldError, PortInUseError, SampleMissingError, StandinStartError: as `local_world`.
        SettingsError: config/rings.yaml breaks a rule.
        StationNotReadyError, StationBrokenError: a station judges no part.
    """
    load_yaml(_SHIPPED_RINGS, Rings)
    line = WELD_SEAMS if options.offline else SOLAR_CELLS
    version = line.overrejecting if options.bad_model else line.successor
    stations = {
        CANARY: {"app": APP_TAG, "ring": "canary"},
        BROAD: {"app": APP_TAG, "ring": "broad"},
    }
    async with local_world(
        options, line, versions=[line.first, version], stations=stations
    ) as world:
        tallies = {name: station.tally for name, station in world.stations.items()}
        with Screen(console, tallies, expected=0) as screen:
            ending = await _roll_out(world, options, screen, line, version)
        limits = remarks(world.stations.values())
    objections = _objections(ending, line, version, bad=options.bad_model)
    combined = combine(station.tally for station in world.stations.values())
    figures: dict[str, Any] = {**combined.summary(), "stations": {}}
    for name, station in world.stations.items():
        tally = station.tally
        objections += [
            f"{name}: {text}" for text in tally.objections(expected_parts=len(tally.parts))
        ]
        figures["stations"][name] = {**tally.summary(), **_parts_by_version(station)}
        print_summary(console, name, figures["stations"][name])
    figures["rollout"] = _told(ending, version)
    figures["remarks"] = limits
    figures["objections"] = objections
    _print_ending(console, ending, version)
    return figures


async def _roll_out(
    world: World, options: DemoOptions, screen: Screen, line: SampleLine, version: str
) -> Ending:
    async with _running_line(world, options, screen):
        await _baseline(world, screen)
        screen.note(f"rolling out {line.model} {version}: canary first")
        exit_code, said = await _rollout_command(world, line, version)
        for station in world.stations.values():
            station.check()
        await _settle(world, exit_code)
    reports = {name: station.inspection() for name, station in world.stations.items()}
    return Ending(
        exit_code=exit_code,
        said=said,
        layers=tuple(
            one.deployment.id
            for one in world.cloud.hub.configurations.all()
            if one.deployment.id != f"base-{FIRST_ORDER}"
        ),
        reports=reports,
    )


@asynccontextmanager
async def _running_line(world: World, options: DemoOptions, screen: Screen) -> AsyncIterator[None]:
    """Let parts come at all stations inside the context; all are closed when it ends."""
    stations = world.stations.values()
    for station in stations:
        await station.plc.run(None, options.rate, wait_ready_s=2 * READY_WITHIN_S)
    await asyncio.gather(*(until_first_part(station) for station in stations))
    tasks = [asyncio.create_task(watch_processes(station)) for station in stations]
    tasks.append(asyncio.create_task(_keep_fresh(screen)))
    try:
        yield
        for station in stations:
            await station.plc.end_parts()
            await _within(30, station.finished.wait(), f"{station.name}'s last parts")
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


async def _within(limit_s: float, job: Awaitable[object], what: str) -> None:
    """Wait for *job*.

    Raises:
        StationNotReadyError: it took longer than *limit_s*.
    """
    try:
        async with asyncio.timeout(limit_s):
            await job
    except TimeoutError as error:
        raise StationNotReadyError(f"waited {limit_s:.0f} s for {what}") from error


async def _keep_fresh(screen: Screen) -> None:
    while True:
        screen.refresh()
        await asyncio.sleep(0.25)


async def _baseline(world: World, screen: Screen) -> None:
    screen.note(f"each station judges {BASELINE_PARTS} parts with the first model")
    for station in world.stations.values():
        await _within(120, station.until_parts(BASELINE_PARTS), f"{station.name}'s first parts")
        station.check()


async def _rollout_command(world: World, line: SampleLine, version: str) -> tuple[int, str]:
    """Run `taktgate rollout run` to its end; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taktgate.cli", "rollout", "run"),
        *("--login", world.cloud.service_connection_string),
        *("--rings", str(_rings_file(world.cloud.directory))),
        *("--model", line.model, "--version", version, "--order", NEW_ORDER),
        *("--state", str(world.cloud.directory / "rollout.json")),
        *("--timeout-s", str(_ROLLOUT_LIMIT_S)),
        env={**os.environ, "REQUESTS_CA_BUNDLE": str(world.cloud.ca_file)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace").strip()


def _rings_file(directory: Path) -> Path:
    """Write the shipped rings with a shorter poll: the demo's stations answer within seconds."""
    rings = yaml.safe_load(_SHIPPED_RINGS.read_text(encoding="utf-8"))
    rings["poll_s"] = _POLL_S
    path = directory / "rings.yaml"
    path.write_text(yaml.safe_dump(rings), encoding="utf-8")
    return path


async def _settle(world: World, exit_code: int) -> None:
    """After a withdrawal, wait until the stations have taken note of the older order."""
    if exit_code != WITHDRAWN:
        return
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while asyncio.get_running_loop().time() < deadline:
        report = world.stations[CANARY].inspection()
        if report.phase == "live" and report.order == FIRST_ORDER:
            return
        await asyncio.sleep(0.2)


def _objections(ending: Ending, line: SampleLine, version: str, *, bad: bool) -> list[str]:
    expected_exit = WITHDRAWN if bad else ROLLED_OUT
    expected_version = line.first if bad else version
    found = []
    if ending.exit_code != expected_exit:
        found.append(f"rollout ended with exit code {ending.exit_code}, expected {expected_exit}")
    for name, report in ending.reports.items():
        live = report.live.version if report.live else None
        if live != expected_version:
            found.append(f"{name} runs {live}, expected {expected_version}")
    if bad and ending.layers:
        found.append(f"layers left at the hub: {', '.join(ending.layers)}")
    rollback = ending.reports[CANARY].lastRollback
    if bad and (rollback is None or rollback.order != NEW_ORDER):
        found.append(f"{CANARY} reports no rollback of {NEW_ORDER}")
    return found


def _parts_by_version(station: LocalStation) -> dict[str, Any]:
    versions: dict[str, int] = {}
    for part in station.tally.parts:
        model = station.tally.models.get(part.trigger_id)
        if model is not None:
            versions[model["version"]] = versions.get(model["version"], 0) + 1
    return {"parts_by_version": versions}


def _told(ending: Ending, version: str) -> dict[str, Any]:
    rollback = ending.reports[CANARY].lastRollback
    return {
        "version": version,
        "exit_code": ending.exit_code,
        "layers": list(ending.layers),
        "live": {
            name: report.live.version if report.live else None
            for name, report in ending.reports.items()
        },
        "rollback": None
        if rollback is None
        else {"reason": rollback.reason, "figures": rollback.figures, "message": rollback.message},
    }


def _print_ending(console: Console, ending: Ending, version: str) -> None:
    console.print(f"\nrollout of {version}:")
    for text in ending.said.splitlines():
        console.print(f"  {text}")
    for name, report in ending.reports.items():
        live = report.live.version if report.live else "nothing"
        rollback = report.lastRollback
        console.print(f"{name}: runs {live}" + (f"; {rollback.message}" if rollback else ""))
