"""A relay between a client and a controller that spoils replies: what no controller does itself.

What a controller may do itself is one of `standin.logix.faults`.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

HEADER_BYTES = 24

Pieces = Iterable[bytes | float]
"""Bytes to be sent and seconds to be waited, in order."""
Meddling = Callable[[bytes], Pieces]


def unspoiled(reply: bytes) -> Pieces:
    return (reply,)


class Relay:
    """Stands before the controller at *host*:*port*, for one client after the other.

    `meddle` takes each reply and says what leaves instead; it may be changed at any time.
    """

    def __init__(self, host: str, port: int) -> None:
        self._controller = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []
        self.host, self.port = self._listener.getsockname()
        self.meddle: Meddling = unspoiled

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def __enter__(self) -> "Relay":
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5.0)

    def _start(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                controller = socket.create_connection(self._controller)
                for each in (client, controller):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets += (client, controller)
                self._start(lambda a=client, b=controller: _pass_on(a, b))  # type: ignore[misc]
                self._start(lambda a=controller, b=client: self._spoil(a, b))  # type: ignore[misc]

    def _spoil(self, controller: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while header := controller.recv(HEADER_BYTES, socket.MSG_WAITALL):
                length = int.from_bytes(header[2:4], "little")
                reply = header + (controller.recv(length, socket.MSG_WAITALL) if length else b"")
                for piece in self.meddle(reply):
                    if isinstance(piece, bytes):
                        client.sendall(piece)
                    else:
                        time.sleep(piece)
            client.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(4096):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
