"""The controller's TCP server, on the event loop and the memory of the line program."""

import asyncio
import logging
from typing import Final, cast

from taktgate.standin.logix.errors import EncapsulationError, ListenError
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.session import Session

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 44818
_MAX_CLIENTS: Final = 64


class LogixServer:
    """Serves a tag memory over EtherNet/IP."""

    def __init__(self, memory: TagMemory, *, strict: bool = False) -> None:
        self._router = Router(memory, strict=strict)
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self.faults = HEALTHY

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return the address, with the port that was chosen if *port* is 0.

        Raises:
            ListenError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: _Link(self), host, port)
        except OSError as error:
            # asyncio puts its own words and the address, which we give ourselves, before the cause.
            cause = str(error.strerror or error).rpartition(": ")[2]
            raise ListenError(f"{host}:{port}", cause) from error
        return cast("tuple[str, int]", self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and drop all clients."""
        for link in tuple(self._links):
            link.abort()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def apply(self, faults: Faults) -> None:
        """Put *faults* into force, for the clients there are and those to come."""
        self.faults = faults
        for link in tuple(self._links):
            link.obey(faults)

    def open_session(self, link: "_Link", host: str, port: int) -> Session | None:
        """Return a session for a new client, or None when there are too many."""
        if len(self._links) >= _MAX_CLIENTS:
            return None
        self._links.add(link)
        return Session(self._router, host=host, port=port)

    def forget(self, link: "_Link") -> None:
        """Note that a client is gone."""
        self._links.discard(link)


class _Link(asyncio.Protocol):
    """One client's TCP connection; asyncio sets TCP_NODELAY on it."""

    def __init__(self, server: LogixServer) -> None:
        self._server = server
        self._faults = HEALTHY
        self._is_congested = False
        self._last_due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        host, port = self._transport.get_extra_info("sockname")[:2]
        session = self._server.open_session(self, host, port)
        if session is None:
            log.warning("a client was refused: too many connections")
            self._transport.abort()
            return
        self._session = session
        self.obey(self._server.faults)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.forget(self)

    def pause_writing(self) -> None:
        self._is_congested = True
        self.obey(self._faults)

    def resume_writing(self) -> None:
        self._is_congested = False
        self.obey(self._faults)

    def data_received(self, data: bytes) -> None:
        try:
            for reply in self._session.receive(data):
                self._send(reply)
        except EncapsulationError as error:
            log.warning("a client sent no EtherNet/IP", extra={"error": str(error)})
            self._transport.abort()
        if self._session.is_over:
            self._transport.close()

    def obey(self, faults: Faults) -> None:
        """Behave as *faults* say. A client that does not take its replies is not read either."""
        self._faults = faults
        if faults.is_cut:
            self._transport.abort()
        elif faults.is_frozen or self._is_congested:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def abort(self) -> None:
        """Reset the connection."""
        self._transport.abort()

    def _send(self, reply: bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = max(now + self._faults.delay_ms / 1000, self._last_due)
        if due <= now:
            self._transport.write(reply)
            return
        self._last_due = due
        loop.call_at(due, self._transport.write, reply)
