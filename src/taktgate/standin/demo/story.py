"""`taktgate demo --story`: a model's way by layered deployments, as reported properties tell it.

A layer stages, tries and confirms a model; withdrawn, it lets the older order and its model come
back; a revoked version is refused; and a version that rejects too much is sent back and blocked.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from taktgate.contracts.codec import parse
from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.contracts.twins import InspectionReported, StagerReported, StagingPhase
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.demo.deployments import APP_TAG, model_layer
from taktgate.standin.demo.line_run import watch_processes
from taktgate.standin.demo.model_run import STATION
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.power_plan import BALLAST_BYTES
from taktgate.standin.demo.readiness import READY_WITHIN_S, StationNotReadyError, until_first_part
from taktgate.standin.demo.remarks import remarks
from taktgate.standin.demo.samples import DEVICE_CLASS, SOLAR_CELLS, WELD_SEAMS, SampleLine
from taktgate.standin.demo.screen import Screen, print_summary
from taktgate.standin.demo.timeline import Timeline, as_json, goes_well, phases_of, rows
from taktgate.standin.demo.world import FIRST_ORDER, World, local_world
from taktgate.standin.faulty_models.bundles import development_key
from taktgate.standin.heavy_bundle import write_heavy

NEW: Final = "2.0.0"
CONFIRMED_ORDER, REVOKED_ORDER, BAD_ORDER = "order-2", "order-3", "order-4"
_BASELINE_PARTS: Final = 30
_CHAPTER_S: Final = 90.0
_LOOK_S: Final = 0.05


async def run_story(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Tell the story and return the figures of `--json`.

    Raises:
        WorldError, PortInUseError, SampleMissingError, StandinStartError: as `local_world`.
        StationNotReadyError, StationBrokenError: the station judges no part, or a chapter has no
            end.
    """
    line = WELD_SEAMS if options.offline else SOLAR_CELLS
    versions = [line.first, line.overrejecting]
    async with local_world(
        options, line, versions=versions, stations={STATION: {"app": APP_TAG}}
    ) as world:
        station = world.stations[STATION]
        with Screen(console, {STATION: station.tally}, expected=0) as screen:
            story = _Story(world, line, options, screen)
            await story.tell()
        limits = remarks([station])
    tally = station.tally
    figures = {
        **tally.summary(),
        "timeline": as_json(story.timeline.told),
        "phases": {
            order: phases_of(story.timeline.told, order)
            for order in (FIRST_ORDER, CONFIRMED_ORDER, REVOKED_ORDER, BAD_ORDER)
        },
        "remarks": limits,
        "objections": [*tally.objections(expected_parts=len(tally.parts)), *story.objections],
    }
    print_summary(console, STATION, figures)
    print_timeline(console, story.timeline)
    return figures


class _Story:
    """Tells it chapter by chapter, and notes what the hub hears."""

    def __init__(
        self, world: World, line: SampleLine, options: DemoOptions, screen: Screen
    ) -> None:
        self.timeline = Timeline()
        self.objections: list[str] = []
        self._world = world
        self._station = world.stations[STATION]
        self._line = line
        self._options = options
        self._screen = screen
        self._began_s = time.monotonic()

    async def tell(self) -> None:
        """Let parts come and tell all chapters."""
        station = self._station
        await station.plc.run(None, self._options.rate, wait_ready_s=2 * READY_WITHIN_S)
        self._screen.note("waiting for the station: modules start, the model is staged and proven")
        await until_first_part(station)
        watching = asyncio.create_task(watch_processes(station), name="process watch")
        try:
            await self._until("a baseline", lambda: len(station.tally.parts) >= _BASELINE_PARTS)
            await self._confirmed_by_a_layer()
            await self._withdrawn()
            await self._revoked()
            await self._blocked()
            await station.plc.end_parts()
            await self._until("the last part", station.finished.is_set)
        finally:
            watching.cancel()

    async def _confirmed_by_a_layer(self) -> None:
        await self._release_new()
        await self._order(CONFIRMED_ORDER, NEW, rank=1)
        await self._until(
            f"{NEW} to be confirmed",
            lambda: self._stager(CONFIRMED_ORDER) is StagingPhase.CONFIRMED and self._judges(NEW),
        )
        phases = phases_of(self.timeline.told, CONFIRMED_ORDER)
        if not goes_well(phases):
            self.objections.append(f"{CONFIRMED_ORDER} was reported as {', '.join(phases)}")
        sizes = [
            its.stager.progress
            for its in self.timeline.told
            if its.stager and its.stager.order == CONFIRMED_ORDER and its.stager.progress
        ]
        if not sizes:
            self.objections.append(f"{CONFIRMED_ORDER}: no progress of its download was reported")

    async def _withdrawn(self) -> None:
        first = self._line.first
        self._screen.note(f"the layer is withdrawn: {first} is ordered again by {FIRST_ORDER}")
        self._world.cloud.hub.delete_configuration(f"layer-{CONFIRMED_ORDER}")
        await self._until(
            f"{first} to judge again",
            lambda: self._stager(FIRST_ORDER) is StagingPhase.CONFIRMED and self._judges(first),
        )

    async def _revoked(self) -> None:
        self._screen.note(f"{NEW} is revoked, and ordered all the same")
        await asyncio.to_thread(
            self._world.registry.publisher.revoke,
            *(self._line.model, NEW, DEVICE_CLASS),
            note="it was the wrong one",
        )
        await self._order(REVOKED_ORDER, NEW, rank=2)
        await self._until(
            f"{NEW} to be refused", lambda: self._stager(REVOKED_ORDER) is StagingPhase.FAILED
        )
        report = self._report()
        if report is None or report.lastError is None or report.lastError.reason != _REFUSED:
            self.objections.append(f"{REVOKED_ORDER} failed without {_REFUSED}")
        if not self._judges(self._line.first):
            self.objections.append(f"{REVOKED_ORDER}: the live model was touched")

    async def _blocked(self) -> None:
        bad = self._line.overrejecting
        await self._order(BAD_ORDER, bad, rank=3)
        await self._until(
            f"{bad} to be blocked", lambda: self._stager(BAD_ORDER) is StagingPhase.BLOCKED
        )
        if not self._judges(self._line.first):
            self.objections.append(f"{BAD_ORDER}: {self._line.first} does not judge")

    async def _release_new(self) -> None:
        path = self._world.cloud.directory / f"{NEW}.bundle"
        await asyncio.to_thread(
            write_heavy,
            self._line.bundle(self._line.successor),
            version=NEW,
            ballast_bytes=BALLAST_BYTES,
            key=development_key(),
            to=path,
        )
        await asyncio.to_thread(self._world.registry.release, path)
        path.unlink()

    async def _order(self, order: str, version: str, *, rank: int) -> None:
        self._screen.note(f"a layer orders {version} by {order}")
        await self._world.cloud.create_deployment(
            model_layer(
                model=self._line.model,
                version=version,
                order=order,
                target=f"tags.app='{APP_TAG}'",
                rank=rank,
            )
        )

    def _stager(self, order: str) -> StagingPhase | None:
        report = self._report()
        return report.phase if report is not None and report.order == order else None

    def _judges(self, version: str) -> bool:
        said = self.timeline.told[-1].inspection if self.timeline.told else None
        return said is not None and said.live is not None and said.live.version == version

    def _report(self) -> StagerReported | None:
        return self.timeline.told[-1].stager if self.timeline.told else None

    async def _until(self, what: str, is_so: Callable[[], bool]) -> None:
        """Wait for *what*, and note meanwhile what the hub hears.

        Raises:
            StationNotReadyError: it took too long.
            StationBrokenError: camera or PLC have ended.
        """
        end_s = time.monotonic() + _CHAPTER_S
        while not is_so():
            self._station.check()
            self._screen.refresh()
            self._listen()
            if time.monotonic() > end_s:
                last = self.timeline.told[-1] if self.timeline.told else None
                raise StationNotReadyError(f"waited {_CHAPTER_S:.0f} s for {what}; last: {last}")
            await asyncio.sleep(_LOOK_S)

    def _listen(self) -> None:
        stager = self._section(MODEL_STAGER, "stager")
        inspection = self._section(INFERENCE, "inspection")
        self.timeline.take(
            round(time.monotonic() - self._began_s, 2),
            None if stager is None else parse(StagerReported, stager),
            None if inspection is None else parse(InspectionReported, inspection),
        )

    def _section(self, module: str, name: str) -> dict[str, Any] | None:
        """Return a reported section as the hub has it: what the device keeps back is not told."""
        try:
            reported = self._world.cloud.hub.twin_properties(STATION, module).reported
        except HubRequestError:
            return None
        return reported.get(name)


_REFUSED: Final = "NOT_PERMITTED"


def print_timeline(console: Console, timeline: Timeline) -> None:
    """Print what the hub heard, in order."""
    table = Table(
        title="as the reported properties tell it", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("s", justify="right")
    table.add_column("order", no_wrap=True)
    table.add_column("model_stager", ratio=3)
    table.add_column("inference", ratio=2)
    for row in rows(timeline.told):
        table.add_row(*row)
    console.print(table)
