"""Real processes: children come back, and none outlives its module."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.waiting import WITHIN_S, wait_until

from taktgate.edge.exits import EXIT_BAD_SETTINGS
from taktgate.edge.process import RoleTakenError, hold_role
from taktgate.edge.supervisor import MAX_RESTARTS, RestartBudget

MODULE = """
import os, sys
from taktgate.edge.supervisor import Child, Supervisor
start = "import os, sys, time; from taktgate.edge.process import die_with_parent as d; d(); "
code = start + sys.argv[1]
children = [
    Child(role=role, argv=[sys.executable, "-c", code, role], is_expendable=role == "b")
    for role in ("a", "b")
]
sys.exit(Supervisor(children, environment=os.environ).run())
"""
SAY = "os.write(1, f'{sys.argv[1]}\\n'.encode())"
"""What a child does first, in one write: it has set its parent-death signal by then."""
STAY = f"{SAY}; time.sleep(600)"
FAIL = "raise SystemExit(7)"


@contextmanager
def started(body: str) -> Iterator[subprocess.Popen[bytes]]:
    """Give a module whose children do *body*."""
    command = [sys.executable, "-c", MODULE, body]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[bytes], times: int) -> set[str]:
    """Return which children have begun, in so many starts."""
    assert process.stdout is not None
    return {process.stdout.readline().decode().strip() for _ in range(times)}


def children_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children()


@pytest.fixture
def module() -> Iterator[subprocess.Popen[bytes]]:
    with started(STAY) as process:
        assert said(process, 2) == {"a", "b"}
        yield process


def test_a_killed_child_comes_back(module: subprocess.Popen[bytes]) -> None:
    victim = children_of(module)[0]
    victim.kill()
    wait_until(lambda: victim.pid not in [child.pid for child in children_of(module)])
    wait_until(lambda: len(children_of(module)) == 2)


def test_no_child_outlives_a_killed_module(module: subprocess.Popen[bytes]) -> None:
    children = children_of(module)
    os.kill(module.pid, signal.SIGKILL)
    module.wait()
    _, alive = psutil.wait_procs(children, timeout=WITHIN_S)
    assert alive == []


def test_sigterm_ends_module_and_children(module: subprocess.Popen[bytes]) -> None:
    children = children_of(module)
    module.terminate()
    assert module.wait(timeout=WITHIN_S) == 0
    assert psutil.wait_procs(children, timeout=WITHIN_S)[1] == []


@pytest.mark.parametrize(
    ("exit_code", "starts"),
    [
        (7, 1 + MAX_RESTARTS),
        (EXIT_BAD_SETTINGS, 1),  # the others run on the settings that they have read
    ],
)
def test_an_expendable_child_that_keeps_failing_ends_nothing(exit_code: int, starts: int) -> None:
    fails = f"{SAY}; sys.argv[1] == 'b' and sys.exit({exit_code}); time.sleep(600)"
    with started(fails) as process:
        assert said(process, 1 + starts) == {"a", "b"}
        wait_until(lambda: len(children_of(process)) == 1)
        (other,) = children_of(process)
        other.kill()
        assert said(process, 1) == {"a"}, "the module goes on, and brings it back"


def test_a_child_that_keeps_failing_ends_the_module() -> None:
    with started(FAIL) as process:
        assert process.wait(timeout=2 * WITHIN_S) == 1


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
    with started("raise SystemExit(2)") as process:
        assert process.wait(timeout=WITHIN_S) == 2
