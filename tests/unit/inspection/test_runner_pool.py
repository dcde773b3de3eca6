"""The pool with fakes in the place of the processes: starts, standbys, gaps, deaths."""

import errno
import os
import select
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
from tests.open_descriptors import descriptors

from taktgate.contracts.codec import decode, encode
from taktgate.contracts.model import ModelRef
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection import doorbell
from taktgate.inspection.control import Assignment, Load, LoadedModel, Ready, Refused, RunnerState
from taktgate.inspection.decision.rule import ClassLine, Lines
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.pool.events import CameUp, RunnerEvent, TurnedDown, WentDown
from taktgate.inspection.pool.patience import (
    GAP_PATIENCE_NS,
    LOAD_LIMIT_NS,
    PROBE_LIMIT_NS,
    PROBING_LIMIT_NS,
    STANDBY_PAUSE_NS,
)
from taktgate.inspection.pool.pool import REFUSED_RETRY_NS, RunnerPool
from taktgate.inspection.pool.pooled_model import MAX_TRIES
from taktgate.inspection.pool.starter import Terms
from taktgate.inspection.spawning.direct import DirectChild, DirectStarter
from taktgate.inspection.spawning.link import SpawnedChild
from taktgate.inspection.spawning.port import Program

OTHER = "sha256:" + "b" * 64
LIVE = "sha256:" + "a" * 64
LINES = Lines(
    classes=(ClassLine(name="pore", threshold=0.5),), uncertain_low=0.45, uncertain_high=0.55
)


def terms(*, standby: bool = False) -> Terms:
    return Terms(
        slots=Path("/nowhere"),
        trusted_keys=Path("/nowhere"),
        device_class="cpu",
        threads=1,
        provider="cpu",
        standby=standby,
    )


class Process:
    """A runner that the test speaks for."""

    def __init__(self, _: object, *, pass_fds: list[int], **__: object) -> None:
        self._socket = socket.socket(fileno=os.dup(pass_fds[0]))
        self._socket.setblocking(False)
        self.pid = 1000 + pass_fds[0]
        self._is_dead = False
        self._is_signalled = False
        self._assignment: Assignment | None = None

    @property
    def assignment(self) -> Assignment:
        if self._assignment is None:
            self._assignment = decode(Assignment, self.hears()[1:])
        return self._assignment

    def hears(self) -> bytes:
        """Return the judge's next message, b"" when there is none."""
        try:
            return self._socket.recv(doorbell.MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return b""

    def is_asked_to_probe(self) -> bool:
        _ = self.assignment  # it comes first
        return self.hears() == doorbell.PROBE

    def comes_up(self) -> None:
        ready = Ready(
            model=ModelRef(name="weld", version="1.0", digest=self.assignment.digest),
            lines=LINES,
            provider="CPUExecutionProvider",
            is_fallback=False,
            fingerprint="here",
            golden_images=0,
            golden_worst=0.0,
            has_full_priority=True,
        )
        self._socket.send(doorbell.READY + encode(ready))

    def is_loaded(self, runs_left: int) -> None:
        self._socket.send(doorbell.pack_probed(runs_left))

    def refuses(self, reason: str) -> None:
        self._socket.send(doorbell.REFUSED + encode(Refused(reason=reason, message="told so")))

    def dies(self) -> None:
        self._socket.close()
        self._is_dead = True

    def send_signal(self, _: int) -> None:
        """A process that is being ended is not gone at once; its socket tells later."""
        self._is_signalled = True

    @property
    def is_running(self) -> bool:
        """Return False once it has died, or was ended by a judge that has closed the socket too."""
        return not self._is_dead and not (self._is_signalled and self._is_left_alone())

    def _is_left_alone(self) -> bool:
        poll = select.poll()
        poll.register(self._socket)
        return any(events & select.POLLHUP for _, events in poll.poll(0))

    def poll(self) -> int | None:
        if self.is_running:
            return None
        self.dies()
        return -9


@dataclass(slots=True, kw_only=True)
class Stage:
    """A pool, its processes and its time."""

    pool: RunnerPool
    processes: list[Process] = field(default_factory=list)
    live: str | None = LIVE
    is_gap: bool = True
    now_ns: int = 100 * SECOND

    def popen(self, *arguments: object, **options: object) -> Process:
        self.processes.append(Process(*arguments, **options))  # type: ignore[arg-type]
        return self.processes[-1]

    def load(self, digest: str, *, golden: bool = True) -> None:
        load = Load(slot="slot", digest=digest, golden=golden)
        refused = self.pool.load(
            load, proven_fingerprint=None, at_idle_priority=digest != self.live, now_ns=self.now_ns
        )
        assert refused is None

    def turn(self, *, after_ns: int = MILLISECOND) -> list[RunnerEvent]:
        """Let the pool hear its runners and tend them, as the judge's loop does."""
        self.now_ns += after_ns
        events = [
            event
            for worker in self.pool.listening()
            for event in self.pool.receive(worker, self.now_ns)
        ]
        return events + self.pool.tick(self.live, self.now_ns, is_gap=self.is_gap)

    def process(self, digest: str) -> Process:
        """Return the newest process of a model."""
        return next(each for each in self.processes[::-1] if each.assignment.digest == digest)

    def live_comes_up(self, *, standby: bool = False) -> None:
        self.load(LIVE, golden=False)
        self.turn()
        self.process(LIVE).comes_up()
        self.turn()
        if standby:
            self.process(LIVE).comes_up()
            self.turn()

    def model(self, digest: str) -> LoadedModel:
        return next(model for model in self.pool.models() if model.digest == digest)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    yield from staged(terms(), monkeypatch)


@pytest.fixture
def doubled(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage on which the live model has a standby."""
    yield from staged(terms(standby=True), monkeypatch)


def staged(terms: Terms, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with FrameRing(slots=1, slot_bytes=4096) as ring:
        stage = Stage(pool=RunnerPool(terms, ring, DirectStarter()))
        monkeypatch.setattr(subprocess, "Popen", stage.popen)
        yield stage
        stage.pool.close()
        for process in stage.processes:
            process.dies()


def no_process(*_: object, **__: object) -> None:
    raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")


def kinds(events: list[RunnerEvent]) -> list[type]:
    return [type(event) for event in events]


def test_a_candidate_whose_process_cannot_start_is_given_up_and_leaves_nothing_behind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_process)
    stage.load(OTHER)
    before = descriptors()

    events = [event for _ in range(100) for event in stage.turn(after_ns=10 * MILLISECOND)]

    assert kinds(events) == [WentDown] * (MAX_TRIES - 1) + [TurnedDown]
    assert descriptors() <= before
    refused = stage.model(OTHER).refused
    assert refused is not None
    assert "cannot start" in refused.message


def test_a_live_model_whose_process_cannot_start_is_tried_for_ever_with_pauses(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", no_process)
    stage.load(LIVE)

    events = [event for _ in range(2000) for event in stage.turn(after_ns=10 * MILLISECOND)]

    assert set(kinds(events)) == {WentDown}
    assert 5 < len(events) < 12
    assert stage.pool.state(LIVE) is RunnerState.WAITING


def test_a_process_that_dies_before_it_is_told_its_model_is_a_runner_that_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies_at_once(*arguments: object, **options: object) -> Process:
        process = stage.popen(*arguments, **options)
        process.dies()
        return process

    monkeypatch.setattr(subprocess, "Popen", dies_at_once)
    stage.load(OTHER)

    assert stage.turn() == []
    assert kinds(stage.turn()) == [WentDown]


def test_when_all_runners_died_the_one_that_parts_wait_for_starts_alone(stage: Stage) -> None:
    stage.load(OTHER)
    stage.live_comes_up()
    stage.process(OTHER).comes_up()
    stage.turn()
    for digest in (OTHER, LIVE):
        stage.process(digest).dies()
    stage.turn()
    stage.turn()
    assert [each.assignment.digest for each in stage.processes[2:]] == [LIVE]

    stage.process(LIVE).comes_up()
    stage.turn()
    assert [each.assignment.digest for each in stage.processes[2:]] == [LIVE, OTHER]


def test_while_the_live_model_is_refused_another_that_was_is_tried_again(stage: Stage) -> None:
    stage.load(OTHER)
    stage.live_comes_up()
    stage.process(OTHER).refuses("ARCHIVE")
    for _ in range(4):
        stage.turn(after_ns=REFUSED_RETRY_NS)
    assert stage.pool.state(OTHER) is RunnerState.REFUSED, "nobody needs it"

    stage.process(LIVE).dies()
    stage.turn()
    stage.turn()
    stage.process(LIVE).refuses("DIGEST")
    stage.turn()
    stage.turn(after_ns=REFUSED_RETRY_NS)
    stage.turn(after_ns=GAP_PATIENCE_NS)
    stage.process(OTHER).comes_up()
    stage.turn()

    assert stage.pool.state(OTHER) is RunnerState.READY


def test_a_live_runner_that_does_not_come_up_holds_no_other_up_for_long(stage: Stage) -> None:
    stage.load(LIVE)
    stage.load(OTHER)
    stage.turn()
    assert len(stage.processes) == 1
    stage.turn(after_ns=GAP_PATIENCE_NS)

    assert len(stage.processes) == 2


def test_the_standby_comes_last_at_idle_priority_and_without_a_second_proof(
    doubled: Stage,
) -> None:
    doubled.load(OTHER)
    doubled.live_comes_up()
    doubled.turn()
    assert len(doubled.processes) == 2, "while a candidate loads there is no standby"
    doubled.process(OTHER).comes_up()
    doubled.turn()

    assert len(doubled.processes) == 3
    assignment = doubled.processes[2].assignment
    assert (assignment.digest, assignment.at_idle_priority) == (LIVE, True)
    assert assignment.proven_fingerprint == "here"
    assert doubled.model(LIVE).standby is RunnerState.LOADING
    assert doubled.model(OTHER).standby is None


def test_without_the_setting_there_is_no_standby(stage: Stage) -> None:
    stage.live_comes_up()
    for _ in range(10):
        stage.turn(after_ns=SECOND)

    assert len(stage.processes) == 1


def test_a_standby_that_is_warm_takes_over_in_the_turn_in_which_the_runner_dies(
    doubled: Stage,
) -> None:
    doubled.live_comes_up(standby=True)
    doubled.processes[0].dies()
    up, down = doubled.turn()

    assert isinstance(up, CameUp)
    assert isinstance(down, WentDown)
    assert (up.runner, down.runner) == (2, 1)
    assert doubled.pool.runner(LIVE) == 2
    assert doubled.pool.state(LIVE) is RunnerState.READY
    assert doubled.model(LIVE).deaths == 1


def test_a_killed_runner_is_relieved_in_the_same_turn_though_its_process_is_not_gone_yet(
    doubled: Stage,
) -> None:
    doubled.live_comes_up(standby=True)
    doubled.pool.kill(1, "no answer")
    up, down = doubled.pool.tick(LIVE, doubled.now_ns, is_gap=False)

    assert isinstance(up, CameUp)
    assert isinstance(down, WentDown)
    assert (up.runner, down.runner, down.why, down.was_killed) == (2, 1, "no answer", True)


def test_after_a_standby_took_over_a_new_one_is_loaded_at_idle_priority(doubled: Stage) -> None:
    doubled.live_comes_up(standby=True)
    doubled.processes[0].dies()
    doubled.turn()
    doubled.turn()

    assert len(doubled.processes) == 3
    assert doubled.processes[2].assignment.at_idle_priority
    doubled.processes[2].comes_up()
    doubled.processes[1].dies()
    doubled.turn()
    assert doubled.pool.runner(LIVE) == 3


def test_a_runner_that_dies_while_its_standby_loads_is_started_anew_at_full_priority(
    doubled: Stage,
) -> None:
    doubled.live_comes_up()
    standby = doubled.processes[1]
    doubled.processes[0].dies()

    assert kinds(doubled.turn()) == [WentDown]
    assert not standby.is_running
    assert len(doubled.processes) == 3
    assert not doubled.processes[2].assignment.at_idle_priority


def test_a_standby_that_dies_is_reported_and_the_live_runner_judges_on(doubled: Stage) -> None:
    doubled.live_comes_up(standby=True)
    doubled.processes[1].dies()
    (down,) = doubled.turn()

    assert isinstance(down, WentDown)
    assert down.why.startswith("standby:")
    assert doubled.pool.runner(LIVE) == 1
    assert doubled.model(LIVE).deaths == 0


def test_a_standby_that_is_refused_again_and_again_is_tried_with_pauses(doubled: Stage) -> None:
    doubled.live_comes_up()
    for _ in range(2000):
        doubled.turn(after_ns=10 * MILLISECOND)
        if doubled.processes[-1].is_running and len(doubled.processes) > 1:
            doubled.processes[-1].refuses("DIGEST")

    assert 5 < len(doubled.processes) < 14
    assert doubled.pool.state(LIVE) is RunnerState.READY


def test_a_model_that_is_not_live_any_more_gives_its_standby_up(doubled: Stage) -> None:
    doubled.load(OTHER)
    doubled.live_comes_up()
    doubled.process(OTHER).comes_up()
    doubled.turn()
    standby = doubled.process(LIVE)
    assert doubled.model(LIVE).standby is RunnerState.LOADING
    doubled.live = OTHER
    doubled.turn()

    assert not standby.is_running
    assert doubled.model(LIVE).standby is None
    assert doubled.pool.state(LIVE) is RunnerState.READY, "it stays warm as the way back"


class NoProcesses(DirectStarter):
    """A spawner to whom no process is given: that is known only after the start."""

    def start(self, program: Program, theirs: socket.socket) -> DirectChild:
        child = SpawnedChild()
        child.is_lost("Resource temporarily unavailable")
        return cast(DirectChild, child)


def test_a_start_that_fails_afterwards_is_put_off_like_one_that_fails_at_once() -> None:
    with FrameRing(slots=1, slot_bytes=4096) as ring:
        stage = Stage(pool=RunnerPool(terms(), ring, NoProcesses()))
        stage.load(LIVE, golden=False)
        events = [event for _ in range(90) for event in stage.turn()]

        (event,) = events
        assert isinstance(event, WentDown)
        assert event.why == "its process cannot start: Resource temporarily unavailable"
        assert len(stage.turn(after_ns=20 * MILLISECOND) + stage.turn()) == 1, "the next try"


def test_the_first_parts_after_a_swap_have_the_machine_to_themselves(doubled: Stage) -> None:
    doubled.live_comes_up(standby=True)
    doubled.load(OTHER)
    doubled.turn()
    doubled.process(OTHER).comes_up()
    doubled.live = OTHER
    doubled.turn()
    doubled.turn(after_ns=STANDBY_PAUSE_NS - 2 * MILLISECOND)
    assert doubled.model(OTHER).standby is None

    doubled.turn(after_ns=2 * MILLISECOND)
    assert doubled.model(OTHER).standby is RunnerState.LOADING


def test_a_dropped_model_takes_its_standby_with_it(doubled: Stage) -> None:
    doubled.live_comes_up(standby=True)

    assert doubled.pool.drop(LIVE) == 1
    assert not any(process.is_running for process in doubled.processes)
    assert doubled.pool.listening() == []


def test_a_probe_runs_only_in_gaps_and_one_at_a_time(stage: Stage) -> None:
    stage.live_comes_up()
    stage.load(OTHER)
    stage.turn()
    candidate = stage.processes[1]
    stage.is_gap = False
    candidate.is_loaded(2)
    stage.turn()
    assert stage.model(OTHER).state is RunnerState.PROBING
    assert not candidate.is_asked_to_probe(), "a part is open"

    stage.is_gap = True
    stage.turn()
    assert candidate.is_asked_to_probe()
    stage.turn()
    assert not candidate.is_asked_to_probe(), "the first run is not over"
    candidate.is_loaded(1)
    stage.turn()
    assert candidate.is_asked_to_probe()
    candidate.comes_up()
    assert kinds(stage.turn()) == [CameUp]


def test_two_models_are_never_probed_at_once(stage: Stage) -> None:
    stage.live = None
    for digest in (LIVE, OTHER):
        stage.load(digest)
    stage.turn()
    for process in stage.processes:
        process.is_loaded(1)
    stage.turn()
    stage.turn()

    assert [process.is_asked_to_probe() for process in stage.processes] == [True, False]


def test_with_no_model_that_judges_a_probe_runs_at_once(stage: Stage) -> None:
    stage.is_gap = False
    stage.load(LIVE)
    stage.turn()
    stage.processes[0].is_loaded(20)
    stage.turn()

    assert stage.processes[0].is_asked_to_probe()


def test_a_run_of_a_probe_that_hangs_gets_its_model_refused(stage: Stage) -> None:
    stage.live_comes_up()
    stage.load(OTHER)
    stage.turn()
    stage.processes[1].is_loaded(20)
    stage.turn()
    (event,) = stage.turn(after_ns=PROBE_LIMIT_NS + 1)

    assert isinstance(event, TurnedDown)
    assert event.refused.reason == "TOO_SLOW"
    assert not stage.processes[1].is_running


def test_a_runner_that_never_finishes_loading_is_ended_and_started_again(stage: Stage) -> None:
    stage.live_comes_up()
    stage.load(OTHER)
    stage.turn()
    (event,) = stage.turn(after_ns=LOAD_LIMIT_NS + 1)

    assert isinstance(event, WentDown)
    assert (event.why, event.was_killed) == ("loading took too long", True)
    assert not stage.processes[1].is_running
    assert len(stage.processes) == 3


def test_a_line_without_gaps_gets_a_candidate_refused_in_the_end(stage: Stage) -> None:
    stage.live_comes_up()
    stage.load(OTHER)
    stage.turn()
    stage.is_gap = False
    stage.processes[1].is_loaded(20)
    assert stage.turn() == []
    (event,) = stage.turn(after_ns=PROBING_LIMIT_NS + 1)

    assert isinstance(event, TurnedDown)
    assert event.refused.reason == "NO_GAP"


def test_a_start_waits_for_a_gap_but_not_for_ever(stage: Stage) -> None:
    stage.live_comes_up()
    stage.is_gap = False
    stage.load(OTHER)
    stage.turn()
    assert len(stage.processes) == 1

    stage.turn(after_ns=GAP_PATIENCE_NS)
    assert len(stage.processes) == 2


def test_a_standby_is_started_in_a_gap_unless_there_is_none_for_a_second(doubled: Stage) -> None:
    doubled.is_gap = False
    doubled.live_comes_up()
    doubled.turn()
    assert len(doubled.processes) == 1

    doubled.turn(after_ns=GAP_PATIENCE_NS)
    assert len(doubled.processes) == 2


def test_loading_and_dropping_again_and_again_leaves_nothing_behind(stage: Stage) -> None:
    stage.live_comes_up()
    stage.turn()
    before = descriptors()
    for number in range(30):
        stage.load(OTHER)
        stage.turn()
        if number % 2:
            stage.processes[-1].comes_up()
            stage.turn()
        stage.pool.drop(OTHER)
        stage.turn()

    assert descriptors() <= before
    assert sum(process.is_running for process in stage.processes) == 1
