"""The judge's end of one camera process: the process, its socket and the memory they share."""

import contextlib
import fcntl
import mmap
import os
import socket
from typing import Final, Protocol

from taktgate.inspection.frames.grabber import messages
from taktgate.inspection.spawning.port import Program, Starter

_PROGRAM: Final = Program(module="taktgate.inspection.frames.grabber.process")
PARTING_S: Final = 0.5
"""How long a camera gets to be let go, so that another host finds it free at once."""


class Link(Protocol):
    """A camera's process, as the judge sees it. Every call but `part` returns at once."""

    @property
    def failure(self) -> str:
        """Return why the process could not be started, "" unless it is known that it could not."""
        ...

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        ...

    def receive(self) -> bytes | None:
        """Return the next message, b"" when the process is gone, None when nothing waits."""
        ...

    def send(self, message: bytes) -> bool:
        """Send *message*; False when it could not be sent: nobody reads, or nobody is there."""
        ...

    def kill(self) -> None:
        """End the process at once, and close the socket."""
        ...

    def is_gone(self) -> bool:
        """Return True once the process has ended; reaps it."""
        ...

    def part(self) -> None:
        """Have the process let go of its camera and end; kill it when it takes too long."""
        ...


class GrabberMemory:
    """Where a camera's process lays its frames: made once, so that a restart costs no pages.

    Sealed against shrinking: no camera process can take the memory away from under the judge.
    """

    def __init__(self, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        size = messages.SLOTS * slot_bytes
        self._descriptor = os.memfd_create("taktgate-camera", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._descriptor, size)
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(self._descriptor, fcntl.F_ADD_SEALS, seals)
        self._map = mmap.mmap(self._descriptor, size, prot=mmap.PROT_READ)
        self._view = memoryview(self._map)

    def fileno(self) -> int:
        """Return the descriptor to hand to a camera's process."""
        return self._descriptor

    def pixels(self, frame: messages.Announced) -> memoryview:
        """Return the pixels of *frame*, which are its process's to change."""
        start = frame.slot * self.slot_bytes
        return self._view[start : start + frame.size_bytes]

    def close(self) -> None:
        """Unmap and close."""
        self._view.release()
        self._map.close()
        os.close(self._descriptor)


class GrabberLink:
    """A real process."""

    def __init__(self, assignment: bytes, memory: GrabberMemory, starter: Starter) -> None:
        """Have the process started and tell it which camera it has.

        Raises:
            OSError: no process or socket is to be had; nothing is left behind.
        """
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        with theirs:
            try:
                self._child = starter.start(_PROGRAM, theirs)
            except OSError:
                self._socket.close()
                raise
        with contextlib.suppress(OSError):  # it has died already: `receive` says so
            socket.send_fds(self._socket, [messages.ASSIGNMENT + assignment], [memory.fileno()])

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

    def receive(self) -> bytes | None:
        """Return the next message, b"" when the process is gone, None when nothing waits."""
        try:
            return self._socket.recv(messages.MAX_MESSAGE_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send(self, message: bytes) -> bool:
        """Send *message*; False when it could not be sent: nobody reads, or nobody is there."""
        try:
            self._socket.send(message)
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """End the process at once, and close the socket."""
        self._socket.close()
        self._child.kill()

    def is_gone(self) -> bool:
        """Return True once the process has ended; reaps it."""
        return self._child.is_gone()

    def part(self) -> None:
        """Have the process let go of its camera and end; kill it when it takes too long."""
        self._socket.close()
        if not self._child.wait(PARTING_S):
            self._child.kill()
            self._child.wait(PARTING_S)
