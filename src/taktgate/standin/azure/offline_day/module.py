"""A module of the day: it sends, resends what it has no receipt for, receives, and drops out."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from taktgate.standin.azure.edgehub.hub import EdgeHub
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.sign_in import sign_in
from taktgate.standin.azure.offline_day import wire
from taktgate.standin.azure.offline_day.ledger import Ledger

TOKEN_LIFETIME_S = 10 * 365 * 24 * 3600
"""Tokens are dated by the wall's clock, which hardly moves during the day."""
RECONNECT_S = 10.0
"""azure-iot-device's connection_retry_interval."""
RECEIPT_TIMEOUT_S = 60.0
"""Then a sender takes its connection for dead."""
SUBSCRIBE_ID = 1
Arrival: TypeAlias = tuple[str, str, str, int]
"""Sender, output, endpoint and number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a module is."""

    device: str
    module: str
    hub_hostname: str
    key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outgoing:
    output: str
    number: int


class SimulatedModule:
    """One module: it has one message under way at a time and sends it until it has its receipt."""

    def __init__(
        self,
        identity: Identity,
        edgehub: EdgeHub,
        ledger: Ledger,
        *,
        chance: random.Random,
        withheld_share: float,
        on_confirmed: Callable[[Arrival], None],
    ) -> None:
        self._identity = identity
        self._edgehub = edgehub
        self._ledger = ledger
        self._chance = chance
        self._withheld_share = withheld_share
        self._outbox: deque[_Outgoing] = deque()
        self._connection: _Connection | None = None
        self._may_connect = True
        self._packet_id = SUBSCRIBE_ID
        self._patience: asyncio.TimerHandle | None = None
        self._delivered: dict[int, Arrival] = {}
        self._on_confirmed = on_confirmed
        self.withheld = 0
        self.is_reliable = False
        """Gives every receipt."""

    def send(self, output: str) -> None:
        """Send a message as soon as it can be."""
        number = self._ledger.new_message(self._identity.module, output)
        self._outbox.append(_Outgoing(output=output, number=number))
        if len(self._outbox) == 1:
            self._send_first()

    def come(self) -> None:
        """Connect, and again after each loss of the connection."""
        self._may_connect = True
        self._connect()

    def go(self) -> None:
        """Cut the connection and stay away."""
        self._may_connect = False
        self._cut()

    def forget_connection(self) -> None:
        """Take note that the connection is over."""
        self._connection = None
        self._stop_waiting()
        if self._may_connect:
            delay_s = RECONNECT_S * self._chance.uniform(0.5, 1.5)
            asyncio.get_running_loop().call_later(delay_s, self._connect)

    def begin(self) -> None:
        """Take note that edgeHub has let it in."""
        self._send_first()

    def receipt_came(self, packet_id: int) -> None:
        """Take edgeHub's receipt for the message under way."""
        if self._outbox and packet_id == self._packet_id:
            self._stop_waiting()
            first = self._outbox.popleft()
            now_s = asyncio.get_running_loop().time()
            self._ledger.acknowledged(self._identity.module, first.output, first.number, now_s)
            self._send_first()

    def message_came(self, packet: codec.Publish) -> bool:
        """Take a message; return whether to give a receipt."""
        input_name = packet.topic.split("/")[5]
        sender, output, number = packet.payload.decode().split()
        endpoint = f"{self._identity.module}/{input_name}"
        arrival = (sender, output, endpoint, int(number))
        self._delivered[packet.packet_id] = arrival
        self._ledger.arrived(*arrival, asyncio.get_running_loop().time())
        if not self.is_reliable and self._chance.random() < self._withheld_share:
            self.withheld += 1
            return False
        return True

    def reached_edgehub(self, packet: codec.Packet) -> None:
        """Take note of a packet of its own that edgeHub has got."""
        match packet:
            case codec.PubAck(packet_id=packet_id):
                self._on_confirmed(self._delivered[packet_id])
            case codec.Publish(payload=payload):
                sender, output, number = payload.decode().split()
                now_s = asyncio.get_running_loop().time()
                self._ledger.reached_edgehub(sender, output, int(number), now_s)
            case _:
                pass

    def connect_packet(self) -> codec.Connect:
        """Return the CONNECT that the SDK would send."""
        me = self._identity
        return sign_in(
            me.hub_hostname,
            f"{me.device}/{me.module}",
            key=me.key,
            lifetime_s=TOKEN_LIFETIME_S,
            keep_alive_s=0,
        )

    def subscription(self) -> codec.Subscribe:
        """Return the subscription of its inputs."""
        topic = f"devices/{self._identity.device}/modules/{self._identity.module}/inputs/#"
        return codec.Subscribe(packet_id=SUBSCRIBE_ID, filters=((topic, 1),))

    def _connect(self) -> None:
        if self._may_connect and self._connection is None:
            if not self._edgehub.is_running:
                self.forget_connection()
                return
            self._connection = _Connection(self)
            wire.connect(self._connection, _Tap(self, self._edgehub.new_connection()))

    def _send_first(self) -> None:
        if not self._outbox or self._connection is None or not self._connection.is_in:
            return
        first = self._outbox[0]
        self._packet_id = self._packet_id % 0xFFFF + 1
        me = self._identity
        body = f"{me.module} {first.output} {first.number}".encode()
        topic = f"devices/{me.device}/modules/{me.module}/messages/events/%24.on={first.output}"
        self._connection.send(
            codec.Publish(topic=topic, payload=body, qos=1, packet_id=self._packet_id)
        )
        self._patience = asyncio.get_running_loop().call_later(RECEIPT_TIMEOUT_S, self._cut)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()

    def _cut(self) -> None:
        if self._connection is not None:
            self._connection.cut()


class _Connection(asyncio.Protocol):
    """The module's end of one MQTT connection."""

    def __init__(self, module: SimulatedModule) -> None:
        self._module = module
        self._decoder = codec.Decoder()
        self._transport: asyncio.Transport | None = None
        self.is_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.send(self._module.connect_packet())

    def connection_lost(self, exc: Exception | None) -> None:
        self._module.forget_connection()

    def data_received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            self._act_on(packet)

    def send(self, packet: codec.Packet) -> None:
        if self._transport is not None:
            self._transport.write(codec.encode(packet))

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _act_on(self, packet: codec.Packet) -> None:
        match packet:
            case codec.ConnAck(code=codec.ACCEPTED):
                self.is_in = True
                self.send(self._module.subscription())
                self._module.begin()
            case codec.PubAck(packet_id=packet_id):
                self._module.receipt_came(packet_id)
            case codec.Publish(packet_id=packet_id):
                if self._module.message_came(packet):
                    self.send(codec.PubAck(packet_id=packet_id))
            case _:
                pass


class _Tap(asyncio.Protocol):
    """Stands before edgeHub's connection and tells the module what has really got there."""

    def __init__(self, module: SimulatedModule, edgehub: asyncio.Protocol) -> None:
        self._module = module
        self._edgehub = edgehub
        self._decoder = codec.Decoder()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._edgehub.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._edgehub.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        for packet in self._decoder.feed(data):
            self._module.reached_edgehub(packet)
        self._edgehub.data_received(data)
