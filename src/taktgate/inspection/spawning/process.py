"""The spawner: starts the judge's processes, so that the judge never waits for one to begin.

One thread, one socket. It dies with the judge, and its children die with it (PR_SET_PDEATHSIG):
a judge that is killed leaves nothing behind. It sees ended children off; the judge learns of their
end by the descriptor that it was given, and by their sockets.
"""

import errno
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack

from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import OrphanedError, die_with_parent
from taktgate.inspection.spawning import wire
from taktgate.inspection.spawning.direct import popen


class Spawner:
    """The children of one judge."""

    def __init__(self, judge: socket.socket) -> None:
        self._judge = judge
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        """By the descriptor that tells their end."""

    def serve(self) -> None:
        """Start what is asked for until the judge closes the socket; then end all children.

        Raises:
            SpawnerProtocolError: the judge says what it must not.
        """
        try:
            while self._serve_next():
                pass
        except ConnectionError:
            pass  # the judge went in the middle of an answer
        finally:
            for child in self._children.values():
                child.kill()
                child.wait()

    def _serve_next(self) -> bool:
        judge = self._judge.fileno()
        readable, _, _ = select.select([judge, *self._children], [], [])
        for handle in self._children.keys() & set(readable):
            self._children.pop(handle).wait()
            os.close(handle)
        return self._take_request() if judge in readable else True

    def _take_request(self) -> bool:
        """Take the next request; return False when there will be none."""
        data, descriptors, _, _ = socket.recv_fds(
            self._judge, wire.MAX_REQUEST_BYTES, 1, socket.MSG_CMSG_CLOEXEC
        )
        if not data:
            return False
        with ExitStack() as received:
            sockets = [received.enter_context(socket.socket(fileno=each)) for each in descriptors]
            self._start(wire.unpack_request(data), sockets)
            # Closed after the answer: a failure is known before the socket's end tells of it.
        return True

    def _start(self, request: wire.Request, sockets: list[socket.socket]) -> None:
        try:
            if not sockets:  # the kernel drops what this process may not hold (unix(7))
                raise OSError(errno.EMFILE, "no descriptor left for the child's socket")
            pid, handle = self._child(request, sockets[0])
        except OSError as error:
            failed = wire.Answer(number=request.number, errno=error.errno or errno.EIO)
            self._judge.send(wire.pack_answer(failed))
            return
        started = wire.Answer(number=request.number, pid=pid)
        socket.send_fds(self._judge, [wire.pack_answer(started)], [handle])

    def _child(self, request: wire.Request, theirs: socket.socket) -> tuple[int, int]:
        """Return process id and descriptor of a new child.

        Raises:
            OSError: no process or no descriptor is to be had; nothing is left behind.
        """
        child = popen(request.program, theirs)
        try:
            handle = os.pidfd_open(child.pid)
        except OSError:
            child.kill()
            child.wait()
            raise
        self._children[handle] = child
        return child.pid, handle


def main() -> int:
    """Serve the judge until it closes the socket."""
    set_up_logging("inference/spawner")
    try:
        die_with_parent()
    except OrphanedError:
        return 0  # nobody wants this process any more
    for number in (signal.SIGINT, signal.SIGTERM):
        # A terminal's Ctrl-C reaches the whole group: it is the judge that ends its children, a
        # camera gently. A handler, not SIG_IGN, which children would inherit.
        signal.signal(number, lambda *_: None)
    with socket.socket(fileno=int(sys.argv[1])) as judge:
        judge.setblocking(True)
        Spawner(judge).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
