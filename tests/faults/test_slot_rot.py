"""A slot that rots on the disk, between real stager, real agent and real loading."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from crash_campaign.course import carry_out, damage, has_ended, stage
from crash_campaign.station import HereStation
from crash_campaign.world import World

from taktgate.contracts.twins import StagingPhase


def test_a_slot_that_rots_before_it_is_loaded_is_staged_and_tried_again_by_the_same_processes(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world")
    station = HereStation(tmp_path / "station", world)
    carry_out(station, world, "1.0.0", "o1")
    stage("2.0.0", "o2")(station)
    damage("2.0.0")(station)
    station.step_agent()
    assert station.activator.activation.refused is not None
    assert station.settle(has_ended), station.report()
    station.step_stager()
    report, announced = station.report(), station.journal.announced
    assert (report.phase, report.live) == (StagingPhase.CONFIRMED, world.model("2.0.0"))
    assert announced is not None
    assert announced.renewed == 1
    assert station.activator.activation.refused is None


def test_a_last_known_good_that_rots_is_staged_again_by_a_stager_that_was_not_restarted(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "world")
    station = HereStation(tmp_path / "station", world)
    carry_out(station, world, "1.0.0", "o1")
    carry_out(station, world, "2.0.0", "o2")
    damage("2.0.0")(station)
    for renewed in (1, 2):
        restart_inference(station)
        station.step_agent()
        station.step_agent()
        assert station.judge.live == world.digest("1.0.0"), "it stands in"
        refused = station.activator.activation.refused
        assert refused is not None
        assert refused.reason == "DIGEST"
        station.round()
        station.round()
        assert station.judge.live == world.digest("2.0.0")
        assert station.activator.activation.refused is None
        announced = station.journal.announced
        assert announced is not None
        assert announced.renewed == renewed
        station.step_stager()
        assert station.report().phase is StagingPhase.CONFIRMED
        damage("2.0.0")(station)


def restart_inference(station: HereStation) -> None:
    """Have judge and agent start anew, and the stager go on."""
    station.judge.restart()
    station.restart_agent()
