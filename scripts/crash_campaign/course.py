"""What all scenarios are made of: a station that is started, ordered to, disturbed, waited for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from crash_campaign.station import HereStation, desired
from crash_campaign.world import World
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.agent.phases import Phase
from taktgate.staging.slots.slots import slot_name
from taktgate.staging.states import ANNOUNCED

MISSING: Final = "7.7.7"
"""A version that the registry does not have."""
NO_CHANGES: Final[Mapping[str, object]] = MappingProxyType({})


class Start(Protocol):
    """Starts the station, again after it was killed."""

    def __call__(self, staging: Mapping[str, object] | None = None) -> HereStation:
        """Return it, with its settings of staging changed by *staging*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One course of events.

    Attributes:
        name: Of the scenario, in one word.
        versions: What was confirmed here before, one after another.
        act: What is recorded.
        prepare: What is done to the station after those versions, before the recording.
        is_damaged: A slot in use is damaged from the beginning.
        is_forgotten: Both generations of activation.json are.
        is_pressed: An operator's hold is put and lifted at each transition of the agent, so that
            the power can go in all of them.
        staging: Changes to the station's settings.
        is_cramped: Begun with settings that leave no room; a start brings `staging`.
        is_early: Prepared before the registry's keys are rotated.
    """

    name: str
    versions: tuple[str, ...]
    act: Callable[[Start, World], None]
    prepare: Callable[[HereStation], None] | None = None
    is_damaged: bool = False
    is_forgotten: bool = False
    is_pressed: bool = False
    staging: Mapping[str, object] = field(default_factory=dict)
    is_cramped: bool = False
    is_early: bool = False

    def lay_out(self, root: Path, world: World) -> None:
        """Make the station in the folder *root*, as it is before the recording."""
        station = HereStation(root, world)
        for number, version in enumerate(self.versions, start=1):
            carry_out(station, world, version, f"o{number}")
        if self.prepare is not None:
            self.prepare(station)


def has_ended(station: HereStation) -> bool:
    """Tell whether the newest order has come to its end, good or bad."""
    if station.activator.phase is not Phase.IDLE or not station.asked:
        return False
    wanted = station.asked["model"]
    record, activation = station.journal.record, station.activator.activation
    if record.request is None or record.request.model.order != wanted["order"]:
        return False
    if record.phase is StagingPhase.BLOCKED:
        return any(each.order == wanted["order"] for each in activation.blocked)
    if record.phase is StagingPhase.FAILED:
        return True
    good, model = activation.last_known_good, station.world.model(wanted["version"])
    if good is None or model is None or good.model.digest != model.digest:
        return False
    trusted = {ref.model.digest for ref in (good, activation.previous_good) if ref is not None}
    is_settled = activation.settled_order == wanted["order"]
    return is_settled and record.phase in ANNOUNCED and station.judge.live in trusted


def carry_out(station: HereStation, world: World, version: str, order: str) -> None:
    """Have *version* ordered, and go on until that has ended and garbage is collected."""
    station.recover()
    station.ask(desired(world, version, order))
    assert station.settle(has_ended), f"{version} does not come to an end: {station.report()}"
    station.step_stager()


def stage(version: str, order: str) -> Callable[[HereStation], None]:
    """Have *version* ordered and announced."""

    def prepare(station: HereStation) -> None:
        station.ask(desired(station.world, version, order))
        for _ in range(station.limit_rounds):
            if station.journal.announced is not None and (station.journal.announced.order == order):
                return
            station.clock.now_s += 40
            station.step_stager()
        raise AssertionError(f"{version} is not announced: {station.report()}")

    return prepare


def go_on(version: str, order: str) -> Callable[[Start, World], None]:
    """Start, and have *version* ordered until that has ended."""

    def act(start: Start, world: World) -> None:
        carry_out(start(), world, version, order)

    return act


def damage(version: str) -> Callable[[HereStation], None]:
    """Let a bit rot in the slot of *version*."""

    def prepare(station: HereStation) -> None:
        slot = station.places.slots / slot_name(station.world.digest(version))
        path = slot / "model.onnx"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)

    return prepare


def both(*steps: Callable[[HereStation], None]) -> Callable[[HereStation], None]:
    """Take *steps* one after another."""

    def prepare(station: HereStation) -> None:
        for step in steps:
            step(station)

    return prepare


def begin_trial(station: HereStation) -> None:
    """Have 2.0.0 on trial, and the stager know it."""
    stage("2.0.0", "o2")(station)
    station.until(Phase.TRIAL)
    station.step_stager()
    assert station.journal.record.phase is StagingPhase.TRIAL
