"""The audit finds out every accept that the raw writes do not justify, and no other."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.standin.line_bench import CLEAN, FIRST, SCAN, Line

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.standin.line.ladder import Contact, Rule, Rung, accepts
from taktgate.standin.line.program import LineSettings
from taktgate.standin.line.tags_view import ResultSlot


@pytest.fixture
def line() -> Line:
    line = Line()
    line.until_trigger()
    return line


actions = st.lists(
    st.tuples(
        st.integers(15, 120),
        st.sampled_from([*Verdict, None]),
        st.booleans(),
        st.sampled_from([{}, {"SeqEnd": -1}, {"Reject": True}, {"TriggerId": 5}, {"Pass": False}]),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=60)
@given(actions)
def test_the_audit_agrees_with_the_ladder_whatever_is_written(
    written: list[tuple[int, Verdict | None, bool, dict[str, Any]]],
) -> None:
    line = Line()
    line.until_trigger()
    for wait_ms, verdict, ready, members in written:
        line.go(wait_ms)
        with line.between_scans(wait_ms % SCAN):
            line.write("VIS01_Sts", "Ready", ready)
            if verdict is None:
                line.is_alive = not line.is_alive
            else:
                line.result(verdict, **members)
    record = line.closed()

    assert record.items() >= CLEAN.items(), record
    assert line.task.counters.parts == sum(line.task.counters.verdicts.values()) == 1


def without(contact: Contact) -> Rule:
    """Return the rung with one contact bridged."""

    def broken(
        slot: ResultSlot, *, part_id: int, comm_ok: bool, ready: bool, deadline_done: bool
    ) -> Rung:
        rung = accepts(
            slot, part_id=part_id, comm_ok=comm_ok, ready=ready, deadline_done=deadline_done
        )
        left = tuple(found for found in rung.open_contacts if found is not contact)
        return replace(rung, open_contacts=left)

    return broken


@pytest.mark.parametrize(
    ("contact", "members"),
    [
        (Contact.VALID, {"Valid": False}),
        (Contact.SEQUENCE, {"SeqEnd": 99}),
        (Contact.TRIGGER_ID, {"TriggerId": FIRST - RESULT_SLOTS}),
    ],
)
def test_the_audit_finds_out_a_ladder_with_a_bridged_contact(
    contact: Contact, members: dict[str, Any]
) -> None:
    line = Line(rule=without(contact))
    line.until_trigger()
    line.go(40)
    line.result(Verdict.PASS, **members)
    record = line.closed()

    assert record["gate"] == "accept"
    assert record["unsafe"]
    assert line.task.counters.unsafe == 1


def test_the_audit_finds_out_a_ladder_that_does_not_ask_for_ready() -> None:
    line = Line(rule=without(Contact.READY))
    line.until_trigger()
    line.is_ready = False
    line.write("VIS01_Sts", "Ready", False)
    line.go(40)
    line.result(Verdict.PASS)
    record = line.closed()

    assert (record["gate"], record["unsafe"], record["unexplained"]) == ("accept", False, True)


def test_the_audit_finds_out_a_ladder_that_never_opens() -> None:
    def shut(
        slot: ResultSlot, *, part_id: int, comm_ok: bool, ready: bool, deadline_done: bool
    ) -> Rung:
        return Rung(open_contacts=(Contact.VALID,))

    line = Line(rule=shut)
    line.until_trigger()
    line.go(40)
    line.result(Verdict.PASS)
    record = line.closed()

    assert (record["gate"], record["unsafe"], record["unexplained"]) == ("reject", False, True)


def test_the_audit_finds_out_a_pass_that_came_beside_a_second_writer(line: Line) -> None:
    line.go(40)
    line.write("VIS01_Sts", "BootId", 999)
    line.result(Verdict.PASS)
    line.go(110)
    line.write("VIS01_Sts", "BootId", 0)
    record = line.closed()

    assert (record["gate"], record["unsafe"]) == ("accept", True)


def test_a_late_request_of_a_dead_writer_is_no_second_writer(line: Line) -> None:
    line.go(40)
    line.result(Verdict.PASS)
    line.write("VIS01_Sts", "BootId", 999)
    line.write("VIS01_Sts", "BootId", 0)
    record = line.closed()

    assert record.items() >= CLEAN.items()
    assert record["gate"] == "accept"


def test_the_audit_lets_a_writer_take_over_from_a_dead_one() -> None:
    line = Line(presets=LineSettings(deadline_ms=1000, gate_delay_ms=1200))
    line.until_trigger()
    line.is_alive = False
    line.go(350)
    line.write("VIS01_Sts", "BootId", 999)
    line.is_alive = True
    line.go(200)
    line.result(Verdict.PASS)
    line.go(1000)
    (record,) = [event for event in line.events if event["event"] == "part"]

    assert record["gate"] == "accept"
    assert record.items() >= CLEAN.items()


def test_the_audit_knows_the_first_heartbeat_after_a_long_silence_for_a_change() -> None:
    line = Line()
    line.go(200)
    line.is_alive = False
    line.go(3000)
    line.program.production.run(parts=1, rate=10.0, wait_ready_s=0.0)
    while not line.pulses:
        line.go(SCAN)
    line.go(150)
    line.write("VIS01_Sts", "Heartbeat", 1000)
    line.result(Verdict.PASS)
    line.go(200)
    (record,) = [event for event in line.events if event["event"] == "part"]

    assert record["gate"] == "accept"
    assert record.items() >= CLEAN.items()


def test_the_audit_remembers_a_part_that_takes_a_minute_to_its_gate() -> None:
    line = Line(presets=LineSettings(deadline_ms=10_000, gate_delay_ms=60_000))
    line.until_trigger()
    line.go(40)
    line.result(Verdict.PASS)
    line.go(60_100)
    (record,) = [event for event in line.events if event["event"] == "part"]

    assert record["gate"] == "accept"
    assert record.items() >= CLEAN.items()
