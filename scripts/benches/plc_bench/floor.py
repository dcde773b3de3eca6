"""The process of the floor: wakes up for a datagram and makes one TCP echo, as the writer has to.

It waits as the writer waits, at the writer's priority; it only does not do the writer's work.
"""

import select
import socket
import struct
import sys
import threading
import time

from benches.hub_bench.process import serve
from benches.plc_bench.echo import EchoClient

STAMP = struct.Struct("<q")


class Floor:
    """One thread that answers datagrams; the questions come in another, while nothing is timed."""

    def __init__(self) -> None:
        self._taken_ns: list[int] = []

    def open(self, path: str, echo: tuple[str, int], request_bytes: int, reply_bytes: int) -> None:
        """Listen at *path*, with an open connection to the echo."""
        client = EchoClient((echo[0], echo[1]), request_bytes, reply_bytes)
        inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        inbox.bind(path)
        threading.Thread(target=self._answer, args=(inbox, client), daemon=True).start()

    def take(self) -> list[int]:
        """Return how many ns each datagram took since the last call, from its send."""
        taken, self._taken_ns = self._taken_ns, []
        return taken

    def _answer(self, inbox: socket.socket, client: EchoClient) -> None:
        while True:
            select.select([inbox], [], [], 1.0)
            (sent_ns,) = STAMP.unpack(inbox.recv(STAMP.size))
            client.exchange()
            self._taken_ns.append(time.monotonic_ns() - sent_ns)


if __name__ == "__main__":
    serve(Floor())
    sys.exit(0)
