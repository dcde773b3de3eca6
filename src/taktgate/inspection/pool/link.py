"""The judge's end of one runner: the process, the socket to it, and what it said."""

import contextlib
import socket
from typing import Final

from taktgate.contracts.codec import encode
from taktgate.inspection import doorbell
from taktgate.inspection.control import Assignment
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.spawning.port import Program, Starter

_MODULE: Final = "taktgate.inspection.runner.process"
_ENVIRONMENT: Final = {"ORT_DISABLE_TELEMETRY": "1"}


class RunnerLink:
    """A runner process. Every call returns at once."""

    def __init__(self, assignment: Assignment, ring: FrameRing, starter: Starter) -> None:
        """Have the process started and tell it what to load.

        A process that cannot be told, since it has died already, is no error here: `receive` says
        that it is gone.

        Raises:
            OSError: no process or socket is to be had; nothing is left behind.
        """
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with theirs:
            try:
                self._child = starter.start(_program(assignment), theirs)
            except OSError:
                self._socket.close()
                raise
        message = doorbell.ASSIGNMENT + encode(assignment)
        try:
            socket.send_fds(self._socket, [message], [ring.fileno()])
        except OSError:
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def pid(self) -> int | None:
        """Return the process id, None while it is not known."""
        return self._child.pid

    @property
    def failure(self) -> str:
        """Return why the process could not be started, "" unless it is known that it could not."""
        return self._child.failure

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._socket.fileno()

    def dispatch(self, job: doorbell.Job) -> bool:
        """Ring the bell; return False when the runner is gone."""
        try:
            self._socket.send(doorbell.pack_job(job))
        except OSError:
            return False
        return True

    def probe(self) -> None:
        """Let a runner that is being probed make its next run."""
        with contextlib.suppress(OSError):  # `receive` says that it is gone
            self._socket.send(doorbell.PROBE)

    def receive(self) -> bytes | None:
        """Return the next message, b"" when the runner is gone, None when nothing waits."""
        try:
            return self._socket.recv(doorbell.MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def kill(self) -> None:
        """End the process, whatever it is doing; its socket then tells that it is gone."""
        self._child.kill()

    def close(self) -> None:
        """Close the socket and end the process; `reap` tells when it is gone."""
        self._socket.close()
        self._child.kill()

    def reap(self) -> bool:
        """Return True once the process is gone; never waits for it."""
        return self._child.is_gone()


def _program(assignment: Assignment) -> Program:
    return Program(
        module=_MODULE,
        arguments=(doorbell.AT_IDLE_PRIORITY,) if assignment.at_idle_priority else (),
        variables=_ENVIRONMENT,
    )
