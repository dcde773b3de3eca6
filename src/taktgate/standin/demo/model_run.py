"""`taktgate demo --model-fault`: a new model goes wrong on the line, and the station goes back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich.console import Console

from taktgate.contracts.activation import Rollback
from taktgate.contracts.twins import InspectionReported
from taktgate.standin.demo.belt import Belt
from taktgate.standin.demo.deployments import APP_TAG, base_deployment
from taktgate.standin.demo.line_run import STATION
from taktgate.standin.demo.model_fault_kinds import MODEL_FAULTS, ModelFaultKind
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.remarks import remarks
from taktgate.standin.demo.samples import SOLAR_CELLS, WELD_SEAMS, SampleLine
from taktgate.standin.demo.screen import Screen, print_model_fault, print_summary
from taktgate.standin.demo.station import LocalStation
from taktgate.standin.demo.tally import Tally
from taktgate.standin.demo.world import World, local_world
from taktgate.standin.faulty_models.bundles import write_faulty

BASELINE_PARTS: Final = 25
"""Judged by the first model: less is no baseline to hold another one against."""
PARTS_AFTERWARDS: Final = 10
"""Judged by the first model again before the run ends."""
MOST_PARTS_AFTER_DECISION: Final = 2
NEW_ORDER: Final = "order-2"
_DECIDED_WITHIN_S: Final = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What became of the faulty model."""

    version: str
    rollback: Rollback | None
    live: str | None
    """Version that judges in the end."""
    judged: int
    """Parts that the faulty model was to judge."""
    unjudged: int
    """Parts that no model could take, since its process was gone."""
    passed: int
    """Parts that the faulty model let through."""

    @property
    def after_decision(self) -> int | None:
        """Return how many parts it still judged when the guardrail had decided."""
        if self.rollback is None:
            return None
        return max(0, self.judged - int(self.rollback.figures.get("parts", 0.0)))


async def run_model_fault(options: DemoOptions, console: Console) -> dict[str, Any]:
    """Let a faulty model come to one station and return the figures of `--json`.

    Raises:
        WorldError, PortInUseError, SampleMissingError, StandinStartError: as `local_world`.
        StationNotReadyError, StationBrokenError: the station judges no part, or decides nothing.
    """
    assert options.model_fault is not None
    kind = MODEL_FAULTS[options.model_fault]
    line = WELD_SEAMS if options.offline else SOLAR_CELLS
    version = line.overrejecting if kind.harm is None else f"1.3.0-{kind.harm}"
    bundled = [line.first, version] if kind.harm is None else [line.first]
    async with local_world(
        options, line, versions=bundled, stations={STATION: {"app": APP_TAG}}
    ) as world:
        station = world.stations[STATION]
        _lay_out(world, kind, line, version)
        with Screen(console, {STATION: station.tally}, expected=0) as screen:
            report = await _produce(world, options, screen, line, version)
        limits = remarks([station])
    way = way_of(station.tally, report, version)
    expected = kind.in_shadow if options.shadow else kind.on_trial
    figures = {
        **station.tally.summary(),
        "model_fault": {
            "name": options.model_fault,
            "shadow": options.shadow,
            "expected": expected,
            **asdict(way),
            "parts_after_decision": way.after_decision,
        },
        "remarks": limits,
        "objections": [
            *station.tally.objections(expected_parts=len(station.tally.parts)),
            *objections(way, expected=expected, first=line.first),
        ],
    }
    print_summary(console, STATION, figures)
    print_model_fault(console, figures["model_fault"])
    return figures


def way_of(tally: Tally, report: InspectionReported, version: str) -> Way:
    """Return what became of the faulty *version*, from the PLC's parts and the station's report."""
    versions = {part: model["version"] for part, model in tally.models.items()}
    its = [part for part in tally.parts if versions.get(part.trigger_id) == version]
    ids = [part.trigger_id for part in its]
    between = [
        part
        for part in tally.parts
        if ids and ids[0] <= part.trigger_id <= ids[-1] and part.trigger_id not in versions
    ]
    rollback = report.lastRollback
    is_its = rollback is not None and rollback.order == NEW_ORDER
    return Way(
        version=version,
        rollback=rollback if is_its else None,
        live=None if report.live is None else report.live.version,
        judged=len(its),
        unjudged=len(between),
        passed=sum(part.gate == "accept" for part in its),
    )


def objections(way: Way, *, expected: str, first: str) -> Sequence[str]:
    """Return why this is no safe, typed way back; nothing when it is."""
    found = []
    if way.rollback is None:
        found.append(f"{STATION} reports no rollback of {way.version}")
    elif way.rollback.reason != expected:
        found.append(f"{way.version} was sent back for {way.rollback.reason}, not {expected}")
    if way.live != first:
        found.append(f"{STATION} runs {way.live}, expected {first}")
    late = way.after_decision
    if late is not None and late > MOST_PARTS_AFTER_DECISION:
        found.append(f"{late} parts were judged by {way.version} after the decision")
    return found


def _lay_out(world: World, kind: ModelFaultKind, line: SampleLine, version: str) -> None:
    """Release the faulty model: signature, digest and golden images are in order."""
    if kind.harm is None:
        return
    bundle = world.cloud.directory / f"{version}.bundle"
    write_faulty(
        line.bundle(line.first),
        kind.harm,
        version=version,
        delay_ms=kind.delay_ms,
        to=bundle,
    )
    world.registry.release(bundle)


async def _produce(
    world: World, options: DemoOptions, screen: Screen, line: SampleLine, version: str
) -> InspectionReported:
    station = world.stations[STATION]
    belt = Belt(station, screen, rate=options.rate, limit_s=_DECIDED_WITHIN_S)
    async with belt.running():
        screen.note(f"{BASELINE_PARTS} parts with {line.first}")
        await belt.more_parts(BASELINE_PARTS)
        screen.note(f"ordering {version}")
        await _order(world, line, version)
        await belt.until(f"{version} to be sent back", lambda: _is_back(station, line.first))
        screen.note(f"sent back; {PARTS_AFTERWARDS} more parts")
        await belt.more_parts(PARTS_AFTERWARDS)
        report = station.inspection()
    await belt.until("the cloud to hear of all parts", lambda: _all_told(station.tally))
    return report


async def _order(world: World, line: SampleLine, version: str) -> None:
    deployment = base_deployment(
        model=line.model,
        version=version,
        order=NEW_ORDER,
        repository=world.cloud.repository_url,
        target=f"tags.app='{APP_TAG}'",
    )
    deployment["priority"] += 1
    await world.cloud.create_deployment(deployment)


def _is_back(station: LocalStation, first: str) -> bool:
    report = station.inspection()
    rollback = report.lastRollback
    is_sent_back = rollback is not None and rollback.order == NEW_ORDER
    return is_sent_back and report.live is not None and report.live.version == first


def _all_told(tally: Tally) -> bool:
    """Tell whether the cloud knows the lane of each part, and with it the model."""
    return {part.trigger_id for part in tally.parts} <= tally.lanes.keys()
