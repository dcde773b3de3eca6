"""The judge's loop with its real pool, ring and lanes; processes, camera and clock are fakes."""

import os
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
from taktgate.inspection import control, doorbell
from taktgate.inspection.control import Drop, Happening, JudgeEvent, JudgeStatus, Load, Ready, Swap
from taktgate.inspection.doorbell import Answer, RunFault
from taktgate.inspection.frames.camera import CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.decision import ClassLine, Lines
from taktgate.inspection.judge.loop import Inboxes, JudgeLoop
from taktgate.inspection.judge.parts import Identity, Timing
from taktgate.inspection.judge.rules import Judge
from taktgate.inspection.judge.runner_pool import RunnerPool, Terms
from taktgate.inspection.judge.signs import Outlets

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

    def answer(self, job: doorbell.Job) -> None:
        answer = Answer(
            job_id=job.job_id,
            fault=RunFault.NONE,
            score=0.1,
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

    @property
    def wake_ns(self) -> int | None:
        return 0 if self.events else None

    def trigger(self, trigger_id: int) -> None:
        pass

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
    beats: list[Beat] = field(default_factory=list)
    verdicts: list[VerdictEnvelope] = field(default_factory=list)
    statuses: list[JudgeStatus] = field(default_factory=list)
    events: list[JudgeEvent] = field(default_factory=list)

    def send(self, kind: str, payload: bytes) -> bool:
        takes: dict[str, Callable[[], None]] = {
            control.KIND_BEAT: lambda: self.beats.append(decode(Beat, payload)),
            control.KIND_VERDICT: lambda: self.verdicts.append(open_envelope(payload)),
            control.KIND_STATUS: lambda: self.statuses.append(decode(JudgeStatus, payload)),
            control.KIND_EVENT: lambda: self.events.append(decode(JudgeEvent, payload)),
        }
        takes[kind]()
        return True


class Station:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_ns = 1000 * SECOND
        self.processes: list[FakeProcess] = []
        monkeypatch.setattr(subprocess, "Popen", self._popen)
        self.ring = FrameRing(slots=3, slot_bytes=4096)
        self.camera = FakeCamera(events=[CameraUp()])
        self.agent, self.trigger_id, self._sequence = Heard(), 10, 0
        terms = Terms(
            slots=folder, trusted_keys=folder, device_class="cpu", threads=1, provider="cpu"
        )
        timing = Timing(decision_reserve_ns=50 * MILLISECOND, frame_window_ns=120 * MILLISECOND)
        self.loop = JudgeLoop(
            IDENTITY,
            judge=Judge(IDENTITY, timing),
            pool=RunnerPool(terms, self.ring),
            ring=self.ring,
            camera=self.camera,
            inboxes=Inboxes(
                line=LaneInbox(folder / "line.sock"), commands=LaneInbox(folder / "commands.sock")
            ),
            outlets=Outlets(writer=Heard(), agent=self.agent),
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

    def part(self) -> None:
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
        self.ring.close()
        self._line.close()
        self._commands.close()


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    station = Station(tmp_path, monkeypatch)
    yield station
    station.close()


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
