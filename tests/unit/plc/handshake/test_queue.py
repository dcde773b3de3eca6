"""The queue of open parts is bounded and tells when it is full; nothing in it knows wall time."""

import ast
import inspect
from dataclasses import replace
from types import ModuleType

import pytest
from tests.unit.plc.handshake.bench import FAIL, PASS, At, MakeEnvelope, write

from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.records import Command
from taktgate.plc.handshake import admission, delivery, parts, results, ring, watch
from taktgate.plc.handshake import rules as handshake
from taktgate.plc.handshake.admission import Cause
from taktgate.plc.handshake.rules import OVERFLOW, Handshake


def open_parts(rules: Handshake, command: Command, at: At, *, last: int, deadline_ms: int) -> None:
    for trigger_id in range(101, last + 1):
        edge = replace(command, trigger_id=trigger_id, deadline_ms=deadline_ms)
        rules.read(edge, observed_after_ns=at(0), now_ns=at(10))


def test_verdicts_may_come_in_any_order(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    open_parts(rules, command, at, last=103, deadline_ms=200)
    for trigger_id in (103, 101, 102):
        envelope = make_envelope(trigger_id=trigger_id)
        assert rules.verdict(envelope, Lane.LOCAL, at(60)) is None
    assert write(rules, at(60)) == {101: (PASS, 0), 102: (PASS, 0), 103: (PASS, 0)}


def test_a_full_queue_refuses_the_newest_and_keeps_the_others(
    rules: Handshake, command: Command, make_envelope: MakeEnvelope, at: At
) -> None:
    open_parts(rules, command, at, last=109, deadline_ms=5000)
    assert (rules.counts[OVERFLOW], rules.has_fault) == (1, True)
    far = at(5000)
    assert rules.verdict(make_envelope(trigger_id=109), Lane.LOCAL, at(60)) is Cause.UNKNOWN_PART
    assert rules.verdict(make_envelope(deadline_ns=far), Lane.LOCAL, at(60)) is None
    assert write(rules, at(60)) == {101: (PASS, 0)}


def test_a_queue_full_of_parts_past_their_deadline_takes_the_newest(
    rules: Handshake, command: Command, at: At
) -> None:
    open_parts(rules, command, at, last=108, deadline_ms=200)
    newest = replace(command, trigger_id=109)
    rules.read(newest, observed_after_ns=at(300), now_ns=at(310))
    assert (rules.counts[OVERFLOW], rules.has_fault) == (0, False)
    assert rules.open_count == 1


@pytest.mark.parametrize("order", [(Verdict.PASS, Verdict.FAIL), (Verdict.FAIL, Verdict.PASS)])
def test_of_two_differing_verdicts_reject_wins_in_either_order(
    rules: Handshake,
    part_101: Command,
    make_envelope: MakeEnvelope,
    at: At,
    order: tuple[Verdict, Verdict],
) -> None:
    for sequence, verdict in enumerate(order, start=1):
        rules.verdict(make_envelope(verdict=verdict, sequence=sequence), Lane.LOCAL, at(60))
    ((decision, _),) = write(rules, at(60)).values()
    assert decision >= FAIL
    assert rules.has_fault


@pytest.mark.parametrize(
    "module",
    [admission, delivery, handshake, parts, results, ring, watch],
    ids=lambda module: module.__name__.rpartition(".")[2],
)
def test_no_rule_can_read_a_clock_so_that_a_step_of_wall_time_has_no_effect(
    module: ModuleType,
) -> None:
    imported = set()
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {f"{node.module}.{name.name}" for name in node.names}
    roots = {name.partition(".")[0] for name in imported}
    clocks = {name for name in imported if name.startswith("taktgate.edge.clock")}
    assert not roots & {"time", "datetime"}
    assert clocks <= {"taktgate.edge.clock.MILLISECOND"}
