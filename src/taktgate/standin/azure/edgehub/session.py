"""What edgeHub keeps for one module, connected or not: its connection and its subscriptions."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from taktgate.standin.azure.edgehub.errors import DeliveryFailedError
from taktgate.standin.azure.edgehub.message import StoredMessage
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.connection import PacketSink

log = logging.getLogger(__name__)


class Subscriptions(Protocol):
    """Where subscriptions outlive edgeHub's process."""

    def load(self, module: str) -> set[str]:
        """Return the topic filters of *module*."""

    def save(self, module: str, filters: Collection[str]) -> None:
        """Keep the topic filters of *module*. Raises StoreFullError."""


@dataclass(slots=True, kw_only=True)
class _Flight:
    """The one message that is on its way to the module."""

    packet_id: int
    receipt: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def end(self, error: DeliveryFailedError | None = None) -> None:
        if self.receipt.done():
            return
        if error is None:
            self.receipt.set_result(None)
        else:
            self.receipt.set_exception(error)


class ModuleSession:
    """The session of one module.

    One message to an input is in flight at a time, whatever the number of inputs: edgeHub locks
    each client (Azure/iotedge Edge.Hub.Core/device/DeviceMessageHandler.cs, SendMessageAsync).
    """

    def __init__(
        self, *, device: str, module: str, subscriptions: Subscriptions, ack_timeout_s: float
    ) -> None:
        self.module = module
        self._device = device
        self._stored = subscriptions
        self._ack_timeout_s = ack_timeout_s
        self._filters = subscriptions.load(module)
        self._takes_input = _takes_input(self._filters)
        self._is_durable = True
        self._connection: PacketSink | None = None
        self._turn = asyncio.Lock()
        self._flight: _Flight | None = None
        self._unreceipted: dict[int, int] = {}
        self._packet_id = 0
        self.on_methods: Callable[[str], None] = lambda _: None
        """Called with the module when it is there and takes methods."""
        self.redelivered = 0

    @property
    def is_connected(self) -> bool:
        """Tell whether the module is connected now."""
        return self._connection is not None

    @property
    def connection(self) -> PacketSink | None:
        """The module's present connection."""
        return self._connection

    @property
    def is_known(self) -> bool:
        """Tell whether the module has a session with subscriptions."""
        return bool(self._filters)

    def attach(self, connection: PacketSink, *, clean: bool) -> None:
        """Make *connection* the module's only one; an older one is dropped.

        Args:
            connection: The new one.
            clean: MQTT's clean_session: subscriptions end with this connection, older ones now.

        Raises:
            StoreFullError: Older subscriptions cannot be deleted.
        """
        if clean:
            self._stored.save(self.module, ())
            self._change_filters(set())
        if self._connection is not None:
            self._connection.drop()
            self.detach(self._connection)
        self._is_durable = not clean
        self._connection = connection

    def connected(self) -> None:
        """Take note that the module knows of its connection."""
        if topics.METHODS in self._filters:
            self.on_methods(self.module)

    def detach(self, connection: PacketSink) -> None:
        """Forget *connection*; a message in flight has failed."""
        if self._connection is not connection:
            return
        self._connection = None
        if not self._is_durable:
            self._change_filters(set())
        if self._flight is not None:
            self._flight.end(DeliveryFailedError(f"module {self.module} has disconnected"))

    def subscribe(self, topic_filter: str) -> None:
        """Remember a granted subscription. Raises StoreFullError."""
        self._keep(self._filters | {topic_filter})
        if topic_filter == topics.METHODS:
            self.on_methods(self.module)

    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a subscription. Raises StoreFullError."""
        self._keep(self._filters - {topic_filter})

    def is_subscribed(self, topic_filter: str) -> bool:
        """Tell whether the module is connected and takes *topic_filter*."""
        return self._connection is not None and topic_filter in self._filters

    def notify(self, topic: str, payload: bytes) -> None:
        """Send a twin or method message; it is not kept for a module that is away."""
        if self._connection is not None:
            packet_id = self._next_packet_id()
            self._connection.send(
                codec.Publish(topic=topic, payload=payload, qos=1, packet_id=packet_id)
            )

    async def deliver(self, stored: StoredMessage, input_name: str) -> None:
        """Send a message to an input and wait for its receipt.

        Raises:
            DeliveryFailedError: The module is away, takes no input, leaves, or gives no receipt.
        """
        async with self._turn:
            if self._connection is None:
                raise DeliveryFailedError(f"module {self.module} is not connected")
            if not self._takes_input:
                raise DeliveryFailedError(f"module {self.module} takes no input")
            self._flight = _Flight(packet_id=self._packet_id_for(stored))
            self._connection.send(self._to_packet(stored, input_name, self._flight.packet_id))
            self._unreceipted[stored.seq] = self._flight.packet_id
            try:
                async with asyncio.timeout(self._ack_timeout_s):
                    await self._flight.receipt
            except TimeoutError:
                raise DeliveryFailedError(f"no receipt from module {self.module}") from None
            finally:
                self._flight = None
            del self._unreceipted[stored.seq]

    def acknowledge(self, packet_id: int) -> None:
        """Take a receipt; receipts of twin and method messages have no effect."""
        if self._flight is not None and self._flight.packet_id == packet_id:
            self._flight.end()

    def _keep(self, filters: set[str]) -> None:
        if filters != self._filters:
            if self._is_durable:
                self._stored.save(self.module, filters)
            self._change_filters(filters)

    def _change_filters(self, filters: set[str]) -> None:
        self._filters = filters
        self._takes_input = _takes_input(filters)

    def _packet_id_for(self, stored: StoredMessage) -> int:
        """Return the identifier under which a message was sent before, or a new one."""
        known = self._unreceipted.get(stored.seq)
        if known is None:
            return self._next_packet_id()
        self.redelivered += 1
        return known

    def _to_packet(self, stored: StoredMessage, input_name: str, packet_id: int) -> codec.Publish:
        bag = {**stored.message.properties, **stored.message.system}
        return codec.Publish(
            topic=topics.input_topic(self._device, self.module, input_name, bag),
            payload=stored.message.payload,
            qos=1,
            packet_id=packet_id,
            dup=stored.seq in self._unreceipted,
        )

    def _next_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % codec.LAST_PACKET_ID + 1
            if self._packet_id not in self._unreceipted.values():
                return self._packet_id


def _takes_input(filters: Collection[str]) -> bool:
    return any(topics.INPUTS.match(each) for each in filters)
