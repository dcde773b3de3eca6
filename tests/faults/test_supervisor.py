"""Real processes: children come back, and none outlives its module."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from taktgate.edge.exits import EXIT_BAD_SETTINGS
from taktgate.edge.process import RoleTakenError, hold_role
from taktgate.edge.supervisor import RestartBudget

MODULE = """
import os, sys
from taktgate.edge.supervisor import Child, Supervisor
start = "import sys, time; from taktgate.edge.process import die_with_parent; die_with_parent(); "
code = start + sys.argv[1]
children = [
    Child(role=role, argv=[sys.executable, "-c", code, role], is_expendable=role == "b")
    for role in ("a", "b")
]
sys.exit(Supervisor(children, environment=os.environ).run())
"""
STAY = "time.sleep(60)"
FAIL = "raise SystemExit(7)"


def wait_until(condition: Callable[[], bool], *, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "condition did not come true in time"
        time.sleep(0.02)


def start(body: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", MODULE, body], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


@pytest.fixture
def module() -> Iterator[subprocess.Popen[bytes]]:
    process = start(STAY)
    wait_until(lambda: len(children_of(process)) == 2)
    # Wait until both have set their parent-death signal: interpreter start, then one call.
    time.sleep(0.5)
    yield process
    process.kill()
    process.wait()


def test_a_killed_child_comes_back(module: subprocess.Popen[bytes]) -> None:
    victim = children_of(module)[0]
    victim.kill()
    wait_until(lambda: victim.pid not in [child.pid for child in children_of(module)])
    wait_until(lambda: len(children_of(module)) == 2)


def test_no_child_outlives_a_killed_module(module: subprocess.Popen[bytes]) -> None:
    children = children_of(module)
    os.kill(module.pid, signal.SIGKILL)
    module.wait()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_sigterm_ends_module_and_children(module: subprocess.Popen[bytes]) -> None:
    children = children_of(module)
    module.terminate()
    assert module.wait(timeout=5) == 0
    assert psutil.wait_procs(children, timeout=5)[1] == []


@pytest.mark.parametrize(
    ("exit_code", "watched_s"),
    [
        (7, 6),  # more than the ten restarts that a child has
        (EXIT_BAD_SETTINGS, 1.5),  # the others run on the settings that they have read
    ],
)
def test_an_expendable_child_that_keeps_failing_ends_nothing(
    exit_code: int, watched_s: float
) -> None:
    process = start(f"{STAY} if sys.argv[1] == 'a' else sys.exit({exit_code})")
    try:
        time.sleep(watched_s)
        assert process.poll() is None
        assert len(children_of(process)) == 1
    finally:
        process.terminate()
        process.wait()


def test_a_child_that_keeps_failing_ends_the_module() -> None:
    process = start(FAIL)
    assert process.wait(timeout=30) == 1


def test_the_budget_forgets_old_restarts() -> None:
    budget = RestartBudget(limit=2, window_s=10.0)
    assert budget.spend(0.0)
    assert budget.spend(1.0)
    assert not budget.spend(2.0)
    assert budget.spend(30.0)


def test_a_role_has_one_holder_and_is_free_after_it(tmp_path: Path) -> None:
    lock = tmp_path / "writer.lock"
    with hold_role(lock), pytest.raises(RoleTakenError, match="writer"):
        hold_role(lock)
    hold_role(lock).close()


def test_a_role_on_a_volume_that_became_read_only_is_held_all_the_same(tmp_path: Path) -> None:
    lock = tmp_path / "stager.lock"
    lock.touch()
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", tmp_path, tmp_path], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount")
    try:
        with pytest.raises(OSError, match="Read-only"):
            lock.open("ab")
        with hold_role(lock), pytest.raises(RoleTakenError, match="stager"):
            hold_role(lock)
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_bad_settings_end_the_module_at_once_with_their_own_code() -> None:
    process = start("raise SystemExit(2)")
    assert process.wait(timeout=10) == 2
