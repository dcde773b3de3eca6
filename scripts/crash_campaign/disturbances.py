"""An order disturbed at each of its steps: superseded, withdrawn, held, hindered, refused."""

from collections.abc import Callable
from typing import Final

from crash_campaign.course import (
    MISSING,
    Scenario,
    Start,
    begin_trial,
    both,
    carry_out,
    damage,
    go_on,
    has_ended,
    stage,
)
from crash_campaign.station import HereStation, desired
from crash_campaign.world import BAD, FORGED, WEAK, World
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.activation_file import ACTIVATION, PREVIOUS
from taktgate.inspection.agent.phases import Phase
from taktgate.staging.errors import DiskError, SupersededError

WORK: Final = (StagingPhase.FETCHING, StagingPhase.VERIFYING, StagingPhase.TESTING)
_TIGHT: Final = {"quota_mb": 0.02}
"""Megabytes: room for two of our bundles, and not for a third."""
_ROOMY: Final = {"quota_mb": 0.05}


def when(station: HereStation, phase: StagingPhase, do: Callable[[], None]) -> None:
    """Let the stager work, and *do* happen as soon as it is in *phase*."""
    has_happened = False

    def check() -> None:
        nonlocal has_happened
        if not has_happened and station.phase is phase:
            has_happened = True
            do()

    station.clock.now_s += 40
    station.step_stager(check)
    assert has_happened, f"{phase} is not reached: {station.report()}"


def _ask(station: HereStation, version: str, order: str) -> None:
    station.ask(desired(station.world, version, order))


def _superseded_at_work(start: Start, world: World) -> None:
    station = start()
    station.recover()
    version, other = "2.0.0", "3.0.0"
    _ask(station, version, "o2")
    for number, phase in enumerate(WORK, start=3):
        version, other = other, version

        def change(version: str = version, order: str = f"o{number}") -> None:
            _ask(station, version, order)
            raise SupersededError("another order")

        when(station, phase, change)
    assert station.settle(has_ended)


def _withdrawn_at_work(start: Start, world: World) -> None:
    station = start()
    station.recover()

    def withdraw() -> None:
        station.forget_order()
        raise SupersededError("no order")

    for phase in WORK:
        _ask(station, "2.0.0", "o2")
        when(station, phase, withdraw)
        station.step_stager()
        assert station.phase is StagingPhase.IDLE
    carry_out(station, world, "2.0.0", "o2")


def _withdrawn_at_rest(start: Start, world: World) -> None:
    """Withdrawn while staged, on trial, held and confirmed; superseded while staged and held."""
    station = start()
    station.recover()
    stage("3.0.0", "o3")(station)
    _ask(station, "2.0.0", "o2")
    stage("2.0.0", "o2")(station)
    _withdraw(station)
    stage("2.0.0", "o2")(station)
    station.step_stager()
    station.until(Phase.TRIAL)
    station.step_stager()
    _require(station, StagingPhase.TRIAL)
    _withdraw(station)
    for order in ("o2", "o4"):
        _ask(station, "3.0.0", order)
        station.step_stager()
        _require(station, StagingPhase.HELD)
        if order == "o2":
            _withdraw(station)
    _ask(station, "3.0.0", "o5")
    station.step_stager()
    assert station.settle(has_ended)


def _require(station: HereStation, phase: StagingPhase) -> None:
    assert station.phase is phase, station.report()


def _withdraw(station: HereStation) -> None:
    station.forget_order()
    station.step_stager()
    assert station.phase is StagingPhase.IDLE


def _withdrawn_at_the_end(start: Start, world: World) -> None:
    """Withdrawn after it was refused and after it was sent back."""
    station = start()
    carry_out(station, world, MISSING, "o5")
    _withdraw(station)
    carry_out(station, world, BAD, "o9")
    _withdraw(station)
    carry_out(station, world, "1.0.0", "o10")


def _trial_superseded(start: Start, world: World) -> None:
    station = start()
    station.recover()
    _ask(station, "3.0.0", "o3")
    station.step_stager()
    assert station.phase is StagingPhase.HELD
    assert station.settle(has_ended)


def _held(start: Start, world: World) -> None:
    station = start()
    station.recover()

    def hold() -> None:
        station.hold()
        station.clock.now_s += 1

    hold()
    _ask(station, "2.0.0", "o2")
    station.step_stager()
    for phase in WORK:
        assert station.phase is StagingPhase.HELD
        station.lift()
        station.step_stager()
        when(station, phase, hold)
    station.lift()
    assert station.settle(has_ended)


def _hindered(start: Start, world: World) -> None:
    station = start()
    station.recover()
    _ask(station, "2.0.0", "o2")

    def stumble() -> None:
        raise DiskError("input/output error")

    for phase in WORK:
        when(station, phase, stumble)
    assert station.settle(has_ended)


def _unfit(start: Start, world: World) -> None:
    station = start()
    for version, order in ((FORGED, "o5"), (WEAK, "o6")):
        carry_out(station, world, version, order)
        assert station.phase is StagingPhase.FAILED
    carry_out(station, world, "2.0.0", "o7")


def _block(station: HereStation) -> None:
    carry_out(station, station.world, BAD, "o9")


def _barred_again(start: Start, world: World) -> None:
    """An older order reappears for what was sent back under it."""
    station = start()
    carry_out(station, world, "1.0.0", "o10")
    carry_out(station, world, BAD, "o9")
    assert station.phase is StagingPhase.BLOCKED


def _barred_while_tested(start: Start, world: World) -> None:
    """It is sent back while it is staged again under the same order."""
    station = start()
    station.recover()
    stage(BAD, "o9")(station)
    station.until(Phase.SHADOW)
    _ask(station, "1.0.0", "o10")

    def change() -> None:
        _ask(station, BAD, "o9")
        raise SupersededError("the older order again")

    def send_back() -> None:
        station.until(Phase.TRIAL)
        station.until(Phase.IDLE)

    when(station, StagingPhase.TESTING, change)
    when(station, StagingPhase.TESTING, send_back)
    assert station.phase is StagingPhase.BLOCKED
    assert station.settle(has_ended)


def _quota(start: Start, world: World) -> None:
    """There is no room beside what is in use, until the operator grants it."""
    station = start(_TIGHT)
    station.recover()
    _ask(station, "3.0.0", "o3")
    station.round()
    station.round()
    error = station.report().lastError
    assert error is not None, station.report()
    assert error.reason == "QUOTA", error
    carry_out(start(), world, "3.0.0", "o3")


def _fill(station: HereStation) -> None:
    """Leave slots behind that nobody uses, and little room."""
    for number in range(3):
        slot = station.places.slots / f"slot-{number:016x}"
        slot.mkdir()
        (slot / "model.onnx").write_bytes(bytes(9_000))


def _forget(station: HereStation) -> None:
    """Let both generations of the activation rot."""
    for name in (ACTIVATION, PREVIOUS):
        (station.places.state / name).write_bytes(b"{")


DISTURBANCES: Final = (
    Scenario(name="interrupted", versions=("1.0.0",), act=_superseded_at_work),
    Scenario(name="layers_off", versions=("1.0.0",), act=_withdrawn_at_work),
    Scenario(name="layers_off_late", versions=("1.0.0",), act=_withdrawn_at_rest),
    Scenario(name="layers_off_end", versions=("1.0.0",), act=_withdrawn_at_the_end),
    Scenario(name="trial_first", versions=("1.0.0",), prepare=begin_trial, act=_trial_superseded),
    Scenario(name="held", versions=("1.0.0",), act=_held),
    Scenario(name="hindered", versions=("1.0.0",), act=_hindered),
    Scenario(name="unfit", versions=("1.0.0",), act=_unfit),
    Scenario(name="barred_again", versions=("1.0.0",), prepare=_block, act=_barred_again),
    Scenario(name="barred_late", versions=("1.0.0",), act=_barred_while_tested),
    Scenario(name="quota", versions=("1.0.0", "2.0.0"), act=_quota, is_cramped=True),
    Scenario(
        name="pressed_for_room",
        versions=("1.0.0",),
        prepare=_fill,
        act=go_on("2.0.0", "o2"),
        staging=_ROOMY,
    ),
    Scenario(
        name="forgotten",
        versions=("1.0.0", "2.0.0"),
        prepare=_forget,
        act=go_on("3.0.0", "o3"),
        is_forgotten=True,
    ),
    Scenario(
        name="damaged_staged",
        versions=("1.0.0",),
        prepare=both(stage("2.0.0", "o2"), damage("2.0.0")),
        act=go_on("2.0.0", "o2"),
        is_damaged=True,
    ),
    Scenario(
        name="damaged_trial",
        versions=("1.0.0",),
        prepare=both(begin_trial, damage("2.0.0")),
        act=go_on("2.0.0", "o2"),
        is_damaged=True,
    ),
)
