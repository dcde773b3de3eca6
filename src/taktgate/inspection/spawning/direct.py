"""Processes started by the caller itself, which waits until each has begun: not for the judge."""

import signal
import socket
import subprocess

from taktgate.edge.child import start_module
from taktgate.inspection.spawning.port import Program


def popen(program: Program, theirs: socket.socket) -> subprocess.Popen[bytes]:
    """Start *program* as a child of this process, and wait until it has begun.

    Raises:
        OSError: no process is to be had.
    """
    return start_module(program.module, theirs, program.variables, program.arguments)


class DirectChild:
    """A child of this process; its id is its own until it is reaped here."""

    failure = ""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def kill(self) -> None:
        """End the process."""
        self._process.send_signal(signal.SIGKILL)

    def is_gone(self) -> bool:
        """Return True once the process has ended; reaps it."""
        return self._process.poll() is not None

    def wait(self, limit_s: float) -> bool:
        """Wait for its end; return False when it takes longer."""
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return False
        return True


class DirectStarter:
    """Needs no process of its own, and has nothing to tell."""

    def start(self, program: Program, theirs: socket.socket) -> DirectChild:
        """Start *program* and hand it *theirs*.

        Raises:
            OSError: no process is to be had.
        """
        return DirectChild(popen(program, theirs))

    def fileno(self) -> int:
        """Return -1: there is nothing to wait for."""
        return -1

    def advance(self, now_ns: int) -> None:
        """Do nothing: each child is known since its start."""

    def counters(self) -> dict[str, int]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing: children die with this process."""
