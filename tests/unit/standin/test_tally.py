"""The demo's figures: every part is counted once, and nothing bad is counted away."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.standin.demo.tally import Fault, Part, Tally, combine, percentiles
from taktgate.standin.demo.turns import judged_since

PART = Part(
    trigger_id=1,
    trigger_ns=10_000_000_000,
    verdict=Verdict.PASS,
    reason=Reason.NONE.value,
    gate="accept",
    why="ACCEPTED",
    ack_ms=30.0,
    second_verdict=False,
    unsafe=False,
    unexplained=False,
)
SILENT = replace(
    PART, verdict=Verdict.NO_DECISION, reason=Reason.SILENT.value, gate="reject", ack_ms=None
)


@pytest.mark.parametrize(
    ("judged", "since", "expected"),
    [
        ("", 0, 0),
        ("yyyy", 0, 4),
        ("yyny", 0, 1),
        ("yyyn", 0, 0),
        ("yyyy", 2, 2),
        ("nyyy", 9, 0),
    ],
)
def test_a_line_is_back_by_the_parts_judged_without_a_gap(
    judged: str, since: int, expected: int
) -> None:
    parts = [
        replace(PART if each == "y" else SILENT, trigger_id=place, trigger_ns=place)
        for place, each in enumerate(judged)
    ]
    row = judged_since(parts, since)
    assert list(row) == parts[len(parts) - expected :]


@given(verdicts=st.lists(st.sampled_from(list(Verdict)), max_size=40))
def test_verdicts_sum_to_parts(verdicts: list[Verdict]) -> None:
    tally = Tally(parts=[replace(PART, verdict=verdict) for verdict in verdicts])
    assert sum(tally.verdicts().values()) == len(verdicts)


@pytest.mark.parametrize(
    ("verdict", "label", "expected"),
    [
        (Verdict.PASS, "ok", "right"),
        (Verdict.FAIL, "defective", "right"),
        (Verdict.PASS, "defective", "wrong_pass"),
        (Verdict.FAIL, "ok", "wrong_fail"),
    ],
)
def test_decisions_are_compared_with_the_labels(
    verdict: Verdict, label: str, expected: str
) -> None:
    tally = Tally(parts=[replace(PART, verdict=verdict)], truth={1: label})
    assert tally.judged_against_labels() == {
        name: int(name == expected) for name in ("right", "wrong_pass", "wrong_fail")
    }


@pytest.mark.parametrize("verdict", [Verdict.NO_DECISION, Verdict.LATE])
def test_a_part_without_a_decision_is_neither_right_nor_wrong(verdict: Verdict) -> None:
    tally = Tally(parts=[replace(PART, verdict=verdict)], truth={1: "ok"})
    assert sum(tally.judged_against_labels().values()) == 0


@pytest.mark.parametrize("fact", ["unsafe", "unexplained", "second_verdict"])
def test_each_violation_is_an_objection(fact: str) -> None:
    tally = Tally(parts=[replace(PART, **{fact: True})])  # type: ignore[arg-type]
    assert len(tally.objections(expected_parts=1)) == 1


def test_a_missing_part_is_an_objection() -> None:
    assert Tally(parts=[PART]).objections(expected_parts=2) == ["1 parts missing"]


def test_silence_is_an_objection_unless_a_fault_explains_it() -> None:
    tally = Tally(parts=[SILENT])
    assert tally.objections(expected_parts=1) == ["1 parts SILENT without an injected fault"]
    tally.faults.append(Fault(name="judge", at_ns=9_500_000_000, injected=True))
    assert tally.objections(expected_parts=1) == []


CRASH = Fault(name="writer ended by itself (exit code 5)", at_ns=9_500_000_000, injected=False)


def test_a_process_that_ends_by_itself_is_an_objection_and_excuses_no_silence() -> None:
    tally = Tally(parts=[SILENT], faults=[CRASH])
    assert tally.objections(expected_parts=1) == [
        "1 parts SILENT without an injected fault",
        "writer ended by itself (exit code 5)",
    ]


def test_a_process_that_ends_as_a_consequence_of_an_injected_fault_is_none() -> None:
    stopped = Fault(name="stop edgehub", at_ns=4_000_000_000, injected=True, duration_s=5)
    assert Tally(parts=[PART], faults=[stopped, CRASH]).objections(expected_parts=1) == []


def test_a_fault_that_could_not_be_injected_is_an_objection() -> None:
    tally = Tally(parts=[PART], mishaps=["kill inference/judge: no such process ran"])
    assert tally.objections(expected_parts=1) == ["kill inference/judge: no such process ran"]


def test_a_fault_long_before_or_after_explains_nothing() -> None:
    for at_s in (-60, 12):
        fault = Fault(name="judge", at_ns=int(at_s * 1e9), injected=True)
        assert not fault.explains(SILENT.trigger_ns)


def test_lane_shares_count_only_parts_of_this_run() -> None:
    tally = Tally(parts=[PART], lanes={1: Lane.LOCAL, 2: Lane.EDGEHUB})
    assert tally.lane_shares() == {"local": 1, "edgehub": 0}


def test_equal_ids_of_two_stations_stay_two_parts() -> None:
    one = Tally(parts=[PART], truth={1: "ok"}, lanes={1: Lane.LOCAL})
    two = Tally(parts=[PART], truth={1: "defective"}, lanes={1: Lane.EDGEHUB})
    both = combine([one, two])
    assert both.judged_against_labels() == {"right": 1, "wrong_pass": 1, "wrong_fail": 0}
    assert both.lane_shares() == {"local": 1, "edgehub": 1}


def test_percentiles_are_samples_by_nearest_rank() -> None:
    assert percentiles([float(n) for n in range(1, 101)]) == {"p50": 50, "p95": 95, "p99": 99}
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None}
