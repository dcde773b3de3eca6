"""The stories that every station lives through: staged, tried, confirmed, sent back, collected."""

from contextlib import suppress
from typing import Final

from crash_campaign.course import (
    MISSING,
    Scenario,
    Start,
    begin_trial,
    carry_out,
    damage,
    go_on,
    has_ended,
    stage,
)
from crash_campaign.station import HereStation, desired
from crash_campaign.world import BAD, World
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.agent.phases import Phase
from taktgate.staging.errors import SupersededError
from taktgate.standin.faulty_files import PowerCutError


def _first(start: Start, world: World) -> None:
    carry_out(start(), world, "1.0.0", "o1")


def _second(start: Start, world: World) -> None:
    station = start()
    station.recover()
    stage("2.0.0", "o2")(station)


def _resumed(start: Start, world: World) -> None:
    station = start()
    station.recover()
    station.ask(desired(world, "2.0.0", "o2"))
    pieces = iter(range(2))

    def die() -> None:
        if next(pieces, None) is None:
            station.kill_stager()
            raise PowerCutError

    with suppress(PowerCutError):
        station.step_stager(die)
    _second(start, world)


def _superseded(start: Start, world: World) -> None:
    station = start()
    station.recover()
    station.ask(desired(world, "2.0.0", "o2"))
    pieces = iter(range(2))

    def change() -> None:
        if next(pieces, None) is None and not station.desk.has_newer_order:
            station.ask(desired(world, "3.0.0", "o3"))
        if station.desk.has_newer_order:
            raise SupersededError("another order")

    station.step_stager(change)
    assert station.settle(has_ended)


def _escape(start: Start, world: World) -> None:
    station = start()
    station.recover()
    station.ask(desired(world, "2.0.0", "o2"))
    station.round()
    station.escape(world.digest("2.0.0"))
    assert station.settle(has_ended)
    assert station.journal.record.phase is StagingPhase.BLOCKED


def _confirm_unseen(station: HereStation) -> None:
    """Have a third model confirmed while the stager does not look."""
    stage("3.0.0", "o3")(station)
    for _ in range(8):
        station.step_agent(parts=4)
    assert station.activator.phase is Phase.IDLE


def _collect(start: Start, world: World) -> None:
    station = start()
    before = len(station.slots.names())
    station.recover()
    station.ask(desired(world, "3.0.0", "o3"))
    station.round()
    assert len(station.slots.names()) < before


def _block(station: HereStation) -> None:
    carry_out(station, station.world, BAD, "o9")
    assert station.journal.record.phase is StagingPhase.BLOCKED


def _blocked(start: Start, world: World) -> None:
    station = start()
    carry_out(station, world, BAD, "o9")
    station.clear(world.digest(BAD))
    station.step_stager()
    assert station.settle(has_ended)
    carry_out(station, world, BAD, "o10")


def _fill(station: HereStation) -> None:
    """Leave slots behind that nobody uses."""
    for number in range(5):
        slot = station.places.slots / f"slot-{number:016x}"
        slot.mkdir()
        (slot / "model.onnx").write_bytes(b"of another time")


def _refused(start: Start, world: World) -> None:
    station = start()
    carry_out(station, world, MISSING, "o5")
    assert station.journal.record.phase is StagingPhase.FAILED
    carry_out(station, world, "2.0.0", "o6")


def _withdrawn_whole(start: Start, world: World) -> None:
    """Nothing is ordered for a while, then the model again that was."""
    station = start()
    station.recover()
    station.forget_order()
    station.step_stager()
    carry_out(station, world, "2.0.0", "o3")


def _rotten(start: Start, world: World) -> None:
    """Inference boots and finds last-known-good damaged, while the stager goes on."""
    station = start()  # a stager that has been there all along does not `recover`
    station.ask(desired(world, "2.0.0", "o2"))
    station.step_agent()
    assert station.activator.activation.refused is not None
    assert station.settle(_is_whole_again), station.report()
    station.step_stager()
    assert station.phase is StagingPhase.CONFIRMED


def _is_whole_again(station: HereStation) -> bool:
    """Tell whether 2.0.0 was staged again, and judges."""
    is_live = station.judge.live == station.world.digest("2.0.0")
    return is_live and station.activator.activation.refused is None


STORIES: Final = (
    Scenario(name="rotation", versions=("1.0.0",), act=go_on("2.0.0", "o2"), is_early=True),
    Scenario(name="first", versions=(), act=_first),
    Scenario(name="second", versions=("1.0.0",), act=_second),
    Scenario(name="resumed", versions=("1.0.0",), act=_resumed),
    Scenario(name="superseded", versions=("1.0.0",), act=_superseded),
    Scenario(
        name="activation",
        versions=("1.0.0",),
        prepare=stage("2.0.0", "o2"),
        act=go_on("2.0.0", "o2"),
    ),
    Scenario(name="retrial", versions=("1.0.0",), prepare=begin_trial, act=go_on("2.0.0", "o2")),
    Scenario(name="rollback", versions=("1.0.0",), prepare=stage(BAD, "o9"), act=go_on(BAD, "o9")),
    Scenario(name="fallback", versions=("1.0.0", "2.0.0"), act=_escape),
    Scenario(name="collection", versions=("1.0.0", "2.0.0"), prepare=_confirm_unseen, act=_collect),
    Scenario(name="withdrawn", versions=("1.0.0", "2.0.0"), act=go_on("1.0.0", "o1")),
    Scenario(name="withdrawn_far", versions=("1.0.0", "2.0.0", "3.0.0"), act=go_on("1.0.0", "o1")),
    Scenario(name="unordered", versions=("1.0.0", "2.0.0"), act=_withdrawn_whole),
    Scenario(name="blocked", versions=("1.0.0",), prepare=_block, act=_blocked),
    Scenario(
        name="damaged",
        versions=("1.0.0", "2.0.0"),
        prepare=damage("2.0.0"),
        act=go_on("2.0.0", "o2"),
        is_damaged=True,
    ),
    Scenario(
        name="rotten",
        versions=("1.0.0", "2.0.0"),
        prepare=damage("2.0.0"),
        act=_rotten,
        is_damaged=True,
    ),
    Scenario(name="crowded", versions=("1.0.0",), prepare=_fill, act=go_on("2.0.0", "o2")),
    Scenario(name="refused", versions=("1.0.0",), act=_refused),
)
