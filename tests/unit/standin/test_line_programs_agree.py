"""The imported rungs and the python program, each as THE program of a line: the same parts, the
same writes, the same gate actions, in every scan."""

import random
from functools import cache
from typing import Any

import pytest
from tests.unit.standin.line_bench import CLEAN, FIRST, SCAN, Line

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import COMMAND, RESULT_SLOTS
from taktgate.plc.ladder.gate_program import rungs
from taktgate.standin.line import ladder_program
from taktgate.standin.line.ladder_program import OTHERWISE
from taktgate.standin.line.standstill import Standstill

SEEDS = range(5)
DEEDS = 60
SLIPS: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {}, {}, {}, {"SeqEnd": -1}, {"Reject": True}, {"Late": True}, {"Pass": False}),
    *({"Decision": 0}, {"Decision": 5}, {"Decision": 5, "Reject": True, "Pass": False}),
    *({"TriggerId": FIRST - RESULT_SLOTS}, {"Valid": False}),
)


class BothLines:
    """Two lines under one clock that get the same writes."""

    def __init__(self) -> None:
        self.lines = [
            Line(kind="python", bases=range(5000, 500_000, 1000)),
            Line(kind="ladder", bases=range(5000, 500_000, 1000)),
        ]

    def go(self, milliseconds: int) -> None:
        for _ in range(milliseconds // SCAN):
            said = []
            for line in self.lines:
                line.go(SCAN)
                said.append({member.name: line.command(member.name) for member in COMMAND.members})
            assert said[0] == said[1]
            assert self.lines[0].events == self.lines[1].events
        assert self.lines[0].pulses == self.lines[1].pulses

    def act(self, chance: random.Random, newest: int) -> None:
        """Do one thing to both, by chance."""
        deed = chance.random()
        back = chance.choice((0, 0, 0, 0, 1, 2, 8))
        verdict = chance.choice((*Verdict, Verdict.PASS, Verdict.PASS, Verdict.PASS))
        members = chance.choice(SLIPS)
        why, is_ready = chance.choice(list(Standstill)), chance.random() < 0.7
        is_mended = chance.random() < 0.5
        for line in self.lines:
            if is_mended:
                line.is_alive = True
                for reason in line.run_state.reasons:
                    line.run_state.lift(reason, line.now)
            if deed < 0.8:
                line.result(verdict, part=newest - back, **members)
            elif deed < 0.9:
                line.write("VIS01_Sts", "Ready", is_ready)
            elif deed < 0.95:
                line.is_alive = False
            # Frozen in the very scan of a trigger, the rungs see the next part a scan later:
            # their one-shot has to see the input off first.
            elif not line.pulses or line.pulses[-1][1] != line.now:
                line.run_state.hold(why, line.now)


@cache
def shift(seed: int) -> BothLines:
    """Let both lines work for some three seconds; they are only looked at afterwards."""
    both, chance = BothLines(), random.Random(seed)
    both.go(200)
    for line in both.lines:
        line.program.production.run(parts=None, rate=12.0, wait_ready_s=0.5)
    for _ in range(DEEDS):
        both.go(chance.choice((10, 25, 60, 130)))
        if chance.random() < 0.8:
            pulses = both.lines[0].pulses
            both.act(chance, pulses[-1][0] if pulses else FIRST)
    return both


@pytest.mark.parametrize("seed", SEEDS)
def test_both_programs_command_trigger_and_gate_alike_whatever_is_written(seed: int) -> None:
    both = shift(seed)

    assert all(part.items() >= CLEAN.items() for part in both.lines[0].parts())


def test_such_a_shift_has_accepts_rejects_and_restarts_in_it() -> None:
    parts = [part for seed in SEEDS for part in shift(seed).lines[1].parts()]

    assert {part["gate"] for part in parts} == {"accept", "reject"}
    assert {part["why"] for part in parts} >= {"ACCEPTED", "RESTARTED", "VALID"}


def clean_pass(line: Line) -> dict[str, Any]:
    line.until_trigger()
    line.go(40)
    line.result(Verdict.PASS)
    return line.closed()


def test_a_rung_that_never_accepts_shows_in_the_record_and_to_the_audit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    healthy = clean_pass(Line(kind="ladder"))
    broken = tuple(
        type(rung)(
            comment=rung.comment,
            text=rung.text.replace("OTL(VIS01_Part[1].Accept)", "OTU(VIS01_Part[1].Accept)"),
        )
        for rung in rungs()
    )
    monkeypatch.setattr(ladder_program, "rungs", lambda **_: broken)
    record = clean_pass(Line(kind="ladder"))

    assert (healthy["gate"], healthy["why"]) == ("accept", "ACCEPTED")
    assert (record["gate"], record["why"], record["unexplained"]) == ("reject", OTHERWISE, True)


def test_a_rung_that_accepts_without_a_look_at_valid_is_unsafe_to_the_audit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken = tuple(
        type(rung)(comment=rung.comment, text=rung.text.replace("XIC(VIS01_Copy.Valid)", ""))
        for rung in rungs()
    )
    monkeypatch.setattr(ladder_program, "rungs", lambda **_: broken)
    line = Line(kind="ladder")
    line.until_trigger()
    line.go(40)
    line.result(Verdict.PASS, Valid=False)
    record = line.closed()

    assert (record["gate"], record["unsafe"]) == ("accept", True)
