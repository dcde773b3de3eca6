from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.plc.contract.tags import RESULT
from taktgate.standin.line.ladder import Contact, accepts
from taktgate.standin.line.tags_view import ResultSlot, decode_slot

PART = 4711


@given(
    begin=st.integers(-3, 3),
    end=st.integers(-3, 3),
    trigger_id=st.sampled_from([PART, PART - 8, PART + 8, 0, -PART]),
    decision=st.integers(-1, 5),
)
def test_accept_is_exactly_the_conjunction_of_all_conditions(
    begin: int, end: int, trigger_id: int, decision: int
) -> None:
    for comm_ok, ready, valid, passed, reject, late, done in product((False, True), repeat=7):
        slot = ResultSlot(
            seq_begin=begin,
            seq_end=end,
            trigger_id=trigger_id,
            decision=decision,
            valid=valid,
            passed=passed,
            reject=reject,
            late=late,
        )

        rung = accepts(slot, part_id=PART, comm_ok=comm_ok, ready=ready, deadline_done=done)

        assert rung.accept == all(
            (
                comm_ok,
                ready,
                valid,
                begin == end,
                trigger_id == PART,
                decision == 1,
                passed,
                not reject,
                not late,
                not done,
            )
        )


@pytest.mark.parametrize(
    ("change", "facts", "contact"),
    [
        ({}, {"comm_ok": False}, Contact.COMM_OK),
        ({}, {"ready": False}, Contact.READY),
        ({"valid": False}, {}, Contact.VALID),
        ({"seq_end": 6}, {}, Contact.SEQUENCE),
        ({"trigger_id": PART - 8}, {}, Contact.TRIGGER_ID),
        ({"decision": 0}, {}, Contact.DECISION),
        ({"decision": 3}, {}, Contact.DECISION),
        ({"passed": False}, {}, Contact.PASS_BIT),
        ({"reject": True}, {}, Contact.REJECT_BIT),
        ({"late": True}, {}, Contact.LATE_BIT),
        ({}, {"deadline_done": True}, Contact.DEADLINE),
    ],
)
def test_the_one_open_contact_is_named(
    change: dict[str, int], facts: dict[str, bool], contact: Contact
) -> None:
    good: dict[str, int] = {
        "seq_begin": 5,
        "seq_end": 5,
        "trigger_id": PART,
        "decision": 1,
        "valid": True,
        "passed": True,
    }
    slot = ResultSlot(**{**good, **change})  # type: ignore[arg-type]
    state = {"comm_ok": True, "ready": True, "deadline_done": False, **facts}

    assert accepts(slot, part_id=PART, **state).open_contacts == (contact,)


def test_an_empty_slot_keeps_the_gate_shut() -> None:
    empty = decode_slot(bytes(RESULT.size))

    rung = accepts(empty, part_id=0, comm_ok=True, ready=True, deadline_done=False)

    assert not rung.accept
