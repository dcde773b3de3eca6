"""The client's side of one MQTT connection to IoT Hub: CONNECT, SUBSCRIBE, notices, keep-alive."""

import asyncio
import logging
from typing import Protocol

from taktgate.standin.azure.errors import MqttProtocolError
from taktgate.standin.azure.mqtt import codec, topics

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 240
"""As the C SDK has it (learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub)."""
SUBSCRIBE_ID = 1


class LineHandler(Protocol):
    """Who speaks over a line."""

    def opened(self) -> None:
        """The hub has let us in and granted our subscriptions."""

    def noticed(self, notice: topics.Notice, payload: bytes) -> None:
        """The hub tells something. May raise MqttProtocolError: the line ends."""

    def ended(self, line: "HubLine", connack: int | None) -> None:
        """The line is gone; *connack* is the code of a refusal."""


class HubLine(asyncio.Protocol):
    """One connection, from its first packet to its end.

    Twin and method topics are subscribed to and published to with QoS 0, as Microsoft's own example
    does: what gets lost with the connection is read again after it.
    """

    def __init__(
        self, handler: LineHandler, connect: codec.Connect, filters: tuple[str, ...]
    ) -> None:
        self._handler = handler
        self._connect = connect
        self._filters = filters
        self._decoder = codec.Decoder()
        self._transport: asyncio.Transport | None = None
        self._heard_s = 0.0
        self._beat: asyncio.TimerHandle | None = None
        self._connack: int | None = None
        self.settled = asyncio.Event()
        """Set when the line has opened, or has ended without."""
        self.gone = asyncio.Event()
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(self._connect)
        self._keep_alive()

    def data_received(self, data: bytes) -> None:
        """Act on what the hub says; what is no MQTT ends the line."""
        self._heard_s = asyncio.get_running_loop().time()
        try:
            for packet in self._decoder.feed(data):
                self._act_on(packet)
        except MqttProtocolError as error:
            log.warning(
                "line closed after a protocol error",
                extra={"client_id": self._connect.client_id, "reason": str(error)},
            )
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the handler."""
        if self._beat is not None:
            self._beat.cancel()
        self._transport = None
        self.is_open = False
        self.settled.set()
        self.gone.set()
        self._handler.ended(self, self._connack or None)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message; a line that is not open drops it."""
        self._send(codec.Publish(topic=topic, payload=payload))

    def close(self) -> None:
        """Say goodbye and end."""
        self._send(codec.Disconnect())
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _act_on(self, packet: codec.Packet) -> None:
        match packet:
            case codec.Publish():
                self._handler.noticed(topics.parse_notice(packet.topic), packet.payload)
                if packet.qos:
                    self._send(codec.PubAck(packet_id=packet.packet_id))
            case codec.ConnAck(code=code):
                self._answered(code)
            case codec.SubAck(codes=codes):
                self._subscribed(codes)
            case codec.PingResp() | codec.PubAck() | codec.UnsubAck():
                pass
            case _:
                raise MqttProtocolError(f"a hub must not send {type(packet).__name__}")

    def _answered(self, code: int) -> None:
        self._connack = code
        if code == codec.ACCEPTED:
            filters = tuple((name, 0) for name in self._filters)
            self._send(codec.Subscribe(packet_id=SUBSCRIBE_ID, filters=filters))

    def _subscribed(self, codes: tuple[int, ...]) -> None:
        if codec.SUBSCRIPTION_FAILED in codes:
            raise MqttProtocolError("the hub has refused a subscription")
        self.is_open = True
        self.settled.set()
        self._handler.opened()

    def _send(self, packet: codec.Packet) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(codec.encode(packet))

    def _keep_alive(self) -> None:
        """Ping each time; end the line when the hub was silent since the last ping but one."""
        loop = asyncio.get_running_loop()
        if self._beat is None:
            self._heard_s = loop.time()
        elif loop.time() - self._heard_s > 2 * self._connect.keep_alive_s:
            self.cut()
            return
        else:
            self._send(codec.PingReq())
        self._beat = loop.call_later(self._connect.keep_alive_s, self._keep_alive)
