"""Real-time rights: each is asked for, and to be without one is a mode that says so."""

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

# In a process of its own: what is granted would stay with the tests.
_ASK = """
import ctypes, json, os, sys
from dataclasses import asdict
from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import take_realtime_priority

if "drop" in sys.argv:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) == 0
set_up_logging("test")
rights = take_realtime_priority(10)
[locked] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck")]
policy = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
print(json.dumps({
    "rights": asdict(rights),
    "complete": rights.are_complete,
    "is_fifo": policy == os.SCHED_FIFO,
    "is_locked": int(locked) > 0,
}))
"""
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    rights: dict[str, bool]
    complete: bool
    is_fifo: bool
    is_locked: bool
    said: str


def without_rights() -> Granted:
    """Ask under limits that any process may set for itself."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (MEGABYTE, MEGABYTE))

    return ask("drop", before=limit)


def ask(*words: str, before: Callable[[], None] | None = None) -> Granted:
    command = [sys.executable, "-c", _ASK, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=before)
    *said, answer = done.stdout.splitlines()
    return Granted(**json.loads(answer), said="\n".join([*said, done.stderr]))


def test_without_rights_a_process_runs_on_and_names_both_ulimits() -> None:
    granted = without_rights()
    assert granted.rights == {"scheduling": False, "memory": False}
    assert (granted.complete, granted.is_fifo, granted.is_locked) == (False, False, False)
    assert "rtprio" in granted.said
    assert "memlock" in granted.said


def test_a_limit_on_locked_memory_is_no_grant_for_it_would_strike_later() -> None:
    """An allocation in the middle of a part would be refused once locked memory has grown to it."""
    assert f"limited to {MEGABYTE} bytes" in without_rights().said


def test_what_is_said_to_be_granted_is_in_force() -> None:
    """Whatever this machine grants."""
    granted = ask()
    assert granted.rights == {"scheduling": granted.is_fifo, "memory": granted.is_locked}
