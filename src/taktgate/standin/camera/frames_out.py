"""How frames leave: TCP to whoever is connected, without waiting for anyone."""

import asyncio
import socket
from typing import Final, cast

from taktgate.standin.control.commands import ControlError

_SEND_BUFFER_BYTES: Final = 4 * 1024 * 1024
_MAX_CLIENTS: Final = 8


class FrameServer:
    """Sends every frame to every client that has taken the one before; others miss it."""

    def __init__(self) -> None:
        self._clients: set[asyncio.Transport] = set()
        self._server: asyncio.Server | None = None
        self.missed = 0
        """Frames dropped because a client was too slow."""

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return the address, with the port that was chosen if *port* is 0.

        Raises:
            ControlError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Client(self._clients), host, port)
        except OSError as error:
            # asyncio puts its own words and the address, which we give ourselves, before the cause.
            cause = str(error.strerror or error).rpartition(": ")[2]
            raise ControlError("--listen", f"{host}:{port}: {cause}") from error
        return cast("tuple[str, int]", self._server.sockets[0].getsockname()[:2])

    def send(self, header: bytes, pixels: bytes) -> None:
        """Send one frame. A client with unsent bytes misses it whole: frames are never torn."""
        for client in tuple(self._clients):
            if client.is_closing():
                continue
            if client.get_write_buffer_size() > 0:
                self.missed += 1
                continue
            client.write(header)
            client.write(pixels)

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        for client in tuple(self._clients):
            client.abort()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


class _Client(asyncio.Protocol):
    """A receiver of frames; what it sends is ignored."""

    def __init__(self, clients: set[asyncio.Transport]) -> None:
        self._clients = clients

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if len(self._clients) >= _MAX_CLIENTS:
            self._transport.abort()
            return
        connection: socket.socket = self._transport.get_extra_info("socket")
        # Room for whole frames, so that a reader that is briefly busy does not miss one.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        self._clients.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clients.discard(self._transport)
