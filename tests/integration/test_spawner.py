"""The spawner as it is: real processes, which come without a wait and leave nobody behind."""

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from tests.integration.judge_station import JudgeStation, children, flat, is_alive, offspring
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import SECOND
from taktgate.inspection.control import Happening
from taktgate.inspection.spawning.link import ANSWER_LIMIT_NS, SpawnedChild, SpawnerLink
from taktgate.inspection.spawning.port import Program

LIMIT_S: Final = 60.0
MAX_TURN_S: Final = 0.2
"""Of a turn on a machine with twice as much to do as it has cores, preemption included."""
PROGRAM: Final = Program(
    module="tests.integration.spawned",
    arguments=("one", "two"),
    variables={"COLOUR": "red", "PYTHONPATH": str(Path(__file__).parents[2])},
)


class Bench:
    """A spawner, and a clock that the test may set ahead."""

    def __init__(self) -> None:
        self.ahead_ns = 0
        self.link = SpawnerLink(clock=self.now_ns)

    def now_ns(self) -> int:
        return time.monotonic_ns() + self.ahead_ns

    def start(self, program: Program = PROGRAM) -> tuple[SpawnedChild, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(LIMIT_S)
        with theirs:
            return self.link.start(program, theirs), ours

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Let the link do its work until *holds*."""
        end_s = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < end_s, what
            watched = [self.link] if self.link.fileno() >= 0 else []
            select.select(watched, [], [], 0.01)
            self.link.advance(self.now_ns())

    def started(self) -> tuple[SpawnedChild, socket.socket]:
        """Return a child that has said its name."""
        child, ours = self.start()
        self.until(lambda: child.pid is not None, "it has started")
        assert ours.recv(64).decode() == f"{child.pid} one two red"
        return child, ours


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.link.close()


def await_that(holds: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not holds():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)


def test_a_process_comes_with_its_socket_and_its_end_is_told(bench: Bench) -> None:
    child, ours = bench.started()
    with ours:
        assert not child.is_gone()
        ours.send(b"end")
        assert child.wait(LIMIT_S)
        await_that(lambda: not children(bench.link.pid), "the spawner has seen it off")


def test_a_kill_before_the_process_is_known_ends_it(bench: Bench) -> None:
    child, ours = bench.start()
    child.kill()
    with ours:
        bench.until(child.is_gone, "it has ended")
        assert child.pid is not None
        assert not is_alive(child.pid)


def test_a_process_that_has_ended_cannot_be_killed_again(bench: Bench) -> None:
    """Its id may be a stranger's by now; the descriptor never is."""
    child, ours = bench.started()
    with ours:
        ours.send(b"end")
        await_that(lambda: not children(bench.link.pid), "the spawner has seen it off")
        child.kill()
        assert child.is_gone()
        child.kill()


@pytest.mark.parametrize("free", [3, 6])
def test_a_program_that_cannot_start_is_told_before_its_socket_ends(
    bench: Bench, free: int
) -> None:
    """For want of a descriptor for its socket, or for its start."""
    _, other = bench.started()
    resource.prlimit(bench.link.pid, resource.RLIMIT_NOFILE, (free, free))
    child, ours = bench.start()
    with other, ours:
        bench.until(lambda: bool(child.failure), "the failure is told")
        assert child.is_gone()
        assert ours.recv(64) == b""
    assert bench.link.counters()["spawner_failures"] == 1


def test_a_spawner_that_dies_takes_its_children_along_and_the_next_one_serves(bench: Bench) -> None:
    first, ours = bench.started()
    old = bench.link.pid
    os.kill(old, signal.SIGKILL)
    with ours:
        assert first.wait(LIMIT_S)
        bench.until(lambda: bench.link.pid != old, "a spawner is back")
        second, other = bench.started()
        with other:
            assert not second.is_gone()
    assert bench.link.counters()["spawner_starts"] == 2


def test_a_request_that_dies_with_the_spawner_has_failed(bench: Bench) -> None:
    os.kill(bench.link.pid, signal.SIGSTOP)
    child, ours = bench.start()
    os.kill(bench.link.pid, signal.SIGKILL)
    with ours:
        bench.until(child.is_gone, "it is known to have failed")
        assert "the spawner is gone" in child.failure
        assert ours.recv(64) == b""


def test_a_spawner_that_hangs_is_given_up(bench: Bench) -> None:
    hanging = bench.link.pid
    os.kill(hanging, signal.SIGSTOP)
    child, ours = bench.start()
    bench.link.advance(bench.now_ns())
    assert not child.is_gone()

    bench.ahead_ns = ANSWER_LIMIT_NS + SECOND
    with ours:
        bench.until(child.is_gone, "the request is given up")
        bench.until(lambda: bench.link.pid != hanging, "another spawner is there")
    await_that(lambda: not is_alive(hanging), "the old one is gone")


def test_closing_ends_and_sees_off_every_process() -> None:
    bench = Bench()
    child, ours = bench.started()
    spawner = bench.link.pid
    with ours:
        bench.link.close()
    assert not Path(f"/proc/{spawner}").exists()
    assert not Path(f"/proc/{child.pid}").exists()
    assert child.is_gone()


def test_a_spawner_that_hangs_holds_no_part_up(station: JudgeStation) -> None:
    """Runners are dead and asked for, and nobody starts them: the judge answers as ever."""
    station.start_ready()
    assert station.process is not None
    (spawner,) = children(station.process.pid)
    os.kill(spawner, signal.SIGSTOP)
    for runner in children(spawner):
        os.kill(runner, signal.SIGKILL)
    station.wait(lambda: bool(station.happened(Happening.DIED)))

    verdict = station.judged(flat(0))

    assert verdict.verdict is Verdict.NO_DECISION
    assert verdict.decided_ns <= verdict.deadline_ns
    os.kill(spawner, signal.SIGCONT)
    station.wait(lambda: station.is_ready)


def runners(station: JudgeStation) -> set[int]:
    """Return the processes that have become a runner, whosever children they are."""
    assert station.process is not None
    return {pid for pid in offspring(station.process.pid) if b".runner.process" in command(pid)}


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep the machine busy."""
    running = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[JudgeStation]:
    station = JudgeStation(tmp_path)
    station.install_tiny(Tiny(), "a", confirmed=True)
    yield station
    station.close()


def test_a_spawner_that_is_killed_costs_the_runners_and_the_judge_is_soon_ready_again(
    station: JudgeStation,
) -> None:
    station.start_ready()
    assert station.process is not None
    (spawner,) = children(station.process.pid)
    runners = children(spawner)
    os.kill(spawner, signal.SIGKILL)

    station.wait(lambda: bool(station.happened(Happening.DIED)))
    station.heard.beats.clear()  # those of before said ready
    station.wait(lambda: station.is_ready)
    await_that(lambda: not any(map(is_alive, runners)), "the old runners are gone")
    (successor,) = children(station.process.pid)
    assert successor != spawner


def test_no_turn_of_the_judge_waits_for_a_process_to_begin(station: JudgeStation) -> None:
    """Runner after runner, on a machine that has twice as much to do as it has cores."""
    station.start_ready()
    longest_us = 0

    def note() -> bool:
        nonlocal longest_us
        status = station.heard.status
        longest_us = max(longest_us, 0 if status is None else status.counters["longest_turn_us"])
        return len(station.happened(Happening.DIED)) >= 6

    with busy(2 * (os.cpu_count() or 1)):
        killed: set[int] = set()
        end_s = time.monotonic() + LIMIT_S
        while not note():
            assert time.monotonic() < end_s
            for runner in runners(station) - killed:
                killed.add(runner)
                os.kill(runner, signal.SIGKILL)
            station.listen(0.05)
    assert longest_us * 1000 < MAX_TURN_S * SECOND
