"""`taktgate demo --cut-power-during-staging`: the mains fail while models are staged and tried."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from rich.console import Console

from taktgate.bundle.errors import BundleError
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.errors import ActivationFileError
from taktgate.staging.slots.gate import StationGate
from taktgate.standin.demo.belt import Belt
from taktgate.standin.demo.deployments import APP_TAG
from taktgate.standin.demo.heavy_models import order_by_layer, release_heavy
from taktgate.standin.demo.line_run import STATION
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.power_loss import lose_unsynced
from taktgate.standin.demo.power_plan import BALLAST_BYTES, PlannedCut, plan_cuts
from taktgate.standin.demo.power_report import Cut, figures_of, missed, objections, print_cuts
from taktgate.standin.demo.processes import kill_station
from taktgate.standin.demo.remarks import remarks
from taktgate.standin.demo.samples import DEVICE_CLASS, SOLAR_CELLS, WELD_SEAMS, SampleLine
from taktgate.standin.demo.screen import Screen, print_summary
from taktgate.standin.demo.staging_sight import Sight, look
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import Fault, Part
from taktgate.standin.demo.world import World, local_world

_BASELINE_PARTS: Final = 30
_PARTS_AFTERWARDS: Final = 10
_LOOK_S: Final = 0.005
"""Some phases last for some hundredths of a second."""
_PATIENCE_S: Final = 150.0
_TOLD_WITHIN_S: Final = 60.0
"""The agent that tells it is among the last to be there again."""
_SLOTS, _STATE = "taktgate-slots", "taktgate-state"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ordered:
    """A model on its way to the station."""

    order: str
    version: str
    digest: str


async def run_power_cuts(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Cut a station's power while models come to it, and return the figures of `--json`.

    Raises:
        WorldError, PortInUseError, SampleMissingError, StandinStartError: as `local_world`.
        StationNotReadyError, StationBrokenError: the station judges no part, or does not come back.
    """
    assert options.power_cuts is not None
    line = WELD_SEAMS if options.offline else SOLAR_CELLS
    async with local_world(
        options, line, versions=[line.first], stations={STATION: {"app": APP_TAG}}
    ) as world:
        station = world.stations[STATION]
        with Screen(console, {STATION: station.tally}, expected=0) as screen:
            run = _Run(world, line, options, screen)
            await run.produce()
        limits = [*remarks([station]), *missed(run.cuts)]
    found = [
        *station.tally.objections(expected_parts=len(station.tally.parts), may_be_silent=True),
        *objections(run.cuts, asked=options.power_cuts, allowed=run.digests),
        *run.unfinished,
    ]
    figures = {
        **station.tally.summary(),
        "power_cuts": figures_of(run.cuts),
        "orders_confirmed": run.confirmed,
        "remarks": limits,
        "objections": found,
    }
    print_summary(console, STATION, {**figures, "faults": []})
    print_cuts(console, run.cuts)
    return figures


class _Run:
    """One station, some orders, and cuts in their midst."""

    def __init__(
        self, world: World, line: SampleLine, options: DemoOptions, screen: Screen
    ) -> None:
        self.cuts: list[Cut] = []
        self.confirmed: list[str] = []
        self.unfinished: list[str] = []
        self.digests: frozenset[str] = frozenset()
        """Of all models that were released here."""
        self._world = world
        self._station = world.stations[STATION]
        self._line = line
        self._options = options
        self._screen = screen
        self._belt = Belt(self._station, screen, rate=options.rate, limit_s=_PATIENCE_S)
        self._dice = Random(options.seed)  # noqa: S311 - which bytes are lost: not a secret

    async def produce(self) -> None:
        """Run the line from its first part to its last one, cuts between them."""
        assert self._options.power_cuts is not None
        station = self._station
        async with self._belt.running():
            await self._belt.more_parts(_BASELINE_PARTS)
            self.digests = frozenset({_good(station) or ""})
            for number, cuts in enumerate(
                plan_cuts(self._options.power_cuts, self._options.seed), start=1
            ):
                await self._carry_out(number, cuts)
            await self._belt.more_parts(_PARTS_AFTERWARDS)

    async def _carry_out(self, number: int, cuts: Sequence[PlannedCut]) -> None:
        """Order a model, cut the power as planned, and wait until the order is settled."""
        ordered = await self._order(number)
        for cut in cuts:
            sight = await self._moment_of(cut, ordered)
            if sight.phase is StagingPhase.BLOCKED or sight.phase is StagingPhase.FAILED:
                break
            await self._strike(cut, ordered)
        await self._belt.until(
            f"{ordered.order} to be settled", lambda: self._sight(ordered).phase in _SETTLED
        )
        if self._sight(ordered).phase is not StagingPhase.CONFIRMED:
            said = self._station.inspection().lastRollback
            self.unfinished.append(
                f"{ordered.order} ended as {self._sight(ordered).phase}"
                + (f": {said.reason}: {said.message}" if said else "")
            )
            return
        await self._belt.until(
            f"{ordered.order} to be reported",
            lambda: self._station.inspection().confirmedOrder == ordered.order,
        )
        self.confirmed.append(ordered.order)
        self._screen.note(f"{ordered.order} is confirmed: {ordered.version} judges")

    async def _order(self, number: int) -> _Ordered:
        sample = self._line.successor if number % 2 else self._line.first
        version, order = f"2.{number}.0", f"order-{number + 1}"
        facts = await release_heavy(self._world, self._line, sample=sample, version=version)
        self.digests |= {facts.digest}
        self._screen.note(f"a layer orders {version}")
        await order_by_layer(self._world, self._line, version=version, order=order, rank=number)
        return _Ordered(order=order, version=version, digest=facts.digest)

    async def _moment_of(self, cut: PlannedCut, ordered: _Ordered) -> Sight:
        """Wait for the moment of *cut*; return what the disks say then."""

        def is_due() -> bool:
            sight = self._sight(ordered)
            if sight.phase in _SETTLED or sight.has_reached(StagingPhase.VERIFYING):
                return sight.phase in _SETTLED or sight.has_reached(cut.aim)
            return (
                cut.aim is StagingPhase.FETCHING
                and sight.fetched_bytes >= cut.share * BALLAST_BYTES
            )

        await self._belt.until(f"{ordered.order} at {cut.aim}", is_due, period_s=_LOOK_S)
        if self._sight(ordered).phase is cut.aim and cut.aim is not StagingPhase.FETCHING:
            await asyncio.sleep(cut.after_s)
        return self._sight(ordered)

    async def _strike(self, cut: PlannedCut, ordered: _Ordered) -> None:
        station, tally = self._station, self._station.tally
        cut_ns = time.monotonic_ns()
        await station.device.cut_power()
        kill_station(station.name)
        sight = self._sight(ordered)
        lost_bytes = sum(
            lose_unsynced(station.device.volume(name), self._dice) for name in (_SLOTS, _STATE)
        )
        self._screen.note(
            f"power cut {len(self.cuts) + 1}: {sight.phase}, "
            f"{sight.fetched_bytes / 1e6:.1f} MB there"
        )
        await asyncio.sleep(cut.dark_s)
        back_ns = time.monotonic_ns()
        await station.device.restore_power()
        await self._belt.until(
            "a verdict again", lambda: _first_judged(tally.parts, back_ns) is not None
        )
        first = _first_judged(tally.parts, back_ns)
        assert first is not None
        over_ns = first.trigger_ns + round(1e6 * (first.ack_ms or 0.0))
        tally.faults.append(
            Fault(
                name=f"power cut while {sight.phase}",
                at_ns=cut_ns,
                injected=True,
                duration_s=(over_ns - cut_ns) / 1e9,
            )
        )
        await self._told_of(first)
        meanwhile = [part for part in tally.parts if cut_ns <= part.trigger_ns < first.trigger_ns]
        model = tally.models.get(first.trigger_id)
        good_after, is_verified = _verified_good(station)
        self.cuts.append(
            Cut(
                order=ordered.order,
                aim=cut.aim,
                phase=sight.phase,
                fetched_bytes=sight.fetched_bytes,
                lost_bytes=lost_bytes,
                good_before=sight.good,
                good_after=good_after,
                judged_by=model["digest"] if model else None,
                version=model["version"] if model else None,
                is_verified=is_verified,
                first_verdict_s=round((over_ns - back_ns) / 1e9, 2),
                rejected=sum(not part.is_judged for part in meanwhile),
                unsafe=sum(part.unsafe for part in meanwhile),
            )
        )

    async def _told_of(self, part: Part) -> None:
        """Wait a while until the cloud has heard which model judged *part*."""
        models = self._station.tally.models
        for _ in range(round(_TOLD_WITHIN_S / _LOOK_S)):
            if part.trigger_id in models:
                return
            await asyncio.sleep(_LOOK_S)

    def _sight(self, ordered: _Ordered) -> Sight:
        device = self._station.device
        return look(device.volume(_SLOTS), device.volume(_STATE), ordered.order)


_SETTLED: Final = (StagingPhase.CONFIRMED, StagingPhase.BLOCKED, StagingPhase.FAILED)


def _good(station: LocalStation) -> str | None:
    good = station.inspection().lastKnownGood
    return good.digest if good else None


def _verified_good(station: LocalStation) -> tuple[str | None, bool]:
    """Return the digest of last-known-good on the disk, and whether its slot holds it, whole."""
    try:
        good = ActivationFiles(folder=station.device.volume(_STATE)).read().last_known_good
        if good is None:
            return None, False
        gate = StationGate(config=station.config, device_class=DEVICE_CLASS)
        bundle = gate.verify(station.device.volume(_SLOTS) / good.slot)
    except (ActivationFileError, BundleError, OSError):
        return None, False
    return good.model.digest, bundle.digest == good.model.digest


def _first_judged(parts: Sequence[Part], since_ns: int) -> Part | None:
    """Return the first part after *since_ns* that a model decided on."""
    return next((its for its in parts if its.trigger_ns >= since_ns and its.is_judged), None)
