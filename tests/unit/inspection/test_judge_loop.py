"""The judge's loop with its real pool, ring and lanes; processes, camera and clock are fakes."""

import os
import select
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.model import ModelRef
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, open_envelope
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.edge.lane import LaneInbox, LaneSender
from taktgate.edge.process import RealtimeRights
from taktgate.inspection import control, doorbell
from taktgate.inspection.control import (
    Drop,
    Happening,
    JudgeEvent,
    JudgeStatus,
    Load,
    PartNote,
    Ready,
    Swap,
)
from taktgate.inspection.decision.rule import ClassLine, Lines
from taktgate.inspection.doorbell import Answer, RunFault
from taktgate.inspection.frames.camera import CameraDown, CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.evidence import EvidenceMemory
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.loop import Inboxes, JudgeLoop
from taktgate.inspection.judge.parts import Identity, Policy, Timing
from taktgate.inspection.judge.rules import Judge
from taktgate.inspection.judge.shadow import MIN_FREE_SLOTS
from taktgate.inspection.judge.signs import Outlets
from taktgate.inspection.pool.pool import RunnerPool
from taktgate.inspection.pool.starter import Terms
from taktgate.inspection.spawning.direct import DirectStarter

IDENTITY = Identity(station="VIS01", kernel_boot_id="boot", judge_start_id="start")
LINES = Lines(
    classes=(ClassLine(name="pore", threshold=0.5),), uncertain_low=0.45, uncertain_high=0.55
)
A, B = (
    ModelRef(name="weld", version=f"1.{letter}", digest="sha256:" + letter * 64) for letter in "ab"
)


class FakeProcess:
    """A runner that the test speaks for."""

    pid = 4711

    def __init__(self, _: object, *, pass_fds: list[int], **__: object) -> None:
        self._socket = socket.socket(fileno=os.dup(pass_fds[0]))
        self.is_running = True

    def say_ready(self, model: ModelRef) -> None:
        ready = Ready(
            model=model,
            lines=LINES,
            provider="CPUExecutionProvider",
            is_fallback=False,
            fingerprint="f",
            golden_images=0,
            golden_worst=0.0,
            has_full_priority=True,
        )
        self._socket.send(doorbell.READY + encode(ready))

    def take_job(self) -> doorbell.Job:
        while (data := self._socket.recv(doorbell.MAX_MESSAGE_BYTES))[:1] != doorbell.JOB:
            assert data, "no job came"
        return doorbell.unpack_job(data)

    def answer(self, job: doorbell.Job, score: float = 0.1) -> None:
        answer = Answer(
            job_id=job.job_id,
            fault=RunFault.NONE,
            score=score,
            class_scores=(0.1,),
            arrived_ns=1,
            gated_ns=1,
            start_ns=1,
            end_ns=2,
            facts=None,
        )
        self._socket.send(doorbell.pack_answer(answer))

    def kill(self) -> None:
        self._socket.close()
        self.is_running = False

    def send_signal(self, _: int) -> None:
        self.kill()

    def poll(self) -> int | None:
        return None if self.is_running else -9


@dataclass(slots=True, kw_only=True)
class FakeCamera:
    """A camera whose events the test puts in."""

    events: list[CameraEvent] = field(default_factory=list)
    wants_write: bool = False
    triggered: list[int] = field(default_factory=list)

    @property
    def wake_ns(self) -> int | None:
        return 0 if self.events else None

    def trigger(self, trigger_id: int) -> None:
        self.triggered.append(trigger_id)

    def fileno(self) -> int:
        return -1

    def advance(self, now_ns: int) -> list[CameraEvent]:
        events, self.events = self.events, []
        return events

    def counters(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


@dataclass(slots=True, kw_only=True)
class Heard:
    """An outlet that keeps what it is given."""

    lost: int = 0
    is_full: bool = False
    beats: list[Beat] = field(default_factory=list)
    verdicts: list[VerdictEnvelope] = field(default_factory=list)
    statuses: list[JudgeStatus] = field(default_factory=list)
    events: list[JudgeEvent] = field(default_factory=list)
    notes: list[PartNote] = field(default_factory=list)

    def send(self, kind: str, payload: bytes) -> bool:
        if self.is_full:
            return False
        takes: dict[str, Callable[[], None]] = {
            control.KIND_BEAT: lambda: self.beats.append(decode(Beat, payload)),
            control.KIND_VERDICT: lambda: self.verdicts.append(open_envelope(payload)),
            control.KIND_STATUS: lambda: self.statuses.append(decode(JudgeStatus, payload)),
            control.KIND_PART: lambda: self.notes.append(decode(PartNote, payload)),
            control.KIND_EVENT: lambda: self.events.append(decode(JudgeEvent, payload)),
        }
        takes[kind]()
        return True


class Station:
    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        policy: Policy | None = None,
        *,
        slots: int = 3,
        has_standby: bool = False,
    ) -> None:
        self.now_ns = 1000 * SECOND
        self.processes: list[FakeProcess] = []
        monkeypatch.setattr(subprocess, "Popen", self._popen)
        # The clock is the test's, so no turn may wait by another one.
        wait = select.select
        monkeypatch.setattr(select, "select", lambda r, w, x, _: wait(r, w, x, 0))
        self.ring = FrameRing(slots=slots, slot_bytes=4096)
        self.camera = FakeCamera(events=[CameraUp()])
        self.agent, self.writer = Heard(), Heard()
        self.trigger_id, self._sequence = 10, 0
        terms = Terms(
            slots=folder,
            trusted_keys=folder,
            device_class="cpu",
            threads=1,
            provider="cpu",
            standby=has_standby,
        )
        timing = Timing(decision_reserve_ns=50 * MILLISECOND, frame_window_ns=120 * MILLISECOND)
        self.loop = JudgeLoop(
            IDENTITY,
            judge=Judge(IDENTITY, timing, policy),
            pool=RunnerPool(terms, self.ring, DirectStarter()),
            ring=self.ring,
            starter=DirectStarter(),
            camera=self.camera,
            inboxes=Inboxes(
                line=LaneInbox(folder / "line.sock"), commands=LaneInbox(folder / "commands.sock")
            ),
            outlets=Outlets(writer=self.writer, agent=self.agent),
            evidence=EvidenceMemory(folder / "evidence.sock"),
            clock=lambda: self.now_ns,
        )
        self._line = LaneSender(folder / "line.sock", Lane.LOCAL)
        self._commands = LaneSender(folder / "commands.sock", Lane.LOCAL)

    def _popen(self, *arguments: object, **options: object) -> FakeProcess:
        self.processes.append(FakeProcess(*arguments, **options))  # type: ignore[arg-type]
        return self.processes[-1]

    def turns(self, count: int = 3, *, step_ms: int = 1) -> None:
        for _ in range(count):
            self.now_ns += step_ms * MILLISECOND
            self.loop.turn()

    def command(self, kind: str, command: object) -> None:
        self._commands.send(kind, encode(command))
        self.turns()

    def load(self, model: ModelRef) -> FakeProcess:
        """Load *model* and let its runner come up."""
        self.command(control.KIND_LOAD, Load(slot="slot", digest=model.digest, golden=False))
        self.processes[-1].say_ready(model)
        self.turns()
        return self.processes[-1]

    def swap(self, model: ModelRef) -> None:
        self.command(control.KIND_SWAP, Swap(digest=model.digest))

    def line(self, *, is_edge: bool) -> None:
        self._sequence += 1
        state = LineState(
            contract=CONTRACT_VERSION,
            station="VIS01",
            kernel_boot_id="boot",
            writer_start_id="w",
            plc_epoch=1,
            sequence=self._sequence,
            trigger_id=self.trigger_id,
            is_edge=is_edge,
            deadline_ms=150,
            enable=True,
            observed_after_ns=self.now_ns - MILLISECOND,
            observed_ns=self.now_ns,
        )
        self._line.send(control.KIND_LINE, encode(state))
        self.turns()

    def part(self, *, named: bool = False) -> None:
        """Let a part come, and its frame; *named* by the camera for the part if asked for."""
        self.trigger_id += 1
        self.line(is_edge=True)
        slot = self.ring.take()
        assert slot is not None
        frame = Frame(
            frame_id=self.trigger_id,
            exposure_ns=self.now_ns,
            received_ns=self.now_ns,
            width=8,
            height=8,
            channels=1,
            slot=slot,
            trigger_id=self.trigger_id if named else None,
        )
        self.camera.events.append(frame)
        self.turns()

    @property
    def status(self) -> JudgeStatus:
        """Return what the loop says in the next second."""
        self.turns(1, step_ms=1000)
        return self.agent.statuses[-1]

    def close(self) -> None:
        self.loop.close()
        for process in self.processes:
            process.kill()
        self.ring.close()
        self._line.close()
        self._commands.close()


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    station = Station(tmp_path, monkeypatch)
    yield station
    station.close()


@pytest.fixture
def roomy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """A station whose ring has room for a shadow."""
    station = Station(tmp_path, monkeypatch, slots=MIN_FREE_SLOTS + 1)
    yield station
    station.close()


@pytest.fixture
def exposing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """A station that exposes on command, and whose breaker opens after two parts."""
    policy = Policy(correlation="software_trigger", breaker_after=2)
    station = Station(tmp_path, monkeypatch, policy)
    yield station
    station.close()


@pytest.fixture
def doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    """A station that keeps a standby of its live model."""
    station = Station(tmp_path, monkeypatch, has_standby=True)
    yield station
    station.close()


def test_without_a_line_state_for_a_second_the_station_is_not_ready(station: Station) -> None:
    station.load(A)
    station.swap(A)
    station.line(is_edge=False)
    station.turns(1, step_ms=100)
    assert station.agent.beats[-1].ready
    station.turns(12, step_ms=100)

    assert not station.agent.beats[-1].ready
    assert "line state" in station.agent.beats[-1].reason


def test_while_the_camera_is_lost_the_station_is_not_ready_and_says_why(station: Station) -> None:
    station.load(A)
    station.swap(A)
    station.line(is_edge=False)
    station.camera.events.append(CameraDown(reason="cable pulled"))
    station.turns()
    assert not station.agent.beats[-1].ready
    assert "cable pulled" in station.agent.beats[-1].reason

    station.camera.events.append(CameraUp())
    station.turns()
    assert station.agent.beats[-1].ready


def test_a_model_whose_runner_is_not_ready_does_not_become_live(station: Station) -> None:
    runner = station.load(A)
    station.swap(A)
    station.command(control.KIND_LOAD, Load(slot="slot", digest=B.digest, golden=False))
    station.swap(B)
    station.line(is_edge=False)
    station.part()
    runner.answer(runner.take_job())
    station.turns()

    assert station.agent.verdicts[0].model == A
    refused = [each for each in station.agent.events if each.happening is Happening.REFUSED]
    assert [(each.digest, each.reason) for each in refused] == [(B.digest, "NOT_LOADED")]


def test_a_model_becomes_live_only_when_its_runner_is_through_with_a_shadows_frame(
    roomy: Station,
) -> None:
    station = roomy
    live = station.load(A)
    station.swap(A)
    candidate = station.load(B)
    station.command(control.KIND_SHADOW, control.Shadow(digest=B.digest))
    station.line(is_edge=False)
    station.part()
    live.answer(live.take_job())
    station.turns()
    job = candidate.take_job()
    station.swap(B)
    assert station.status.live == A.digest
    candidate.answer(job)
    station.turns()

    assert station.status.live == B.digest


def test_a_part_under_way_is_judged_though_its_model_is_swapped_out_and_dropped(
    station: Station,
) -> None:
    runner = station.load(A)
    station.swap(A)
    station.load(B)
    station.line(is_edge=False)
    station.part()
    job = runner.take_job()
    station.swap(B)
    station.command(control.KIND_DROP, Drop(digest=A.digest))
    runner.answer(job)
    station.turns()

    (verdict,) = station.agent.verdicts
    assert (verdict.verdict, verdict.model) == (Verdict.PASS, A)
    assert not runner.is_running, "dropped as soon as it had answered"
    assert [each.digest for each in station.status.models] == [B.digest]


def test_a_dropped_runner_that_never_answers_ends_with_its_parts_decision_deadline(
    station: Station,
) -> None:
    runner = station.load(A)
    station.swap(A)
    station.load(B)
    station.line(is_edge=False)
    station.part()
    station.swap(B)
    station.command(control.KIND_DROP, Drop(digest=A.digest))
    assert runner.is_running
    station.turns(step_ms=50)

    assert [each.reason for each in station.agent.verdicts] == [Reason.TIMEOUT]
    assert not runner.is_running
    assert station.ring.free == station.ring.slots


def test_a_live_model_is_dropped_only_when_that_is_said_and_then_nothing_passes(
    station: Station,
) -> None:
    runner = station.load(A)
    station.swap(A)
    station.line(is_edge=False)
    station.command(control.KIND_DROP, Drop(digest=A.digest))
    assert station.status.live == A.digest

    station.command(control.KIND_DROP, Drop(digest=A.digest, even_if_live=True))
    station.part()
    station.turns(step_ms=50)

    assert not runner.is_running
    assert not station.status.is_ready
    assert [each.reason for each in station.agent.verdicts] == [Reason.NOT_READY]


def test_a_model_that_is_wanted_again_before_its_part_is_judged_is_not_dropped(
    station: Station,
) -> None:
    runner = station.load(A)
    station.swap(A)
    station.load(B)
    station.line(is_edge=False)
    station.part()
    station.swap(B)
    station.command(control.KIND_DROP, Drop(digest=A.digest))
    station.swap(A)
    runner.answer(runner.take_job())
    station.turns(step_ms=50)

    assert runner.is_running
    assert station.status.live == A.digest


def test_a_model_given_up_after_its_deaths_judges_with_its_new_runner_when_loaded_again(
    station: Station,
) -> None:
    station.load(A)
    for death in range(3):
        station.processes[-1].kill()
        station.turns(step_ms=200)
        if death < 2:
            station.processes[-1].say_ready(A)
            station.turns()
    assert station.agent.events[-1].happening is Happening.REFUSED
    runner = station.load(A)
    station.swap(A)
    station.line(is_edge=False)
    station.part()
    runner.answer(runner.take_job())
    station.turns()

    assert [each.verdict for each in station.agent.verdicts] == [Verdict.PASS]


def test_status_never_says_ready_for_a_runner_that_died(station: Station) -> None:
    station.load(A)
    assert station.status.models[0].ready is not None
    station.processes[-1].kill()
    station.turns()

    (model,) = station.status.models
    assert (model.deaths, model.ready) == (1, None)


def test_enable_is_unknown_without_a_fresh_line_state(station: Station) -> None:
    assert station.status.is_enabled is None
    station.line(is_edge=False)
    station.turns(1, step_ms=100)
    station.command(control.KIND_DROP, Drop(digest=A.digest))
    assert station.agent.statuses[-1].is_enabled is True

    station.turns(step_ms=1000)
    assert station.status.is_enabled is None


def test_a_station_without_a_free_slot_does_not_say_ready(station: Station) -> None:
    station.load(A)
    station.swap(A)
    station.line(is_edge=False)
    station.turns(1, step_ms=100)
    assert station.agent.beats[-1].ready
    taken = [station.ring.take() for _ in range(station.ring.slots)]
    station.line(is_edge=False)
    station.turns(1, step_ms=100)

    assert not station.agent.beats[-1].ready
    assert "slot" in station.agent.beats[-1].reason
    for slot in taken:
        assert slot is not None
        station.ring.release(slot)


def test_where_the_judge_exposes_the_camera_is_triggered_at_each_edge(exposing: Station) -> None:
    exposing.load(A)
    exposing.swap(A)
    exposing.line(is_edge=False)
    for _ in range(2):
        exposing.trigger_id += 1
        exposing.line(is_edge=True)

    assert exposing.camera.triggered == [11, 12]


def test_an_open_breaker_is_said_to_writer_and_agent_at_once_and_so_is_its_end(
    exposing: Station,
) -> None:
    runner = exposing.load(A)
    exposing.swap(A)
    exposing.line(is_edge=False)
    for score in (float("nan"), float("nan")):
        exposing.part(named=True)
        runner.answer(runner.take_job(), score)
        exposing.turns()
    said = [event.happening for event in exposing.agent.events]
    assert said[-1:] == [Happening.BREAKER_OPEN]
    assert "NON_FINITE" in exposing.agent.beats[-1].reason

    exposing.turns(10, step_ms=100)
    exposing.line(is_edge=False)
    exposing.turns(1, step_ms=100)
    assert exposing.agent.beats[-1].ready, "half-open: one part may come"
    exposing.part(named=True)
    runner.answer(runner.take_job())
    exposing.turns()
    said = [event.happening for event in exposing.agent.events]
    assert said[-1:] == [Happening.BREAKER_CLOSED]


def test_with_a_warm_standby_a_runner_that_hangs_is_killed_soon_and_the_next_part_judged(
    doubled: Station,
) -> None:
    runner = doubled.load(A)
    doubled.swap(A)
    standby = doubled.processes[-1]
    assert standby is not runner
    standby.say_ready(A)
    doubled.line(is_edge=False)
    doubled.part()
    doubled.turns(100)
    assert doubled.agent.verdicts[-1].reason is Reason.TIMEOUT
    assert runner.is_running, "it has some time beyond the deadline"
    doubled.turns(20)
    assert not runner.is_running

    doubled.part()
    standby.answer(standby.take_job())
    doubled.turns()
    assert doubled.agent.verdicts[-1].verdict is Verdict.PASS


def test_a_deadline_that_has_come_is_kept_before_anything_else_of_the_turn(
    station: Station,
) -> None:
    """An answer that waits in the socket is looked at after the deadline, and so it is late."""
    runner = station.load(A)
    station.swap(A)
    station.line(is_edge=False)
    station.part()
    runner.answer(runner.take_job())
    station.now_ns += 150 * MILLISECOND
    station.trigger_id += 2
    station.line(is_edge=True)

    first = station.agent.verdicts[0]
    assert (first.trigger_id, first.reason, first.sequence) == (11, Reason.TIMEOUT, 1)


def test_the_rights_that_the_judge_was_granted_are_in_its_status(station: Station) -> None:
    station.loop.has_rights(RealtimeRights(scheduling=True, memory=False))

    assert station.status.rights == {"scheduling": True, "memory": False}


def test_a_note_tells_when_its_verdict_was_on_the_local_lane_and_when_it_never_was(
    station: Station,
) -> None:
    station.line(is_edge=False)
    station.part()
    station.writer.is_full = True
    station.part()

    there, lost = station.agent.notes
    assert there.sent_ns is not None
    assert lost.sent_ns is None
