"""The controller's TCP server, on the event loop and the memory of the line program."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

from taktgate.standin.logix.client_link import ClientLink
from taktgate.standin.logix.connections import ConnectionTable
from taktgate.standin.logix.downloads import Download, next_symbols
from taktgate.standin.logix.errors import ListenError
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.firmware import STANDARD, Firmware
from taktgate.standin.logix.identity import Identity, Mode
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.session import Session
from taktgate.standin.logix.write_log import LoggedWrite

log = logging.getLogger(__name__)

DEFAULT_PORT: Final = 44818
_LOOKS_PER_TIMEOUT: Final = 4
_TURNS_TO_ARRIVE: Final = 5
"""Of the event loop, from a client's connect to its `ClientLink`, with room."""


class LogixServer:
    """Serves a tag memory over EtherNet/IP. Not thread-safe: see `LogixThread`."""

    def __init__(
        self,
        memory: TagMemory,
        *,
        firmware: Firmware = STANDARD,
        identity: Identity | None = None,
    ) -> None:
        self.faults = HEALTHY
        self._memory = memory
        self._firmware = firmware
        self._router = Router(memory, identity=identity, firmware=firmware)
        self._connections = ConnectionTable(
            limit=firmware.max_connections, grants_large=firmware.has_large_connections
        )
        self._links: set[ClientLink] = set()
        self._server: asyncio.Server | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._has_power = True

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return the address, with the port that was chosen if *port* is 0.

        Raises:
            ListenError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: ClientLink(self), host, port)
        except OSError as error:
            # asyncio puts its own words and the address, which we give ourselves, before the cause.
            cause = str(error.strerror or error).rpartition(": ")[2]
            raise ListenError(f"{host}:{port}", cause) from error
        self._close_silent_links()
        return cast("tuple[str, int]", self._server.sockets[0].getsockname()[:2])

    async def close(self) -> None:
        """Stop listening and drop all clients.

        Who has connected until now is let in first: asyncio forgets a connection that it is still
        accepting when its server closes, and never closes it.
        """
        for _ in range(_TURNS_TO_ARRIVE):
            await asyncio.sleep(0)
        self.reset()
        if self._watch is not None:
            self._watch.cancel()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    # What a test or the control channel may do to the controller.

    def apply(self, faults: Faults) -> None:
        """Put *faults* into force, for the clients there are and those to come."""
        self.faults = faults
        self._connections.is_full = faults.is_refusing_sessions
        later = asyncio.get_running_loop().call_later
        self._router.tags.torn_writes.arrange(faults.torn_ms / 1000, later)
        for link in tuple(self._links):
            link.obey(faults)

    def reset(self) -> None:
        """Reset every TCP connection now; new ones are welcome."""
        for link in tuple(self._links):
            link.abort()

    def forget(self, *, sessions: bool = True) -> None:
        """Forget all class 3 connections, and with *sessions* who has registered; tell nobody.

        A request on a forgotten connection is dropped; one in a forgotten session gets status 0x64.
        """
        self._connections.drop_all()
        for link in self._links:
            if sessions and link.session is not None:
                link.session.forget()

    def download(self, download: Download) -> None:
        """Replace the tag table. Sessions stay open; what they ask for is answered by the new one.

        Raises:
            DownloadError: the change is impossible; nothing has changed.
        """
        symbols = next_symbols(self._memory.symbols, download)
        self._memory.install(symbols, keeps_values=download.keeps_values)

    def set_mode(self, mode: Mode) -> None:
        """Turn the key: what the identity says; scanning or not is the program's own affair."""
        self._router.identity = replace(self._router.identity, mode=mode)

    @property
    def mode(self) -> Mode:
        """Return where the key stands."""
        return self._router.identity.mode

    def power_off(self) -> None:
        """Lose all connections and sessions, and reset new ones; the memory keeps its values."""
        self._has_power = False
        self.reset()
        self._connections.drop_all()

    def power_on(self) -> None:
        """Take clients again."""
        self._has_power = True

    def newest_writes(self, count: int) -> tuple[LoggedWrite, ...]:
        """Return the last *count* writes of clients to any tag, oldest first."""
        return self._memory.log.newest(count)

    def requests(self) -> Mapping[str, int]:
        """Return how many CIP requests each client (`host:port`) has sent."""
        return self._memory.log.requests

    # What a link asks for.

    def admit(self, link: ClientLink, address: tuple[str, int], client: str) -> Session | None:
        """Return a session for a new client, or None without power or when there are too many."""
        if not self._has_power:
            return None
        if len(self._links) >= self._firmware.max_clients:
            log.warning("a client was refused: too many connections")
            return None
        self._links.add(link)
        host, port = address
        return Session(
            self._router, host=host, port=port, connections=self._connections, client=client
        )

    def dismiss(self, link: ClientLink) -> None:
        """Note that a client is gone."""
        self._links.discard(link)

    def _close_silent_links(self) -> None:
        """Close each connection that has been silent for the inactivity timeout; look again."""
        limit_s = self._firmware.inactivity_s
        oldest_s = time.monotonic() - limit_s
        for link in tuple(self._links):
            if link.heard_s < oldest_s and not self.faults.is_frozen:
                link.end()
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(limit_s / _LOOKS_PER_TIMEOUT, self._close_silent_links)
