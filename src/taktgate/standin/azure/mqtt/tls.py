"""TLS below MQTT for thousands of connections in one process.

asyncio's own TLS keeps 256 KiB for each side of each connection (`sslproto.SSLProtocol.max_size`):
a thousand devices with four connections each would take 2 GB. This layer keeps what is under way
and nothing else: some 40 KiB for both sides together, in half the time.
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

HANDSHAKE_TIMEOUT_S = 60.0
READ_BYTES = 64 * 1024
BACKLOG = 1024
GOODBYE_TIMEOUT_S = 5.0
"""How long the other side may take to end what we have ended."""


class TlsLayer(asyncio.Protocol):
    """Stands between a TCP transport and *inner*, which sees a transport of plain bytes.

    *inner* is told `connection_made` after the handshake and `connection_lost` in any case, so that
    a failed handshake is an end like another.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        inner: asyncio.Protocol,
        *,
        server_hostname: str | None = None,
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
        on_end: Callable[["TlsLayer"], object] = lambda _: None,
    ) -> None:
        """Prepare one connection.

        Args:
            context: Of a server, or of a client if *server_hostname* is given.
            inner: Gets the plain bytes.
            server_hostname: The name that the server's certificate must hold.
            handshake_timeout_s: The wall's seconds until an unfinished handshake is cut.
            on_end: Called when the connection is gone.
        """
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=server_hostname is None,
            server_hostname=server_hostname,
        )
        self._inner = inner
        self._handshake_timeout_s = handshake_timeout_s
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._is_open = False
        self._is_reading = False
        self._is_ending = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(self._handshake_timeout_s, self.abort)
        self._advance()

    def data_received(self, data: bytes) -> None:
        """Take encrypted bytes; after our goodbye they are of no interest."""
        if not self._is_ending:
            self._incoming.write(data)
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the inner protocol."""
        self._stop_watch()
        self._transport = None
        self._inner.connection_lost(exc)
        self._on_end(self)

    def pause_writing(self) -> None:
        """Pass the peer's slowness on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the peer has caught up."""
        self._inner.resume_writing()

    def write(self, data: bytes) -> None:
        """Encrypt and send; what is written during a read leaves with what else that read gave."""
        if self._transport is None or not data:
            return
        rest = memoryview(data)
        try:
            while rest:  # OpenSSL may take a part only, as it does beyond 16 MiB
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError as error:
            self._fail(error)
            return
        if not self._is_reading:
            self._flush()

    def close(self) -> None:
        """Say goodbye and end our half; the connection is closed when the other half ends.

        To close at once would be to send a reset if anything of the other side lay unread, as its
        session tickets may: and a reset throws away what it has not read of ours.
        """
        if self._transport is None or self.is_closing():
            return
        with contextlib.suppress(ssl.SSLError):  # it waits for the peer's goodbye: not needed
            self._tls.unwrap()
        self._flush()
        self._is_ending = True
        self._transport.write_eof()
        self._stop_watch()
        self._watch = asyncio.get_running_loop().call_later(GOODBYE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def is_closing(self) -> bool:
        """Tell whether the connection is at its end."""
        return self._transport is None or self._is_ending or self._transport.is_closing()

    def extra_info(self, name: str, default: Any) -> Any:
        """Return a fact about the TCP connection."""
        if self._transport is None:
            return default
        return self._transport.get_extra_info(name, default)

    def _advance(self) -> None:
        self._is_reading = True
        try:
            if not self._is_open:
                self._tls.do_handshake()
                self._opened()
            self._read()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
        finally:
            self._is_reading = False
        self._flush()

    def _opened(self) -> None:
        self._is_open = True
        self._stop_watch()
        self._inner.connection_made(_PlainTransport(self))

    def _read(self) -> None:
        """Pass on what can be decrypted. Raises SSLWantReadError when that is all."""
        while not self.is_closing():
            data = self._tls.read(READ_BYTES)
            if not data:
                self.close()
                return
            self._inner.data_received(data)

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._transport is not None:
            self._transport.write(data)

    def _fail(self, error: ssl.SSLError) -> None:
        log.warning(
            "TLS connection refused",
            extra={"peer": self.extra_info("peername", None), "reason": str(error)},
        )
        self._flush()  # the alert that says why
        if self._transport is not None:
            self._transport.close()

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


class _PlainTransport(asyncio.Transport):
    """What the inner protocol holds."""

    def __init__(self, layer: TlsLayer) -> None:
        super().__init__()
        self._layer = layer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._layer.write(bytes(data))

    def close(self) -> None:
        self._layer.close()

    def abort(self) -> None:
        self._layer.abort()

    def is_closing(self) -> bool:
        return self._layer.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._layer.extra_info(name, default)


class TlsServer:
    """Gives each connection a protocol behind TLS; `stop` ends them all, shaking hands or not."""

    def __init__(
        self,
        context: ssl.SSLContext,
        new_protocol: Callable[[], asyncio.Protocol],
        *,
        handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
    ) -> None:
        self._context = context
        self._new_protocol = new_protocol
        self._handshake_timeout_s = handshake_timeout_s
        self._layers: set[TlsLayer] = set()
        self._server: asyncio.Server | None = None

    async def start(self, address: str, port: int) -> int:
        """Listen; return the port (a free one for 0).

        Raises:
            OSError: The port cannot be bound.
        """
        self._server = await asyncio.get_running_loop().create_server(
            self._new_layer, address, port, backlog=BACKLOG
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop to listen and cut what is open."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for layer in list(self._layers):
            layer.abort()
        await server.wait_closed()

    def _new_layer(self) -> TlsLayer:
        layer = TlsLayer(
            self._context,
            self._new_protocol(),
            handshake_timeout_s=self._handshake_timeout_s,
            on_end=self._layers.discard,
        )
        self._layers.add(layer)
        return layer


async def connect_tls(
    context: ssl.SSLContext,
    inner: asyncio.Protocol,
    address: str,
    port: int,
    *,
    handshake_timeout_s: float = HANDSHAKE_TIMEOUT_S,
) -> None:
    """Connect *inner* to a server whose certificate must name *address*; it hears how that ends.

    Raises:
        OSError: There is no such server.
    """
    await asyncio.get_running_loop().create_connection(
        lambda: TlsLayer(
            context, inner, server_hostname=address, handshake_timeout_s=handshake_timeout_s
        ),
        address,
        port,
    )
