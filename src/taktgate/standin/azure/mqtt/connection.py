"""One client's MQTT connection: bytes to packets, the CONNECT rule, keep-alive, orderly ends."""

import asyncio
import logging
from typing import Protocol

from taktgate.standin.azure.errors import MqttProtocolError
from taktgate.standin.azure.mqtt import codec

log = logging.getLogger(__name__)

MQTT_PORT = 8883
"""The SDKs know no other."""
CONNECT_TIMEOUT_S = 60.0
KEEP_ALIVE_FACTOR = 1.5


class PacketSink(Protocol):
    """The connection of a client that is there, as its session sees it."""

    def send(self, packet: codec.Packet) -> None:
        """Send *packet*; a connection that is closing drops it."""

    def drop(self) -> None:
        """Close the connection at once."""


class PacketHandler(Protocol):
    """The edgeHub or IoT Hub behind the connections."""

    def opened(self, connection: "Connection") -> None:
        """Take note of a new connection that has not said who it is."""

    def connect(self, connection: "Connection", packet: codec.Connect) -> str | None:
        """Check who connects and answer; return the client's name, or None when refused."""

    def packet(self, connection: "Connection", client: str, packet: codec.Packet) -> None:
        """Act on a packet of a connected client; may raise MqttProtocolError."""

    def lost(self, connection: "Connection", client: str | None) -> None:
        """Forget the connection."""


class Connection(asyncio.Protocol):
    """A client's connection; a protocol error ends this connection only."""

    def __init__(
        self,
        handler: PacketHandler,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        *,
        max_silence_s: float | None = None,
        max_packet_bytes: int = codec.MAX_PACKET_BYTES,
    ) -> None:
        """Prepare a connection.

        Args:
            handler: Acts on its packets.
            connect_timeout_s: The seconds it may take to say who it is.
            max_silence_s: The longest silence, whatever keep-alive the client asks for; the hub
                has such a limit.
            max_packet_bytes: The largest packet, its first bytes not counted.
        """
        self._handler = handler
        self._max_silence_s = max_silence_s
        self._connect_timeout_s = connect_timeout_s
        self._decoder = codec.Decoder(max_packet_bytes)
        self._transport: asyncio.Transport | None = None
        self._client: str | None = None
        self._idle_limit_s = connect_timeout_s
        self._last_heard_s = 0.0
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for CONNECT."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._handler.opened(self)
        self._last_heard_s = asyncio.get_running_loop().time()
        self._check_idle()

    def data_received(self, data: bytes) -> None:
        """Act on each packet that *data* completes."""
        self._last_heard_s = asyncio.get_running_loop().time()
        try:
            for packet in self._decoder.feed(data):
                self._act_on(packet)
        except MqttProtocolError as error:
            log.warning(
                "connection closed after a protocol error",
                extra={"client": self._client, "reason": str(error)},
            )
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handler."""
        if self._watch is not None:
            self._watch.cancel()
        self._transport = None
        self._handler.lost(self, self._client)

    def send(self, packet: codec.Packet) -> None:
        """Send *packet*; a connection that is closing drops it."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(codec.encode(packet))

    def drop(self) -> None:
        """Close the connection at once, as a cut cable would."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close the connection after what was sent has left."""
        if self._transport is not None:
            self._transport.close()

    def _act_on(self, packet: codec.Packet) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._client is None:
            self._expect_connect(packet)
            return
        match packet:
            case codec.PingReq():
                self.send(codec.PingResp())
            case codec.Disconnect():
                self.close()
            case _:
                self._handler.packet(self, self._client, packet)

    def _expect_connect(self, packet: codec.Packet) -> None:
        if not isinstance(packet, codec.Connect):
            raise MqttProtocolError("first packet is not CONNECT")
        self._client = self._handler.connect(self, packet)
        if self._client is None:
            self.close()
            return
        if packet.keep_alive_s:
            self._idle_limit_s = KEEP_ALIVE_FACTOR * packet.keep_alive_s
        if self._max_silence_s is not None:
            wanted_s = self._idle_limit_s if packet.keep_alive_s else self._max_silence_s
            self._idle_limit_s = min(wanted_s, self._max_silence_s)

    def _check_idle(self) -> None:
        loop = asyncio.get_running_loop()
        rest_s = self._last_heard_s + self._idle_limit_s - loop.time()
        if rest_s <= 0:
            log.warning("silent connection closed", extra={"client": self._client})
            self.drop()
        else:
            self._watch = loop.call_later(min(rest_s, self._connect_timeout_s), self._check_idle)
