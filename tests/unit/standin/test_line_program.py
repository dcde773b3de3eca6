"""The line program: what opens the gate, and what leaves it at rest."""

from itertools import pairwise
from typing import Any

import pytest
from tests.unit.standin.line_bench import CLEAN, FIRST, MS, SCAN, Line, facts

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.standin.line.ladder import Contact
from taktgate.standin.line.program import LineProgram, LineSettings


@pytest.fixture
def line() -> Line:
    line = Line()
    line.until_trigger()
    return line


def test_a_pass_in_time_opens_the_gate_and_is_acknowledged(line: Line) -> None:
    line.go(40)
    line.result(Verdict.PASS)
    line.go(5)
    assert line.command("AckSeq") == 1
    record = line.closed()

    assert facts(record) == ("PASS", "NONE", "accept", "ACCEPTED")
    assert (record["ack_ms"], record["result_seq"]) == (45.0, 1)
    assert record["trigger_ns"] == line.pulses[0][1]
    assert record["gate_ns"] - record["trigger_ns"] == 300 * MS
    assert record.items() >= {**CLEAN, "second_verdict": False, "late_write": False}.items()


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.FAIL, Reason.NONE),
        (Verdict.NO_DECISION, Reason.TIMEOUT),
        (Verdict.NO_DECISION, Reason.MODEL_ERROR),
        (Verdict.LATE, Reason.EXPIRED),
    ],
)
def test_any_other_verdict_leaves_the_gate_at_rest_with_its_reason(
    line: Line, verdict: Verdict, reason: Reason
) -> None:
    line.go(40)
    line.result(verdict, reason)
    record = line.closed()

    assert facts(record) == (verdict, reason, "reject", Contact.DECISION)
    assert record["ack_ms"] == 45.0
    assert record.items() >= CLEAN.items()


def test_a_silent_part_is_closed_as_no_decision(line: Line) -> None:
    record = line.closed()

    assert facts(record) == ("NO_DECISION", "SILENT", "reject", Contact.VALID)
    assert (record["ack_ms"], record["result_seq"]) == (None, 0)
    assert record.items() >= CLEAN.items()


def test_a_pass_after_the_deadline_counts_as_late(line: Line) -> None:
    line.go(200)
    line.result(Verdict.PASS)
    record = line.closed()

    assert facts(record) == ("LATE", "EXPIRED", "reject", Contact.DEADLINE)
    assert (record["late_write"], record["ack_ms"]) == (True, None)
    assert line.command("AckSeq") == 0
    assert record.items() >= CLEAN.items()


def test_the_writers_own_late_answer_keeps_its_reason(line: Line) -> None:
    line.go(230)
    line.result(Verdict.NO_DECISION, Reason.NO_VERDICT)

    assert facts(line.closed()) == ("NO_DECISION", "NO_VERDICT", "reject", Contact.DEADLINE)


def test_a_reject_before_the_deadline_revokes_a_pass(line: Line) -> None:
    line.go(40)
    line.result(Verdict.PASS)
    line.go(100)
    line.result(Verdict.NO_DECISION, Reason.CONFLICT)
    record = line.closed()

    assert facts(record) == ("NO_DECISION", "CONFLICT", "reject", "REVOKED")
    assert record["second_verdict"]
    assert record.items() >= CLEAN.items()


def test_a_reject_in_the_last_scan_before_the_deadline_still_revokes(line: Line) -> None:
    line.go(40)
    line.result(Verdict.PASS)
    line.go(155)
    with line.between_scans(4):
        line.result(Verdict.FAIL)
    record = line.closed()

    assert facts(record)[2:] == ("reject", "REVOKED")
    assert record.items() >= CLEAN.items()


@pytest.mark.parametrize("decision", [0, 5, -1])
def test_a_result_of_an_unknown_decision_revokes_a_pass(line: Line, decision: int) -> None:
    line.go(40)
    line.result(Verdict.PASS)
    line.go(20)
    line.result(Verdict.FAIL, Decision=decision)
    record = line.closed()

    assert facts(record) == ("NO_DECISION", "CONTRACT", "reject", "REVOKED")
    assert record.items() >= CLEAN.items()


def test_a_part_whose_slot_another_one_takes_is_rejected(line: Line) -> None:
    """As by the rungs: they keep eight parts, each by its slot."""
    line.go(40)
    line.result(Verdict.PASS)
    line.go(20)
    assert isinstance(line.program, LineProgram)
    line.program._parts.take_slot(FIRST + RESULT_SLOTS)
    assert line.closed()["gate"] == "reject"


def test_a_pass_does_not_undo_a_reject(line: Line) -> None:
    line.go(40)
    line.result(Verdict.FAIL)
    line.go(40)
    line.result(Verdict.PASS)
    record = line.closed()

    assert facts(record)[:3] == ("FAIL", "NONE", "reject")
    assert record["second_verdict"]
    assert record.items() >= CLEAN.items()


def test_the_same_result_again_is_no_second_verdict(line: Line) -> None:
    line.go(40)
    line.result(Verdict.PASS)
    line.go(20)
    line.result(Verdict.PASS)
    record = line.closed()

    assert facts(record)[2] == "accept"
    assert not record["second_verdict"]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"Valid": False}, Contact.VALID),
        ({"SeqEnd": 99}, Contact.SEQUENCE),
        ({"TriggerId": FIRST - RESULT_SLOTS}, Contact.TRIGGER_ID),
    ],
)
def test_a_torn_foreign_or_unfinished_result_is_none(
    line: Line, members: dict[str, Any], why: Contact
) -> None:
    line.go(40)
    line.result(Verdict.PASS, **members)
    record = line.closed()

    assert facts(record) == ("NO_DECISION", "SILENT", "reject", why)
    assert record.items() >= CLEAN.items()


@pytest.mark.parametrize(
    "members",
    [{"Reject": True}, {"Late": True}, {"Pass": False}, {"Decision": 2}, {"Decision": 3}],
)
def test_a_result_that_contradicts_itself_is_no_decision(
    line: Line, members: dict[str, Any]
) -> None:
    line.go(40)
    line.result(Verdict.PASS, **members)
    record = line.closed()

    assert facts(record)[:3] == ("NO_DECISION", "CONTRACT", "reject")
    assert record.items() >= CLEAN.items()


def test_an_old_pass_in_the_slot_is_cleared_by_the_trigger() -> None:
    line = Line()
    line.result(Verdict.PASS, part=FIRST)
    line.until_trigger()

    assert facts(line.closed()) == ("NO_DECISION", "SILENT", "reject", Contact.VALID)


def test_results_of_before_the_start_are_cleared_by_the_first_scan() -> None:
    line = Line()
    for slot in range(RESULT_SLOTS):
        line.write("VIS01_Result", "Valid", True, slot)
    line.go(SCAN)

    assert not any(line.memory.load("VIS01_Result", "Valid", slot) for slot in range(RESULT_SLOTS))


def test_hb_fault_is_set_until_the_first_heartbeat_change_and_again_400_ms_after_the_last() -> None:
    line = Line()
    line.is_alive = False
    line.write("VIS01_Sts", "Heartbeat", 77)
    line.go(1000)
    assert line.command("HbFault") is True
    line.write("VIS01_Sts", "Heartbeat", 78)
    line.go(5)
    assert line.command("HbFault") is False
    line.go(395)
    assert line.command("HbFault") is False
    line.go(5)
    assert line.command("HbFault") is True


def test_a_pass_is_not_acted_on_when_the_heartbeat_stands_still_at_the_gate() -> None:
    line = Line(presets=LineSettings(gate_delay_ms=500))
    line.until_trigger()
    line.is_alive = False
    line.go(40)
    line.result(Verdict.PASS)
    line.go(200)
    record = line.closed()

    assert facts(record) == ("PASS", "NONE", "reject", Contact.COMM_OK)
    assert record.items() >= CLEAN.items()


def test_a_pass_without_ready_is_rejected_and_explained(line: Line) -> None:
    line.write("VIS01_Sts", "Ready", False)
    line.is_ready = False
    line.go(40)
    line.result(Verdict.PASS)
    record = line.closed()

    assert facts(record) == ("PASS", "NONE", "reject", Contact.READY)
    assert record.items() >= CLEAN.items()


def test_parts_keep_coming_whatever_the_vision_side_does(line: Line) -> None:
    line = Line()
    line.until_trigger(parts=20)
    line.is_alive = False
    line.go(3000)

    parts = [event for event in line.events if event["event"] == "part"]
    assert [part["trigger_id"] for part in parts] == list(range(FIRST, FIRST + 20))
    gaps = {after[1] - before[1] for before, after in pairwise(line.pulses)}
    assert gaps == {100 * MS}
    finished = line.events[-1]
    assert finished["event"] == "finished"
    assert sum(finished["verdicts"].values()) == finished["parts"] == 20
    assert line.command("Enable") is False


def test_the_first_part_waits_for_the_vision_side_but_not_for_ever() -> None:
    line = Line()
    line.is_alive = False
    line.program.production.run(parts=1, rate=10, wait_ready_s=2.0)
    line.go(2000)
    assert not line.pulses
    assert line.command("Enable") is True
    line.go(200)
    assert len(line.pulses) == 1


def test_a_scan_that_comes_late_loses_no_part_and_does_not_bunch_them() -> None:
    line = Line()
    line.until_trigger(parts=10)
    line.now += 1000 * MS
    line.go(1500)

    times = [at for _, at in line.pulses]
    assert len(times) == 10
    assert min(after - before for before, after in pairwise(times)) >= 50 * MS


def test_states_are_told_once_per_change(line: Line) -> None:
    line.is_alive = False
    line.go(1000)

    states = [(e["comm_ok"], e["ready"]) for e in line.events if e["event"] == "state"]
    assert states == [(False, False), (True, True), (False, True)]


@pytest.mark.parametrize(
    ("presets", "rule"),
    [
        ({"deadline_ms": 5}, "deadline_ms must be"),
        ({"gate_delay_ms": 210}, "gate_delay_ms must be at least"),
        ({"watchdog_ms": 50}, "watchdog_ms must be"),
    ],
)
def test_impossible_presets_are_refused_by_name(presets: dict[str, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        LineSettings(**presets)
