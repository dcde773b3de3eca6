"""The process of the TCP echo: takes so many bytes, gives so many back, and does nothing else."""

import socket
import sys
import threading

from benches.hub_bench.process import serve


class Echo:
    """Listens from its start; each connection has a thread of its own."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    def address(self) -> tuple[str, int]:
        """Return where to connect."""
        host, port = self._listener.getsockname()
        return host, port

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


class EchoClient:
    """The near end: *request_bytes* there, *reply_bytes* back."""

    def __init__(self, address: tuple[str, int], request_bytes: int, reply_bytes: int) -> None:
        self._socket = socket.create_connection(address, timeout=5.0)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(b"%8d%8d" % (request_bytes, reply_bytes))
        self._request = bytearray(request_bytes)
        self._reply_bytes = reply_bytes

    def exchange(self) -> None:
        """Send, and take all that comes back."""
        self._socket.sendall(self._request)
        receive_exactly(self._socket, self._reply_bytes)

    def close(self) -> None:
        """Drop the connection."""
        self._socket.close()


def receive_exactly(connection: socket.socket, size: int) -> bytes:
    """Return the next *size* bytes.

    Raises:
        ConnectionError: the other end has closed.
    """
    received = connection.recv(size)
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise ConnectionError("the other end has closed")
        received += chunk
    return received


def _answer(connection: socket.socket) -> None:
    try:
        sizes = receive_exactly(connection, 16)
        request_bytes, reply = int(sizes[:8]), bytes(int(sizes[8:]))
        while True:
            receive_exactly(connection, request_bytes)
            connection.sendall(reply)
    except OSError:
        connection.close()


if __name__ == "__main__":
    serve(Echo())
    sys.exit(0)
