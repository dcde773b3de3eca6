"""The belt and the flap, under a clock that the test turns."""

import pytest

from taktgate.standin.line.conveyor import PULSES_PER_MS, BeltSettings, Conveyor

MS = 1_000_000


@pytest.fixture
def belt() -> Conveyor:
    return Conveyor(BeltSettings(gate_delay_ms=300, flap_ms=100, gate_move_ms=30))


def flap(belt: Conveyor, at_ms: int) -> tuple[bool, int | None]:
    picture = belt.picture(at_ms * MS)["flap"]
    return picture["is_open"], picture["for_part"]


def test_the_eye_asks_for_one_part_at_a_time_in_the_order_of_the_belt(belt: Conveyor) -> None:
    belt.enter(1, 0)
    belt.enter(2, 40 * MS)
    assert belt.at_gate(299 * MS) == ()
    assert belt.at_gate(345 * MS) == (1,)
    belt.sort(1, 345 * MS, is_accepted=True)
    assert belt.at_gate(345 * MS) == (2,)


def test_a_decision_that_the_flap_cannot_follow_is_too_late(belt: Conveyor) -> None:
    belt.enter(1, 0)
    assert belt.out_of_reach(370 * MS) == ()
    assert belt.out_of_reach(371 * MS) == (1,)
    assert belt.at_gate(371 * MS) == ()


def test_the_flap_opens_after_its_own_delay_and_closes_behind_its_part(belt: Conveyor) -> None:
    belt.enter(1, 0)
    belt.sort(1, 300 * MS, is_accepted=True)
    seen = {at_ms: flap(belt, at_ms) for at_ms in (300, 329, 330, 400, 401)}

    shut, opened = (False, None), (True, 1)
    assert seen == {300: shut, 329: shut, 330: opened, 400: opened, 401: shut}


def test_the_flap_rests_for_a_rejected_part(belt: Conveyor) -> None:
    belt.enter(1, 0)
    belt.sort(1, 300 * MS, is_accepted=False)

    assert flap(belt, 380) == (False, None)


def test_positions_are_encoder_pulses_and_parts_leave_the_picture_behind_the_flap(
    belt: Conveyor,
) -> None:
    belt.enter(1, 0)
    (part,) = belt.picture(150 * MS)["parts_on_belt"]
    assert part == {"trigger_id": 1, "position": 150 * PULSES_PER_MS, "state": "waiting"}
    belt.sort(1, 300 * MS, is_accepted=False)
    assert belt.picture(400 * MS)["parts_on_belt"][0]["state"] == "rejected"
    assert belt.picture(2000 * MS)["parts_on_belt"] == []


@pytest.mark.parametrize(
    ("presets", "rule"),
    [({"flap_ms": 10}, "flap_ms"), ({"flap_ms": 100, "gate_move_ms": 90}, "gate_move_ms")],
)
def test_a_flap_that_cannot_work_is_refused_by_name(presets: dict[str, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        BeltSettings(gate_delay_ms=300, **presets)
