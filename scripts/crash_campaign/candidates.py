"""A candidate disturbed in each phase of its activation: lost, refused, withdrawn, sent back."""

from typing import Final

from crash_campaign.course import Scenario, Start, begin_trial, carry_out, has_ended, stage
from crash_campaign.station import HereStation, desired
from crash_campaign.world import BAD, World
from taktgate.contracts.staged import ActivationPolicy
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.agent.phases import Phase


def _loading(start: Start, world: World) -> None:
    """A newer order finds it loading, then in the shadow; the third is refused."""
    station = start()
    station.recover()
    stage("2.0.0", "o2")(station)
    station.until(Phase.LOADING)
    stage("3.0.0", "o3")(station)
    station.agent.tick()
    station.until(Phase.SHADOW)
    stage("2.0.0", "o4")(station)
    station.agent.tick()
    assert station.activator.phase is Phase.LOADING
    station.judge.sicken(world.digest("2.0.0"))
    station.until(Phase.IDLE)
    carry_out(start(), world, "2.0.0", "o4")


def _shadow(start: Start, world: World) -> None:
    """Its runner is lost, then gives out."""
    station = start()
    station.recover()
    stage("2.0.0", "o2")(station)
    station.until(Phase.SHADOW)
    station.judge.lose(world.digest("2.0.0"))
    station.until(Phase.LOADING)
    station.until(Phase.SHADOW)
    station.judge.sicken(world.digest("2.0.0"))
    station.until(Phase.IDLE)
    carry_out(start(), world, "2.0.0", "o2")


def _mute(start: Start, world: World) -> None:
    """It gives no usable answer in the shadow; the stager looks when that is over."""
    station = start()
    station.recover()
    stage("2.0.0", "o2")(station)
    station.judge.is_shadow_mute = True
    station.until(Phase.SHADOW)
    station.until(Phase.IDLE)
    station.step_stager()
    assert station.phase is StagingPhase.BLOCKED
    assert station.settle(has_ended)


def _stage_for_changeover(station: HereStation) -> None:
    station.ask(desired(station.world, "2.0.0", "o2", ActivationPolicy.CHANGEOVER))
    station.step_stager()
    assert station.phase is StagingPhase.STAGED


def _waiting(start: Start, world: World) -> None:
    """It waits for the line: its runner is lost, then gives out; then a newer order comes."""
    station = start()
    station.recover()
    _stage_for_changeover(station)
    station.until(Phase.WAITING)
    station.judge.lose(world.digest("2.0.0"))
    station.until(Phase.LOADING)
    station.until(Phase.WAITING)
    station.judge.sicken(world.digest("2.0.0"))
    station.until(Phase.IDLE)
    station = start()
    station.recover()
    station.until(Phase.WAITING)
    stage("3.0.0", "o3")(station)
    station.agent.tick()
    assert station.settle(has_ended)


def _waiting_again(start: Start, world: World) -> None:
    """The judge restarts in its trial; before the second attempt its runner gives out."""
    station = start()
    station.recover()
    _stage_for_changeover(station)
    station.judge.is_enabled = False
    station.until(Phase.TRIAL)
    station.judge.is_enabled = True
    station.judge.restart()
    station.until(Phase.WAITING)
    station.judge.sicken(world.digest("2.0.0"))
    station.until(Phase.IDLE)
    assert station.settle(has_ended)
    assert station.phase is StagingPhase.BLOCKED


def _swapping(start: Start, world: World) -> None:
    """Its runner is lost before it judges, twice."""
    station = start()
    station.recover()
    stage("2.0.0", "o2")(station)
    station.judge.holds_swaps = True
    for _ in range(2):
        station.until(Phase.SWAPPING)
        station.judge.lose(world.digest("2.0.0"))
        station.hear()
    station.judge.holds_swaps = False
    assert station.settle(has_ended)
    assert station.phase is StagingPhase.BLOCKED


def _resuming(start: Start, world: World) -> None:
    """In its trial the agent restarts, then the judge, then the station."""
    station = start()
    station.recover()
    stage("2.0.0", "o2")(station)
    station.until(Phase.TRIAL)
    station.restart_agent()
    station.until(Phase.TRIAL)
    station.judge.restart()
    station.until(Phase.LOADING)
    station.until(Phase.TRIAL)
    station = start()
    carry_out(station, world, "2.0.0", "o2")
    assert station.phase is StagingPhase.BLOCKED


def _resumed_sick(start: Start, world: World) -> None:
    """The station restarts in its trial, and its runner does not come up any more."""
    station = start()
    station.judge.sicken(world.digest("2.0.0"))
    carry_out(station, world, "2.0.0", "o2")
    assert station.phase is StagingPhase.BLOCKED


def _escaped_at_start(start: Start, world: World) -> None:
    """The confirmed model lets a defect pass before the judge has said what it runs."""
    station = start()
    station.recover()
    station.ask(desired(world, "3.0.0", "o3"))
    station.escape(world.digest("2.0.0"))
    assert station.settle(has_ended)


def _try_third(station: HereStation) -> None:
    stage("3.0.0", "o3")(station)
    station.until(Phase.TRIAL)


def _set_aside(start: Start, world: World) -> None:
    """The confirmed model lets a defect pass just before another one would judge."""
    station = start()
    station.recover()
    stage("3.0.0", "o3")(station)
    station.judge.holds_swaps = True
    station.until(Phase.SWAPPING)
    station.step_stager()
    station.judge.holds_swaps = False
    station.escape(world.digest("2.0.0"))
    station.step_stager()
    assert station.phase is StagingPhase.STAGED
    assert station.settle(has_ended)


def _second_chance(start: Start, world: World) -> None:
    """A confirmed model is sent back and cleared, twice; the stager looks early, then late."""
    station = start()
    carry_out(station, world, "2.0.0", "o2")
    digest = world.digest("2.0.0")
    for phase, then in ((Phase.LOADING, StagingPhase.STAGED), (Phase.TRIAL, StagingPhase.TRIAL)):
        station.escape(digest)
        station.until(Phase.IDLE)
        assert station.clear(digest)
        station.until(phase)
        station.step_stager()
        assert station.phase is then
        assert station.settle(has_ended)
        station.step_stager()
        assert station.phase is StagingPhase.CONFIRMED


def _no_way_back(start: Start, world: World) -> None:
    """It fails its trial, and the confirmed model does not come up again before a restart."""
    station = start()
    station.recover()
    station.ask(desired(world, BAD, "o9"))
    station.until(Phase.TRIAL)
    station.judge.sicken(world.digest("1.0.0"))
    assert station.settle(has_ended)
    assert station.judge.live is None
    carry_out(start(), world, BAD, "o9")


CANDIDATES: Final = (
    Scenario(name="loading", versions=("1.0.0",), act=_loading, is_pressed=True),
    Scenario(name="shadow", versions=("1.0.0",), act=_shadow, is_pressed=True),
    Scenario(name="mute", versions=("1.0.0",), act=_mute, is_pressed=True),
    Scenario(name="waiting", versions=("1.0.0",), act=_waiting, is_pressed=True),
    Scenario(name="waiting_again", versions=("1.0.0",), act=_waiting_again, is_pressed=True),
    Scenario(name="swapping", versions=("1.0.0",), act=_swapping, is_pressed=True),
    Scenario(name="resuming", versions=("1.0.0",), act=_resuming, is_pressed=True),
    Scenario(
        name="resumed_sick",
        versions=("1.0.0",),
        prepare=begin_trial,
        act=_resumed_sick,
        is_pressed=True,
    ),
    Scenario(
        name="escaped_at_start",
        versions=("1.0.0", "2.0.0"),
        prepare=_try_third,
        act=_escaped_at_start,
        is_pressed=True,
    ),
    Scenario(name="set_aside", versions=("1.0.0", "2.0.0"), act=_set_aside, is_pressed=True),
    Scenario(
        name="second_chance", versions=("1.0.0", "2.0.0"), act=_second_chance, is_pressed=True
    ),
    Scenario(
        name="no_way_back",
        versions=("1.0.0",),
        prepare=stage(BAD, "o9"),
        act=_no_way_back,
        is_pressed=True,
    ),
)
