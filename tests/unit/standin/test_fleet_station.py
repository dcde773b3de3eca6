"""A light station reports what `taktgate rollout` would read of a real one, good days and bad."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.standin.light_station import LightStation

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.contracts.twins import InspectionPhase, StagingPhase
from taktgate.rollout.analysis import StationState
from taktgate.standin.azure.fleet.faults import Fault, FaultKind, Faults


def station_on_first_model(*faults: Fault, seed: int = 1) -> LightStation:
    station = LightStation(*faults, seed=seed)
    station.order("1.0.0", "base")
    station.wait()
    return station


def test_first_model_is_staged_and_confirmed_without_a_trial() -> None:
    station = station_on_first_model()
    assert station.seen == {
        MODEL_STAGER: ["idle", "fetching", "verifying", "staged", "confirmed"],
        INFERENCE: ["notReady", "loading", "live"],
    }
    assert station.as_rollout_reads("1.0.0", "base").state is StationState.CONFIRMED


def test_second_model_goes_through_a_trial_and_is_confirmed() -> None:
    station = station_on_first_model()
    station.order("2.0.0", "o2")
    station.wait()
    assert station.seen[MODEL_STAGER][5:] == [
        "fetching",
        "verifying",
        "staged",
        "trial",
        "confirmed",
    ]
    assert station.seen[INFERENCE][3:] == ["loading", "trial", "live"]
    assert station.as_rollout_reads("2.0.0", "o2").state is StationState.CONFIRMED
    assert station.live == "2.0.0"


def test_order_takes_the_time_of_its_pace() -> None:
    station = station_on_first_model()
    station.order("2.0.0", "o2")
    station.wait(1.0)
    assert station.stager.phase is StagingPhase.FETCHING
    assert station.as_rollout_reads("2.0.0", "o2").state is StationState.PENDING
    station.wait(30.0)
    assert station.inspection.phase is InspectionPhase.TRIAL
    assert (station.live, station.as_rollout_reads("2.0.0", "o2").state) == (
        "2.0.0",
        StationState.PENDING,
    )


BAD = {
    FaultKind.ROLLED_BACK: (StationState.ROLLED_BACK, "OVER_REJECT", StagingPhase.BLOCKED),
    FaultKind.REFUSED: (StationState.NOT_STAGED, "GOLDEN", StagingPhase.STAGED),
    FaultKind.NOT_FOUND: (StationState.NOT_STAGED, "NOT_FOUND", StagingPhase.FAILED),
    FaultKind.SILENT: (StationState.PENDING, "not taken the order up", StagingPhase.CONFIRMED),
}


@pytest.mark.parametrize("kind", FaultKind)
def test_fault_ends_the_order_and_leaves_the_old_model_live(kind: FaultKind) -> None:
    station = station_on_first_model(Fault(kind=kind, version="2.0.0"))
    station.order("2.0.0", "o2")
    station.wait()
    state, detail, phase = BAD[kind]
    read = station.as_rollout_reads("2.0.0", "o2")
    assert (read.state, station.stager.phase, station.live) == (state, phase, "1.0.0")
    assert detail in read.detail


def test_bad_model_is_sent_back_after_the_parts_of_its_fault() -> None:
    station = station_on_first_model(
        Fault(kind=FaultKind.ROLLED_BACK, version="2.0.0", after_parts=7)
    )
    station.order("2.0.0", "o2")
    station.wait()
    rollback = station.inspection.lastRollback
    assert rollback is not None
    assert rollback.figures["parts"] == 7.0


def test_withdrawn_layer_brings_the_old_model_back_without_fetching_it() -> None:
    station = station_on_first_model(Fault(kind=FaultKind.ROLLED_BACK, version="2.0.0"))
    station.order("2.0.0", "o2")
    station.wait()
    station.order("1.0.0", "base")
    station.wait(3.0)
    assert station.as_rollout_reads("1.0.0", "base").state is StationState.CONFIRMED
    assert station.stager.phase is StagingPhase.CONFIRMED


def test_blocked_model_is_tried_again_by_a_new_order_only() -> None:
    station = station_on_first_model(Fault(kind=FaultKind.ROLLED_BACK, version="2.0.0"))
    for order in ("o2", "base", "o2"):
        station.order("1.0.0" if order == "base" else "2.0.0", order)
        station.wait()
    assert station.stager.phase is StagingPhase.BLOCKED
    assert station.as_rollout_reads("2.0.0", "o2").state is StationState.ROLLED_BACK
    station.order("2.0.0", "o3")
    station.wait(25.0)
    assert station.inspection.phase is InspectionPhase.TRIAL


def test_order_during_a_trial_waits_until_that_has_settled() -> None:
    station = station_on_first_model()
    station.order("2.0.0", "o2")
    station.wait(40.0)
    assert station.inspection.phase is InspectionPhase.TRIAL
    station.order("3.0.0", "o3")
    station.wait(1.0)
    assert (station.stager.order, station.stager.phase) == ("o2", StagingPhase.TRIAL)
    station.wait()
    assert station.as_rollout_reads("3.0.0", "o3").state is StationState.CONFIRMED


def test_notice_during_a_load_waits_until_the_trial_after_it_has_settled() -> None:
    station = station_on_first_model()
    station.order("2.0.0", "o2")
    while station.inspection.phase is not InspectionPhase.LOADING:
        station.wait(0.1)
    station.order("1.0.0", "o3")
    station.wait(20.0)
    assert (station.stager.phase, station.live) == (StagingPhase.STAGED, "2.0.0")
    station.wait()
    assert station.as_rollout_reads("1.0.0", "o3").state is StationState.CONFIRMED


def test_order_for_a_changeover_waits_for_the_line() -> None:
    station = station_on_first_model()
    station.order("2.0.0", "o2", activation="changeover")
    station.wait(40.0)
    error = station.inspection.lastError
    assert error is not None
    assert (error.reason, station.live) == ("WAITING", "1.0.0")
    station.wait()
    assert station.as_rollout_reads("2.0.0", "o2").state is StationState.CONFIRMED


def test_malformed_twin_is_reported_and_changes_nothing() -> None:
    station = station_on_first_model()
    station.desire({"model": {"name": "weld-seam"}, "repository": "https://models.example"})
    station.wait()
    error = station.stager.lastError
    assert error is not None
    assert (error.reason, station.live) == ("BAD_TWIN", "1.0.0")


@pytest.mark.parametrize("kind", [FaultKind.ROLLED_BACK, None])
def test_restarted_station_goes_on_with_what_it_had_reported(kind: FaultKind | None) -> None:
    faults = [] if kind is None else [Fault(kind=kind, version="2.0.0")]
    station = station_on_first_model(*faults)
    station.order("2.0.0", "o2")
    station.wait()
    again = LightStation(*faults, reported=station.reports())
    again.order("2.0.0", "o2")
    again.wait()
    assert again.as_rollout_reads("2.0.0", "o2").state == (
        station.as_rollout_reads("2.0.0", "o2").state
    )
    assert again.live == station.live
    assert InspectionPhase.TRIAL not in again.seen[INFERENCE]


def test_share_of_a_fault_hits_that_share_of_the_stations_and_the_same_ones_each_time() -> None:
    def hits() -> list[bool]:
        faults = Faults([Fault(kind=FaultKind.NOT_FOUND, share=0.3)], seed=5)
        return [faults.of(f"station-{number}", "1.0.0") is not None for number in range(400)]

    assert 0.2 < sum(hits()) / 400 < 0.4
    assert hits() == hits()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("123"), st.sampled_from(["a", "b", "c"])),
        st.floats(0.0, 60.0),
        st.just({"model": None}),
    ),
    max_size=12,
)
FAULTS = st.lists(
    st.builds(
        Fault,
        kind=st.sampled_from([k for k in FaultKind if k is not FaultKind.SILENT]),
        version=st.sampled_from(["1.0.0", "2.0.0"]),
    ),
    max_size=2,
)


@given(STEPS, FAULTS, st.integers(0, 50))
def test_whatever_is_ordered_the_last_order_settles(
    steps: list[object], faults: list[Fault], seed: int
) -> None:
    station = LightStation(*faults, seed=seed)
    for step in steps:
        match step:
            case (str() as major, str() as order):
                station.order(f"{major}.0.0", order)
            case float() as seconds:
                station.wait(seconds)
            case dict():
                station.desire({"model": None})
    station.order("2.0.0", "last")
    station.wait()
    assert station.as_rollout_reads("2.0.0", "last").state is not StationState.PENDING
