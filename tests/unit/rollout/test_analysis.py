import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


@pytest.mark.parametrize(
    ("inspection", "stager", "state"),
    [
        (None, None, S.PENDING),
        ({"confirmedOrder": "o1"}, {"phase": "staged", "order": "o1"}, S.PENDING),
        ({}, {"phase": "fetching", "order": "o2", "lastError": ERROR}, S.PENDING),
        ({"phase": "trial", "order": "o2"}, {"phase": "staged", "order": "o2"}, S.PENDING),
        ({"confirmedOrder": "o2"}, None, S.CONFIRMED),
        ({"lastRollback": ROLLBACK}, {"phase": "staged", "order": "o2"}, S.ROLLED_BACK),
        ({"lastRollback": ROLLBACK, "confirmedOrder": "o2"}, None, S.ROLLED_BACK),
        ({"lastRollback": {**ROLLBACK, "order": "o1"}, "confirmedOrder": "o2"}, None, S.CONFIRMED),
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
    if inspection is not None:
        inspection = {"contract": "1.0", "code": "1", "phase": "live"} | inspection
    if stager is not None:
        stager = {"contract": "1.0", "code": "1"} | stager
    # Twice through JSON, as through a hub.
    wire = json.loads(json.dumps([inspection, stager]))
    station = read_station("vis-1", "canary", "o2", inspection=wire[0], stager=wire[1])
    assert station.state is state
