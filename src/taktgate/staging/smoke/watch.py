"""Watches over the smoke test's process until it ends, or has to."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.staging.smoke.answer import LIMIT_BYTES

EVERY_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a process ended.

    Attributes:
        output: What it said, at most one byte more than it may.
        status: Its exit code, or minus the signal that ended it, as `subprocess` has it.
        is_late: It was ended, since its time was up.
        was_starved: For most of that time it was ready to go on and was kept off the processors.
        is_overlong: It was ended, since it said too much.
    """

    output: bytes
    status: int
    is_late: bool = False
    was_starved: bool = False
    is_overlong: bool = False


def watch(
    child: subprocess.Popen[bytes], pipe: int, *, limit_s: float, check: Callable[[], None]
) -> End:
    """Return how *child* ended, after *limit_s* at the latest; then nothing of it is left.

    Args:
        child: leads a process group of its own.
        pipe: what it says comes out here.
        limit_s: how long it may take.
        check: called each EVERY_S; what it raises ends the child and goes on to the caller.
    """
    output = bytearray()
    is_late = was_starved = False
    try:
        with contextlib.ExitStack() as open_files:
            ended = os.pidfd_open(child.pid)
            open_files.callback(os.close, ended)
            give_up_at = time.monotonic() + limit_s
            while not is_late and len(output) <= LIMIT_BYTES and not _is_ready(ended, pipe, output):
                check()
                is_late = time.monotonic() >= give_up_at
            was_starved = is_late and _waited_s(child.pid) > limit_s / 2
    finally:
        _end(child)
    _read(pipe, output)  # what it said last
    return End(
        output=bytes(output),
        status=child.returncode,
        is_late=is_late,
        was_starved=was_starved,
        is_overlong=len(output) > LIMIT_BYTES,
    )


def _is_ready(ended: int, pipe: int, output: bytearray) -> bool:
    """Wait a moment for something to happen; tell whether it is the end."""
    readable, _, _ = select.select([ended, pipe], [], [], EVERY_S)
    if pipe in readable and ended not in readable:
        is_open = _read(pipe, output)
        if not is_open:
            select.select([ended], [], [], EVERY_S)  # it is silent for good: the end is near
    return ended in readable


def _read(pipe: int, output: bytearray) -> bool:
    """Take what lies in *pipe*, never more than may be said and a byte; False: it is closed."""
    room = LIMIT_BYTES + 1 - len(output)
    if room <= 0:
        return True
    try:
        data = os.read(pipe, room)
    except BlockingIOError:
        return True
    output += data
    return bool(data)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the whole group, and see its leader off: until then its number is nobody else's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _waited_s(pid: int) -> float:
    """Return how long the process was runnable but kept waiting (proc_pid_schedstat); 0: unknown.

    A quota of the container counts as well.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
