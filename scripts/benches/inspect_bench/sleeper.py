"""The process of the floor: sleeps until a moment as the judge does, then sends one datagram."""

import select
import socket
import sys

from benches.hub_bench.process import serve

from taktgate.contracts.outcome import Lane
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.edge.lane import pack

KIND = "woke"


class Sleeper:
    """Waits by `select` with a time limit, the judge's way to keep a deadline."""

    def open(self, inbox: str) -> None:
        """Say where to send to."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.connect(inbox)

    def sleep(self, until_ns: int) -> None:
        """Sleep until *until_ns*, CLOCK_MONOTONIC, and say so."""
        letter = pack(KIND, Lane.LOCAL, b"")
        while (left_ns := until_ns - monotonic_ns()) > 0:
            select.select([self._socket], [], [], left_ns / SECOND)
        self._socket.send(letter)


if __name__ == "__main__":
    serve(Sleeper())
    sys.exit(0)
