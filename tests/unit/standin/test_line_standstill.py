"""The controller stands still and comes back: what the gate does meanwhile, and what is kept."""

from collections.abc import Callable

import pytest
from tests.unit.standin.line_bench import BASE, CLEAN, FIRST, MS, SCAN, Line, facts

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import RESULT_SLOTS
from taktgate.standin.line.standstill import (
    FIRST_SCAN_AFTER,
    NEVER_NS,
    RENUMBERS,
    Keyswitch,
    RunState,
    Standstill,
)

NEW_BASE = 9000


@pytest.fixture(params=["python", "ladder"])
def line(request: pytest.FixtureRequest) -> Line:
    line = Line(kind=request.param, bases=(NEW_BASE,))
    line.until_trigger(parts=3, rate=2)
    return line


def judged(line: Line) -> Line:
    """Return the line with its first part passed in time and acknowledged."""
    line.go(40)
    line.result(Verdict.PASS)
    line.go(20)
    assert line.command("AckSeq") == 1
    return line


@pytest.mark.parametrize("why", list(Standstill))
def test_a_part_that_passes_the_gate_while_no_scan_runs_is_rejected(
    line: Line, why: Standstill
) -> None:
    judged(line)
    line.stand(why, 1000)
    record = line.part(FIRST)

    assert facts(record) == ("PASS", "NONE", "reject", "NO_SCAN")
    assert record.items() >= CLEAN.items()


@pytest.mark.parametrize("why", [why for why in Standstill if FIRST_SCAN_AFTER[why]])
def test_a_first_scan_rejects_the_parts_on_the_line_and_clears_every_slot(
    line: Line, why: Standstill
) -> None:
    judged(line)
    line.stand(why, 50)
    line.go(SCAN)
    slots = [line.memory.load("VIS01_Result", "Valid", slot) for slot in range(RESULT_SLOTS)]
    assert not any(slots)
    line.go(400)

    record = line.part(FIRST)
    assert facts(record)[2:] == ("reject", "RESTARTED")
    assert record.items() >= CLEAN.items()


def test_frozen_logic_goes_on_without_a_first_scan(line: Line) -> None:
    judged(line)
    line.stand(Standstill.LOGIC_FROZEN, 50)
    line.go(400)

    assert facts(line.part(FIRST))[2:] == ("accept", "ACCEPTED")


def test_a_pass_that_comes_while_logic_is_frozen_over_the_deadline_is_late(line: Line) -> None:
    line.go(40)
    line.run_state.hold(Standstill.LOGIC_FROZEN, line.now)
    line.go(100)
    line.result(Verdict.PASS)
    line.go(100)
    line.run_state.lift(Standstill.LOGIC_FROZEN, line.now)
    line.go(400)
    record = line.part(FIRST)

    assert facts(record) == ("LATE", "EXPIRED", "reject", "DEADLINE")
    assert record.items() >= CLEAN.items()


def test_a_heartbeat_that_moved_while_logic_was_frozen_counts_from_the_next_scan(
    line: Line,
) -> None:
    line.go(40)
    line.run_state.hold(Standstill.LOGIC_FROZEN, line.now)
    line.go(560)
    line.is_alive = False
    line.go(450)
    line.run_state.lift(Standstill.LOGIC_FROZEN, line.now)
    line.go(SCAN)
    newest = line.pulses[-1][0]
    line.result(Verdict.PASS, part=newest)
    line.go(350)

    assert newest == FIRST + 1
    assert facts(line.part(newest))[2:] == ("accept", "ACCEPTED")
    assert line.part(newest).items() >= CLEAN.items()


def test_hb_fault_stands_after_a_first_scan_until_the_vision_heartbeat_moves(line: Line) -> None:
    line.is_alive = False
    line.stand(Standstill.PROGRAM_MODE, 100)
    line.go(300)
    assert line.command("HbFault") is True
    line.write("VIS01_Sts", "Heartbeat", 4711)
    line.go(SCAN)
    assert line.command("HbFault") is False


def test_plc_heartbeat_stands_with_the_program_and_goes_on_from_where_it_was(line: Line) -> None:
    line.go(300)
    before = line.command("PlcHeartbeat")
    line.stand(Standstill.PROGRAM_MODE, 2000)
    assert line.command("PlcHeartbeat") == before
    line.go(205)
    assert line.command("PlcHeartbeat") == before + 2


def test_tag_writes_are_taken_while_the_program_stands(line: Line) -> None:
    line.run_state.hold(Standstill.PROGRAM_MODE, line.now)
    line.write("VIS01_Sts", "State", 3)
    line.go(SCAN)

    assert line.memory.load("VIS01_Sts", "State") == 3
    vision = [event for event in line.events if event["event"] == "vision"]
    assert vision[-1]["State"] == 3


@pytest.mark.parametrize("why", [why for why in Standstill if FIRST_SCAN_AFTER[why]])
def test_numbers_go_on_after_program_mode_and_begin_anew_after_the_rest(
    line: Line, why: Standstill
) -> None:
    line.go(40)
    line.stand(why, 200)
    line.go(1500)

    expected = FIRST + 1 if why is Standstill.PROGRAM_MODE else NEW_BASE + 1
    assert [part for part, _ in line.pulses] == [FIRST, expected, expected + 1]
    assert all(event.items() >= CLEAN.items() for event in line.parts())


def test_a_restart_between_trigger_and_gate_makes_any_accept_unsafe() -> None:
    line = Line()
    line.until_trigger()
    line.go(40)
    line.result(Verdict.PASS)
    line.go(20)
    # A program that forgets its first scan: only the audit knows that there was one.
    line.run_state.hold(Standstill.PROGRAM_MODE, line.now)
    line.run_state.lift(Standstill.PROGRAM_MODE, line.now)
    line.run_state.take_restart()
    line.go(400)
    record = line.part(FIRST)

    assert (record["gate"], record["unsafe"]) == ("accept", True)


def test_a_reject_without_any_outage_is_not_excused_by_one_long_ago(line: Line) -> None:
    line.stand(Standstill.PROGRAM_MODE, 100)
    line.go(3000)
    line.events.clear()
    outages = line.run_state.outages()

    assert not any(outage.meets(line.now - 400 * MS, line.now) for outage in outages)


Change = Callable[[RunState, Standstill, int], None]


@pytest.mark.parametrize(
    ("first", "second"), [(one, two) for one in Standstill for two in Standstill if one is not two]
)
def test_two_reasons_are_one_outage_and_the_program_scans_when_both_are_gone(
    first: Standstill, second: Standstill
) -> None:
    state = RunState()
    state.hold(first, 10)
    state.hold(second, 20)
    state.lift(first, 30)
    assert not state.is_scanning
    assert [(each.start_ns, each.end_ns) for each in state.outages()] == [(10, NEVER_NS)]
    state.lift(second, 40)

    assert state.is_scanning
    (outage,) = state.outages()
    assert (outage.start_ns, outage.end_ns) == (10, 40)
    assert outage.is_restart == (FIRST_SCAN_AFTER[first] or FIRST_SCAN_AFTER[second])
    restart = state.take_restart()
    assert (restart is not None) == outage.is_restart
    assert restart is None or restart.renumbers == bool({first, second} & RENUMBERS)
    assert state.take_restart() is None


def test_lifting_what_does_not_hold_changes_nothing() -> None:
    state = RunState()
    state.lift(Standstill.POWER_OFF, 10)

    assert state.is_scanning
    assert state.outages() == ()
    assert state.take_restart() is None


def test_the_program_scans_in_the_run_positions_of_the_keyswitch_only() -> None:
    assert {key for key in Keyswitch if key.is_run} == {Keyswitch.RUN, Keyswitch.REMOTE_RUN}


def test_base_is_the_number_before_the_first_part(line: Line) -> None:
    assert line.pulses[0][0] == BASE + 1
