"""The judge's end of one runner: the process, the socket to it, and what it said."""

import os
import signal
import socket
import subprocess
import sys
from typing import Final

from taktgate.contracts.codec import encode
from taktgate.edge.process import PARENT_VARIABLE
from taktgate.inspection import doorbell
from taktgate.inspection.control import Assignment
from taktgate.inspection.frames.ring import FrameRing

_MODULE: Final = "taktgate.inspection.runner.process"


class RunnerLink:
    """A runner process. Every call returns at once."""

    def __init__(self, assignment: Assignment, ring: FrameRing) -> None:
        """Start the process and tell it what to load.

        A process that cannot be told, since it has died already, is no error here: `receive` says
        that it is gone.

        Raises:
            OSError: no process or socket is to be had; nothing is left behind.
        """
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with theirs:
            try:
                self._process = _popen(theirs)
            except OSError:
                self._socket.close()
                raise
        message = doorbell.ASSIGNMENT + encode(assignment)
        try:
            socket.send_fds(self._socket, [message], [ring.fileno()])
        except OSError:
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

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
        self._process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close the socket and end the process; `reap` tells when it is gone."""
        self._socket.close()
        self._process.kill()

    def reap(self) -> bool:
        """Return True once the process is gone; never waits for it."""
        return self._process.poll() is not None


def _popen(theirs: socket.socket) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", _MODULE, str(theirs.fileno())],
        env={**os.environ, PARENT_VARIABLE: str(os.getpid()), "ORT_DISABLE_TELEMETRY": "1"},
        pass_fds=[theirs.fileno()],
    )
