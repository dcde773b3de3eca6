"""The judge's pulse, in virtual time, and its file on disks that refuse."""

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.inspection.models_of_a_station import Station

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import decode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.pulse import PULSE_FILE, JudgePulse
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.clock import MILLISECOND, SECOND, kernel_boot_id
from taktgate.inspection.agent.pulse import PulseFigures, PulseWriter
from taktgate.inspection.agent.standstill import Standstill

MODEL = ModelRef(name="weld", version="1.0.0", digest="sha256:" + "a" * 64)


class Agent:
    """Plays the agent's loop: verdicts come, and the state is told each quarter of a second."""

    def __init__(self) -> None:
        self.now_ns = 1000 * SECOND
        self.station = Station(now_ns=self.now_ns)
        self.told: list[JudgePulse] = []
        self._activator = self.station.agent()
        self._figures = PulseFigures(self.told.append, reserve_ms=50, clock=lambda: self.now_ns)

    def part(
        self, took_ms: int, *, limit_ms: int = 200, reason: Reason = Reason.NONE, late: bool = False
    ) -> None:
        judged = reason is Reason.NONE
        trigger_ns = self.now_ns - took_ms * MILLISECOND
        verdict = Verdict.LATE if late else Verdict.PASS if judged else Verdict.NO_DECISION
        envelope = VerdictEnvelope(
            contract=CONTRACT_VERSION,
            station="s",
            kernel_boot_id="b",
            judge_start_id="j",
            plc_epoch=1,
            sequence=1,
            trigger_id=1,
            verdict=verdict,
            reason=reason,
            score=0.1 if judged else None,
            model=MODEL if judged else None,
            trigger_ns=trigger_ns,
            decided_ns=self.now_ns,
            deadline_ns=trigger_ns + limit_ms * MILLISECOND,
        )
        self._figures.verdict(envelope)

    def run(self, seconds: float) -> JudgePulse:
        for _ in range(int(seconds * 4)):
            self.now_ns += SECOND // 4
            self.station.now_ns = self.now_ns
            if self.station.is_enabled is not None:
                self._activator.judge_status(self.station.status())
            self._figures.state(self._activator, {})
        return self.told[-1]


def test_a_pulse_comes_each_second_and_says_when_and_where() -> None:
    agent = Agent()
    pulse = agent.run(10)
    assert len(agent.told) == 10
    assert (pulse.at_ns, pulse.boot_id) == (agent.now_ns, kernel_boot_id())
    assert (pulse.parts, pulse.late, pulse.slowest_ms, pulse.budget_ms) == (0, 0, 0.0, 0.0)


def test_the_slowest_part_and_the_shortest_budget_count() -> None:
    agent = Agent()
    agent.part(30, limit_ms=200)
    agent.part(90, limit_ms=180)
    agent.part(10, limit_ms=300)
    pulse = agent.run(1)
    assert (pulse.parts, pulse.slowest_ms, pulse.budget_ms) == (3, 90.0, 130.0)


@pytest.mark.parametrize(
    ("reason", "late"),
    [
        (Reason.TIMEOUT, 1),
        (Reason.OVERLOAD, 1),
        (Reason.MODEL_ERROR, 0),
        (Reason.NOT_READY, 0),
        (Reason.UNCERTAIN, 0),
    ],
)
def test_parts_without_a_usable_answer_in_time_are_late(reason: Reason, late: int) -> None:
    agent = Agent()
    agent.part(150, reason=reason)
    pulse = agent.run(1)
    assert (pulse.parts, pulse.late) == (1, late)


def test_a_late_verdict_is_late() -> None:
    agent = Agent()
    agent.part(150, reason=Reason.EXPIRED, late=True)
    assert agent.run(1).late == 1


@pytest.mark.parametrize("reason", [Reason.NOT_READY, Reason.SKIPPED])
def test_a_part_that_was_not_tried_says_nothing_of_speed(reason: Reason) -> None:
    agent = Agent()
    agent.part(5000, reason=reason)
    assert agent.run(1).slowest_ms == 0.0


def test_a_part_leaves_the_window_after_five_seconds() -> None:
    agent = Agent()
    agent.part(90)
    assert [agent.run(1).parts for _ in range(7)] == [1, 1, 1, 1, 1, 0, 0]


def test_seconds_in_which_the_agent_was_held_up_count_as_well() -> None:
    agent = Agent()
    agent.part(90)
    agent.run(1)
    agent.now_ns += 60 * SECOND
    assert agent.run(0.25).parts == 1
    assert agent.run(1).parts == 0


def test_the_line_stands_from_the_moment_it_is_disabled() -> None:
    agent = Agent()
    assert agent.run(3).line_stands_s == 0.0
    agent.station.is_enabled = False
    assert agent.run(20).line_stands_s == 20.0
    agent.station.is_enabled = True
    assert agent.run(1).line_stands_s == 0.0


def test_a_line_that_sends_parts_without_enable_runs() -> None:
    agent = Agent()
    agent.station.is_enabled = False
    agent.run(20)
    agent.part(30, reason=Reason.NOT_READY)
    assert agent.run(5).line_stands_s == 4.75, "counted from the first look after the part"


def test_while_the_judge_is_silent_nobody_says_whether_the_line_runs() -> None:
    agent = Agent()
    agent.station.is_enabled = False
    agent.run(20)
    agent.station.is_enabled = None
    assert agent.run(4).line_stands_s is None
    agent.station.is_enabled = False
    assert agent.run(2).line_stands_s == 1.75, "what was before counts no more"


@given(
    looks=st.lists(
        st.tuples(st.integers(1, 10**9), st.sampled_from([True, False, None]), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
def test_a_standstill_begins_anew_with_each_part_each_enable_and_each_gap_in_what_is_known(
    looks: list[tuple[int, bool | None, bool]],
) -> None:
    standstill, now_ns, began_ns = Standstill(), 0, None
    for passed_ns, is_enabled, has_part in looks:
        now_ns += passed_ns
        if has_part:
            standstill.part_came()
        if is_enabled is None:
            began_ns = None
        elif is_enabled or has_part or began_ns is None:
            began_ns = now_ns
        expected = None if began_ns is None else now_ns - began_ns
        assert standstill.look(is_enabled, now_ns) == expected


def pulse() -> JudgePulse:
    return Agent().run(1)


def test_the_file_holds_the_newest_pulse_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    writer = PulseWriter(tmp_path)
    writer.write(pulse())
    writer.write(pulse())
    assert [entry.name for entry in tmp_path.iterdir()] == [PULSE_FILE]
    assert decode(JudgePulse, (tmp_path / PULSE_FILE).read_bytes()) == pulse()


def test_a_disk_that_refuses_is_said_once_and_disturbs_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = PulseWriter(tmp_path / "gone")
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            writer.write(pulse())
    assert [record.message for record in caplog.records] == ["pulse.json cannot be written"]
    (tmp_path / "gone").mkdir()
    writer.write(pulse())
    assert (tmp_path / "gone" / PULSE_FILE).exists()


def test_a_pulse_that_nobody_writes_keeps_nobody_waiting(tmp_path: Path) -> None:
    writer, newest = PulseWriter(tmp_path), pulse()
    for _ in range(1000):
        writer.tell(newest)
