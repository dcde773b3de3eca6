"""A disk that refuses, at every call of every scenario: full, broken, short of breath, read-only.

While it lasts the live model is untouched and the station says why; once it is over the same
processes bring the order to its end.
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crash_campaign.checks import BrokenError, Violation, Watch, check_outcome, require
from crash_campaign.course import Scenario, has_ended
from crash_campaign.recording import Lives
from crash_campaign.station import HereStation
from crash_campaign.world import World
from taktgate.inspection.activation_file import PROVEN
from taktgate.standin.faulty_files import CallCounts, Fault, FaultyFileSystem

FAULTS: Final = (Fault.NO_SPACE, Fault.IO_ERROR, Fault.SHORT_WRITE, Fault.READ_ONLY)
_REASONS: Final = {
    Fault.NO_SPACE: {"DISK_FULL", "STATE_WRITE"},
    Fault.READ_ONLY: {"DISK", "STATE_WRITE"},
}
_ROUNDS: Final = 3
"""So long the fault lasts, at most: an order that is not hindered needs two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCase:
    """One fault at one call of one scenario."""

    scenario: str
    fault: Fault
    at: int

    @property
    def name(self) -> str:
        """Return what tells it from others."""
        return f"{self.scenario}:{self.fault}:{self.at}"


def fault_cases(calls: dict[str, CallCounts]) -> Iterator[FaultCase]:
    """Yield every fault at every call that it can befall, of *calls* by scenario.

    A disk that is full from a call on that needs no room is full at the next one that does: the
    same case. So is a write that falls short.
    """
    for scenario, its in calls.items():
        where = {Fault.NO_SPACE: its.taking_room, Fault.SHORT_WRITE: its.writes}
        for fault in FAULTS:
            for at in where.get(fault, range(its.calls)):
                yield FaultCase(scenario=scenario, fault=fault, at=at)


def count_calls(scenario: Scenario, base: Path, root: Path, world: World) -> CallCounts:
    """Return the calls that *scenario* makes and that may be refused."""
    shutil.copytree(base, root)
    files = FaultyFileSystem()
    scenario.act(Lives(root, world, files=files, staging=scenario.staging).start, world)
    shutil.rmtree(root)
    return files.counts


def check_fault(
    case: FaultCase, scenario: Scenario, base: Path, root: Path, world: World
) -> Violation | None:
    """Let *case* befall a copy of *base* in *root*; return what does not hold."""
    shutil.copytree(base, root)
    files = FaultyFileSystem(fault=case.fault, at=case.at)
    lives = Lives(
        root, world, files=files, limit_rounds=_ROUNDS, is_heard=True, staging=scenario.staging
    )
    try:
        with suppress(AssertionError):  # the scenario does not come to its end, as it must not
            scenario.act(lives.start, world)
        station = lives.station
        assert station is not None
        watch = Watch(station, is_damaged=scenario.is_damaged)
        watch.look()
        _check_reason(case, station, files.struck)
        files.lift()
        if scenario.is_cramped and not station.settle(has_ended):
            station = _started_again(lives)
            watch = Watch(station, is_damaged=scenario.is_damaged)
        _carry_on(station, world, watch)
    except BrokenError as broken:
        return broken.violation
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return Violation(invariant="crash", message=f"{type(error).__name__}: {error}"[:400])
    finally:
        shutil.rmtree(root)
    return None


def _check_reason(case: FaultCase, station: HereStation, struck: str) -> None:
    """Hold what was reported against a fault that lasts: one call may be over before a report is.

    A proof that was not noted costs time at the next start, and is no fault.
    """
    expected = _REASONS.get(case.fault)
    if expected is None or not struck or PROVEN in struck:
        return
    said = station.reported
    require("reason", bool(said & expected), f"{struck} refused, said {sorted(said)}")


def _started_again(lives: Lives) -> HereStation:
    """Return the station after a restart, with the room that the operator has granted."""
    before = lives.station
    assert before is not None
    station = lives.start()
    station.recover()
    if before.asked:
        station.ask(before.asked)
    return station


def _carry_on(station: HereStation, world: World, watch: Watch) -> None:
    """Let the order come to its end, with the line off and without a hold."""
    station.limit_rounds = 20
    station.judge.is_enabled, station.judge.holds_swaps = False, False
    station.lift()
    if not station.asked:
        return
    station.ask(station.asked)
    facts = station.facts()
    require("completes", station.settle(has_ended), f"{station.report()}"[:400])
    watch.look()
    check_outcome(station, world, facts, station.asked)
