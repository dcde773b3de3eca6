import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.twins import ModelOrder
from taktgate.rollout.analysis import BAD, Outcome, Station, StationState, assess, read_station
from taktgate.rollout.plan import Ring

RING = Ring(name="canary", target="tags.ring='canary'", stations_min=2, confirmed_share=0.6)
S = StationState


def stations(*states: StationState, ring: str = "canary") -> list[Station]:
    return [
        Station(device_id=f"vis-{number}", ring=ring, state=state)
        for number, state in enumerate(states)
    ]


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ((), Outcome.INCONCLUSIVE),
        ((S.CONFIRMED,), Outcome.INCONCLUSIVE),
        ((S.PENDING, S.PENDING), Outcome.INCONCLUSIVE),
        ((S.CONFIRMED, S.PENDING), Outcome.INCONCLUSIVE),
        ((S.CONFIRMED, S.CONFIRMED, S.PENDING), Outcome.SUCCESSFUL),
        ((S.CONFIRMED, S.CONFIRMED, S.UNREADABLE), Outcome.ERROR),
        ((S.CONFIRMED, S.CONFIRMED, S.ROLLED_BACK), Outcome.FAILED),
        ((S.NOT_STAGED, S.UNREADABLE), Outcome.FAILED),
    ],
)
def test_four_answers(states: tuple[StationState, ...], outcome: Outcome) -> None:
    assessment = assess(RING, stations(*states))
    assert assessment.outcome is outcome
    assert assessment.reason
    assert assessment.figures["stations"] == len(states)


def test_stations_of_earlier_rings_count_for_failure_but_not_as_this_ring() -> None:
    earlier = stations(S.CONFIRMED, S.CONFIRMED, S.CONFIRMED, ring="first")
    assert assess(RING, earlier).outcome is Outcome.INCONCLUSIVE
    both = [*stations(S.CONFIRMED, S.CONFIRMED), *stations(S.ROLLED_BACK, ring="first")]
    assert assess(RING, both).outcome is Outcome.FAILED


@given(st.lists(st.sampled_from(StationState)), st.integers(0, 3))
def test_success_needs_enough_confirmed_none_unreadable_and_no_failure_too_many(
    states: list[StationState], failed_max: int
) -> None:
    ring = RING.model_copy(update={"failed_max": failed_max})
    outcome = assess(ring, stations(*states)).outcome
    bad = sum(state in BAD for state in states)
    assert (outcome is Outcome.FAILED) == (bad > failed_max)
    if outcome is Outcome.SUCCESSFUL:
        assert S.UNREADABLE not in states
        assert len(states) >= RING.stations_min
        assert states.count(S.CONFIRMED) >= RING.confirmed_share * len(states)


ROLLBACK = {
    "digest": "sha256:" + "0" * 64,
    "order": "o2",
    "reason": "REJECT_RATE",
    "figures": {},
    "message": "five times",
    "at": "2026-11-22T00:00:00Z",
}
ERROR = {"reason": "SIGNATURE", "message": "not trusted", "order": "o2"}
MODEL = ModelOrder(name="weld-seam", version="2.0.0", order="o2")
DIGEST = "sha256:" + "0" * 64
GOOD = {"name": "weld-seam", "version": "2.0.0", "digest": DIGEST}
CONFIRMED = {"confirmedOrder": "o2", "lastKnownGood": GOOD, "live": GOOD, "order": "o2"}
STAGED = {"phase": "staged", "order": "o2"}


@pytest.mark.parametrize(
    ("inspection", "stager", "state"),
    [
        (None, None, S.PENDING),
        (CONFIRMED | {"confirmedOrder": "o1"}, {"phase": "staged", "order": "o1"}, S.PENDING),
        ({}, {"phase": "fetching", "order": "o2", "lastError": ERROR}, S.PENDING),
        ({"phase": "trial", "order": "o2"}, {"phase": "staged", "order": "o2"}, S.PENDING),
        (CONFIRMED, None, S.CONFIRMED),
        (CONFIRMED, STAGED, S.CONFIRMED),
        ({"lastRollback": ROLLBACK}, {"phase": "staged", "order": "o2"}, S.ROLLED_BACK),
        (CONFIRMED | {"lastRollback": ROLLBACK}, None, S.ROLLED_BACK),
        (CONFIRMED | {"lastRollback": {**ROLLBACK, "order": "o1"}}, None, S.CONFIRMED),
        ({}, {"phase": "failed", "order": "o2", "lastError": ERROR}, S.NOT_STAGED),
        ({}, {"phase": "failed", "order": "o1", "lastError": ERROR}, S.PENDING),
        ({}, {"phase": "blocked", "order": "o2"}, S.NOT_STAGED),
        ({"phase": "no such phase"}, None, S.UNREADABLE),
        ({}, {"phase": "staged", "more": 1}, S.UNREADABLE),
    ],
)
def test_what_a_station_reports_is_read(
    inspection: dict[str, Any] | None, stager: dict[str, Any] | None, state: StationState
) -> None:
    assert read(inspection, stager).state is state


def test_a_station_with_newer_modules_is_read_as_far_as_it_is_known() -> None:
    newer = {"contract": "1.99", "mood": "good"}
    inspection = CONFIRMED | newer | {"lastKnownGood": GOOD | {"trained": "2031"}}
    assert read(inspection, STAGED | newer).state is S.CONFIRMED


@pytest.mark.parametrize(
    "good", [None, GOOD | {"version": "1.0.0"}, GOOD | {"name": "other"}], ids=str
)
@pytest.mark.parametrize("stager", [None, STAGED], ids=str)
def test_an_order_used_before_for_another_model_is_no_confirmation(
    good: dict[str, Any] | None, stager: dict[str, Any] | None
) -> None:
    station = read(CONFIRMED | {"lastKnownGood": good}, stager)
    assert station.state is S.PENDING
    assert "new order" in station.detail


@pytest.mark.parametrize(
    ("live", "judges"),
    [
        (None, "no model"),
        (GOOD | {"version": "1.0.0"}, "1.0.0"),
        (GOOD | {"name": "other"}, "2.0.0"),
    ],
)
def test_a_station_on_which_another_model_stands_in_is_open_and_says_so(
    live: dict[str, Any] | None, judges: str
) -> None:
    station = read(CONFIRMED | {"live": live}, STAGED)
    assert (station.state, station.detail) == (S.PENDING, f"confirmed, but {judges} judges")


@pytest.mark.parametrize("reason", ["GOLDEN", "BLOCKED", "CONTRACT", "NO_WAY_BACK"])
@pytest.mark.parametrize("phase", ["live", "rolledBack", "notReady"])
def test_a_station_that_refuses_the_model_has_failed_and_says_why(reason: str, phase: str) -> None:
    error = {"reason": reason, "message": "score 0.9, must be 0.1", "order": "o2"}
    station = read({"phase": phase, "lastError": error}, STAGED)
    assert (station.state, station.detail) == (S.NOT_STAGED, f"{reason}: score 0.9, must be 0.1")
    reused = read(CONFIRMED | {"lastKnownGood": None, "lastError": error}, STAGED)
    assert reused.state is S.NOT_STAGED


@pytest.mark.parametrize(
    "error",
    [
        {"reason": "WAITING", "message": "waits until Enable is off", "order": "o2"},
        {"reason": "GOLDEN", "message": "of another order", "order": "o1"},
        {"reason": "METRICS_PORT", "message": "a fault of the module", "order": None},
    ],
    ids=lambda error: error["reason"],
)
def test_an_error_that_is_no_refusal_of_this_order_leaves_it_pending(error: dict[str, Any]) -> None:
    assert read({"lastError": error}, STAGED).state is S.PENDING


@pytest.mark.parametrize("order", [None, "o2"])
def test_why_an_order_is_not_taken_up_is_shown(order: str | None) -> None:
    error = {"reason": "BAD_TWIN", "message": "field 'repository'", "order": order}
    station = read({}, {"phase": "staged", "order": "o1", "lastError": error})
    assert station.state is S.PENDING
    assert "BAD_TWIN: field 'repository'" in station.detail


@pytest.mark.parametrize("phase", ["notReady", "starting", "trial"])
def test_a_confirmed_model_that_does_not_judge_now_is_not_counted(phase: str) -> None:
    station = read(CONFIRMED | {"phase": phase}, STAGED)
    assert (station.state, station.detail) == (S.PENDING, f"confirmed, but inspection {phase}")


def read(inspection: dict[str, Any] | None, stager: dict[str, Any] | None) -> Station:
    """Return what a station's reports, by default complete and sound, say about MODEL."""
    if inspection is not None:
        inspection = {"contract": "1.0", "code": "1", "phase": "live"} | inspection
    if stager is not None:
        stager = {"contract": "1.0", "code": "1"} | stager
    # Twice through JSON, as through a hub.
    wire = json.loads(json.dumps([inspection, stager]))
    return read_station("vis-1", "canary", MODEL, inspection=wire[0], stager=wire[1])


ORDER = ModelOrder(name="weld-seam", version="2.0.0", order="o2")


def staged(**changes: Any) -> Station:
    """Return the station that a stager's report with *changes* makes."""
    report = {"contract": "1.2", "code": "0.1.0", "order": "o2"} | changes
    return read_station("vis-1", "canary", ORDER, inspection=None, stager=report)


def test_a_held_station_is_no_success_and_no_failure_and_says_why() -> None:
    held = staged(phase="held", hold="window 22:00-06:00")
    assert held.state is S.PENDING
    assert held.detail == "held window 22:00-06:00"
    ring = RING.model_copy(update={"stations_min": 1})
    assert assess(ring, [held]).outcome is Outcome.INCONCLUSIVE


def test_an_obstacle_is_shown_with_the_time_of_the_next_try() -> None:
    error = {
        "reason": "UNREACHABLE",
        "message": "no answer",
        "order": "o2",
        "retryAt": "2026-11-26T10:00:00+00:00",
    }
    said = staged(phase="fetching", lastError=error)
    assert said.state is S.PENDING
    assert "UNREACHABLE" in said.detail
    assert "tries again at 2026-11-26T10:00:00+00:00" in said.detail


@pytest.mark.parametrize("phase", ["failed", "blocked"])
def test_an_order_that_the_stager_gave_up_fails_its_station(phase: str) -> None:
    error = {"reason": "NOT_PERMITTED", "message": "revoked", "order": "o2"}
    said = staged(phase=phase, lastError=error)
    assert (said.state, said.detail) == (S.NOT_STAGED, "NOT_PERMITTED: revoked")


@pytest.mark.parametrize("phase", ["verifying", "testing", "staged", "trial", "confirmed"])
def test_only_inference_confirms_a_model(phase: str) -> None:
    assert staged(phase=phase).state is S.PENDING
