"""A check runs in a process of its own: it is never waited for, and never outlives its use."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.open_descriptors import descriptors
from tests.waiting import WITHIN_S, wait_until

from taktgate.contracts.codec import encode
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.plc.opening.check_report import CheckReport, Finding
from taktgate.plc.opening.checker import MAX_REPORT_BYTES, ProcessChecker
from taktgate.standin.memory_plc import VERIFIED

CHILDREN = Path(f"/proc/self/task/{os.getpid()}/children")


def children() -> set[str]:
    return set(CHILDREN.read_text().split())


@contextmanager
def checker(script: str, clock: Callable[[], int] = monotonic_ns) -> Iterator[ProcessChecker]:
    """A checker whose process runs *script*, which finds the descriptor in `fd`."""
    prelude = "import os, sys, time; fd = int(sys.argv[1]); "
    made = ProcessChecker(clock, command=(sys.executable, "-c", prelude + script), reap_s=WITHIN_S)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def report_of(made: ProcessChecker) -> CheckReport:
    report = wait_until(made.poll)
    assert isinstance(report, CheckReport)
    return report


def test_the_report_is_what_the_process_wrote() -> None:
    with checker(f"os.write(fd, {encode(VERIFIED)!r})") as made:
        assert report_of(made) == VERIFIED
        assert not made.is_running


def test_a_poll_never_waits() -> None:
    with checker("time.sleep(60)") as made:
        started_s = time.monotonic()
        for _ in range(100):
            assert made.poll() is None
        assert time.monotonic() - started_s < 1.0


def test_a_check_that_does_not_end_is_ended_and_is_a_refusal() -> None:
    now_ns = [0]
    before = children()
    with checker("time.sleep(60)", lambda: now_ns[0]) as made:
        assert made.poll() is None
        now_ns[0] = 15 * SECOND
        report = made.poll()
        assert report is not None
        assert report.finding is Finding.REFUSED
        assert "in time" in report.words
    assert children() <= before


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sys.exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "exit code -9"),
        ("os.write(fd, b'rubbish')", "CheckReport"),
        ("pass", "CheckReport"),
        ('os.write(fd, b\'{"finding": "good enough"}\')', "finding"),
    ],
)
def test_a_check_that_fails_is_a_refusal_in_words(script: str, words: str) -> None:
    with checker(script) as made:
        report = report_of(made)
    assert report.finding is Finding.REFUSED
    assert words in report.words
    assert report.contract is None


def test_a_flood_of_output_is_ended() -> None:
    with checker(f"[os.write(fd, b'x' * {MAX_REPORT_BYTES}) for _ in range(100)]") as made:
        assert report_of(made).finding is Finding.REFUSED


def test_a_command_that_cannot_be_started_is_a_refusal() -> None:
    made = ProcessChecker(monotonic_ns, command=("/nowhere/python",))
    made.start()
    assert "did not start" in report_of(made).words
    assert not made.is_running


def test_checks_leave_neither_descriptors_nor_children_behind() -> None:
    open_before, before = descriptors(), children()
    for script in ("pass", "sys.exit(1)", "time.sleep(60)"):
        with checker(script) as made:
            made.poll()
    assert descriptors() <= open_before
    assert children() <= before


def test_the_process_has_none_of_our_descriptors_but_its_pipe(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        os.set_inheritable(lock.fileno(), True)
        script = f"sys.exit(7 if os.path.exists('/proc/self/fd/{lock.fileno()}') else 8)"
        with checker(script) as made:
            assert "exit code 8" in report_of(made).words


def test_a_verified_report_that_names_no_contract_is_none() -> None:
    assert CheckReport(finding=Finding.VERIFIED).contract is None
    assert VERIFIED.contract is not None
    assert VERIFIED.contract.table_version == b"\x01"


def test_the_check_gives_up_real_time_priority() -> None:
    script = (
        "import os\n"
        "from taktgate.plc.opening.check_process import give_up_priority\n"
        "try:\n"
        "    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))\n"
        "except PermissionError:\n"
        "    raise SystemExit(77)\n"
        "give_up_priority()\n"
        "raise SystemExit(os.sched_getscheduler(0) != os.SCHED_OTHER)\n"
    )
    code = subprocess.run([sys.executable, "-c", script], check=False).returncode
    if code == 77:
        pytest.skip("no right to real-time priority here")
    assert code == 0
