"""`taktgate demo --story`: a model's way by layered deployments, as reported properties tell it.

A layer stages, tries and confirms a model; withdrawn, it lets the older order and its model come
back; a revoked version is refused; and a version that rejects too much is sent back and blocked.
"""

import asyncio
import time
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from taktgate.contracts.codec import parse
from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.contracts.twins import InspectionReported, StagerReported, StagingPhase
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.demo.belt import Belt
from taktgate.standin.demo.deployments import APP_TAG
from taktgate.standin.demo.heavy_models import order_by_layer, release_heavy
from taktgate.standin.demo.line_run import STATION
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.remarks import remarks
from taktgate.standin.demo.samples import DEVICE_CLASS, SOLAR_CELLS, WELD_SEAMS, SampleLine
from taktgate.standin.demo.screen import Screen, print_summary
from taktgate.standin.demo.timeline import Timeline, as_json, goes_well, phases_of, rows
from taktgate.standin.demo.world import FIRST_ORDER, World, local_world

NEW: Final = "2.0.0"
CONFIRMED_ORDER, REVOKED_ORDER, BAD_ORDER = "order-2", "order-3", "order-4"
_BASELINE_PARTS: Final = 30
_CHAPTER_S: Final = 90.0


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
        self._line = line
        self._screen = screen
        self._belt = Belt(
            world.stations[STATION],
            screen,
            rate=options.rate,
            limit_s=_CHAPTER_S,
            meanwhile=self._listen,
        )
        self._began_s = time.monotonic()

    async def tell(self) -> None:
        """Let parts come and tell all chapters."""
        async with self._belt.running():
            await self._belt.more_parts(_BASELINE_PARTS)
            await self._confirmed_by_a_layer()
            await self._withdrawn()
            await self._revoked()
            await self._blocked()

    async def _confirmed_by_a_layer(self) -> None:
        sample = self._line.successor
        await release_heavy(self._world, self._line, sample=sample, version=NEW)
        await self._order(CONFIRMED_ORDER, NEW, rank=1)
        await self._belt.until(
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
        await self._belt.until(
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
        await self._belt.until(
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
        await self._belt.until(
            f"{bad} to be blocked", lambda: self._stager(BAD_ORDER) is StagingPhase.BLOCKED
        )
        if not self._judges(self._line.first):
            self.objections.append(f"{BAD_ORDER}: {self._line.first} does not judge")

    async def _order(self, order: str, version: str, *, rank: int) -> None:
        self._screen.note(f"a layer orders {version} by {order}")
        await order_by_layer(self._world, self._line, version=version, order=order, rank=rank)

    def _stager(self, order: str) -> StagingPhase | None:
        report = self._report()
        return report.phase if report is not None and report.order == order else None

    def _judges(self, version: str) -> bool:
        said = self.timeline.told[-1].inspection if self.timeline.told else None
        return said is not None and said.live is not None and said.live.version == version

    def _report(self) -> StagerReported | None:
        return self.timeline.told[-1].stager if self.timeline.told else None

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
