"""The judge's end of the spawner: nothing here waits but the start of the spawner itself."""

import contextlib
import logging
import os
import select
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.inspection.spawning import wire
from taktgate.inspection.spawning.direct import popen
from taktgate.inspection.spawning.port import Program

log = logging.getLogger(__name__)

ANSWER_LIMIT_NS: Final = 30 * SECOND
"""A spawner that has not answered for so long would not bring a dead runner back either."""
FIRST_PAUSE_NS: Final = 100 * MILLISECOND
LAST_PAUSE_NS: Final = 5 * SECOND
MAX_ANSWERS_A_TURN: Final = 8
END_S: Final = 1.0
_SPAWNER: Final = Program(module="taktgate.inspection.spawning.process")


def is_supported() -> bool:
    """Tell whether the kernel gives descriptors of processes (Linux 5.3), and the container too."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class SpawnedChild:
    """A child of the spawner, held by a descriptor: its id may pass to a stranger, that cannot."""

    def __init__(self) -> None:
        self.pid: int | None = None
        self.failure = ""
        self._handle: int | None = None
        self._is_gone = False
        self._is_doomed = False

    def has_started(self, pid: int, handle: int) -> None:
        """Take note of the process; end it when that was asked for meanwhile."""
        self.pid, self._handle = pid, handle
        if self._is_doomed:
            self.kill()

    def is_lost(self, why: str) -> None:
        """Take note that there will be no such process."""
        self.failure, self._is_gone = why, True

    def kill(self) -> None:
        """End the process, now or as soon as it is there."""
        self._is_doomed = True
        if self._handle is not None:
            with contextlib.suppress(ProcessLookupError):  # it has ended, and been seen off
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def is_gone(self) -> bool:
        """Return True once the process has ended; gives its descriptor back."""
        return self.wait(0.0)

    def wait(self, limit_s: float) -> bool:
        """Wait for its end; return False when it takes longer, or is not known to have begun."""
        if self._handle is not None and select.select([self._handle], [], [], limit_s)[0]:
            os.close(self._handle)
            self._handle, self._is_gone = None, True
        return self._is_gone


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request without an answer yet."""

    child: SpawnedChild
    since_ns: int


class SpawnerLink:
    """Implements `Starter`. A spawner that dies takes its children along and is started anew."""

    def __init__(self, *, clock: Callable[[], int] = monotonic_ns) -> None:
        """Start the spawner, and wait until it has begun: before the loop, not in it.

        Raises:
            OSError: no process is to be had.
        """
        self._clock = clock
        self._asked: dict[int, _Asked] = {}
        self._number = 0
        self._ended: list[subprocess.Popen[bytes]] = []
        self._restart_at_ns = 0
        self._pause_ns = 0
        """The first restart is made at once; one that has answered nothing yet waits its turn."""
        self._counters = {"spawner_starts": 0, "spawner_failures": 0}
        self._socket: socket.socket | None = None
        self._begin()

    @property
    def pid(self) -> int:
        """Return the process id of the spawner."""
        return self._process.pid

    def start(self, program: Program, theirs: socket.socket) -> SpawnedChild:
        """Ask for *program*; its process id comes later.

        Raises:
            OSError: there is no spawner now, or it has more to do than it can be told.
        """
        if self._socket is None:
            raise ConnectionError("the spawner is gone")
        self._number += 1
        request = wire.Request(number=self._number, program=program)
        socket.send_fds(self._socket, [wire.pack_request(request)], [theirs.fileno()])
        child = SpawnedChild()
        self._asked[self._number] = _Asked(child=child, since_ns=self._clock())
        return child

    def fileno(self) -> int:
        """Return the descriptor to wait on, -1 while there is no spawner."""
        return -1 if self._socket is None else self._socket.fileno()

    def counters(self) -> dict[str, int]:
        """Return how often the spawner was started, and how often it could not start a process."""
        return self._counters

    def advance(self, now_ns: int) -> None:
        """Take in the answers; give up a spawner that is dead or hangs, and start the next one."""
        self._ended = [process for process in self._ended if process.poll() is None]
        if self._socket is None:
            self._begin_again(now_ns)
            return
        try:
            self._listen(self._socket)
        except (OSError, wire.SpawnerProtocolError) as error:
            self._lose(f"the spawner is gone: {error}", now_ns)
            return
        oldest = next(iter(self._asked.values()), None)
        if oldest is not None and now_ns - oldest.since_ns > ANSWER_LIMIT_NS:
            self._lose("the spawner hangs", now_ns)

    def close(self) -> None:
        """Have the spawner end its children and itself; waits a second at most."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for process in (self._process, *self._ended):
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _begin(self) -> None:
        """Start the spawner.

        Raises:
            OSError: no process or socket is to be had; nothing is left behind.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self._process = popen(_SPAWNER, theirs)
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._socket = ours
        self._counters["spawner_starts"] += 1

    def _begin_again(self, now_ns: int) -> None:
        """Start the next spawner: the one start that the judge waits for, since nobody else can."""
        if now_ns < self._restart_at_ns:
            return
        try:
            self._begin()
        except OSError as error:
            self._put_off(now_ns)
            log.error("the spawner cannot start", extra={"error": str(error)})

    def _listen(self, spawner: socket.socket) -> None:
        """Take in what waits.

        Raises:
            OSError: the spawner is gone.
            SpawnerProtocolError: it says what it must not.
        """
        for _ in range(MAX_ANSWERS_A_TURN):
            try:
                data, handles, _, _ = socket.recv_fds(
                    spawner, wire.MAX_ANSWER_BYTES, 1, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            if not data:
                raise ConnectionResetError("it has ended")
            self._understand(wire.unpack_answer(data), handles)

    def _understand(self, answer: wire.Answer, handles: list[int]) -> None:
        asked = self._asked.pop(answer.number, None)
        if asked is None or (answer.pid is not None) != (len(handles) == 1):
            for handle in handles:
                os.close(handle)
            raise wire.SpawnerProtocolError(f"an answer to nothing: {answer.number}")
        self._pause_ns = 0
        if answer.pid is None:
            self._counters["spawner_failures"] += 1
            asked.child.is_lost(os.strerror(answer.errno))
        else:
            asked.child.has_started(answer.pid, handles[0])

    def _lose(self, why: str, now_ns: int) -> None:
        log.error("all processes of the judge go with their spawner", extra={"why": why})
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._process.kill()
        self._ended.append(self._process)
        for asked in self._asked.values():
            asked.child.is_lost(why)
        self._asked.clear()
        self._put_off(now_ns)

    def _put_off(self, now_ns: int) -> None:
        self._restart_at_ns = now_ns + self._pause_ns
        self._pause_ns = min(max(2 * self._pause_ns, FIRST_PAUSE_NS), LAST_PAUSE_NS)
