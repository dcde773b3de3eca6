"""What edgeHub keeps for one module, connected or not: subscriptions and the message queue."""

import asyncio
import logging
from typing import Protocol

from taktgate.standin.azure.edgehub.queue import MessageQueue, StoredMessage
from taktgate.standin.azure.mqtt import codec, topics

log = logging.getLogger(__name__)

LAST_PACKET_ID = 0xFFFF


class PacketSink(Protocol):
    """The connection of a module that is there."""

    def send(self, packet: codec.Packet) -> None:
        """Send *packet*; a connection that is closing drops it."""

    def drop(self) -> None:
        """Close the connection at once."""


class ModuleSession:
    """The clean_session=0 session of one module.

    Exactly one message to an input is in flight at a time; without a receipt within `ack_timeout_s`
    it is sent again, and a message in flight when the connection ends is sent first on the next.
    """

    def __init__(
        self, *, device: str, module: str, queue: MessageQueue, ack_timeout_s: float
    ) -> None:
        self.module = module
        self.queue = queue
        self._device = device
        self._ack_timeout_s = ack_timeout_s
        self._subscriptions: set[str] = set()
        self._connection: PacketSink | None = None
        self._in_flight: tuple[int, StoredMessage] | None = None
        self._interrupted: StoredMessage | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._packet_id = 0
        self._gained_subscription = asyncio.Event()
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
        return bool(self._subscriptions)

    def attach(self, connection: PacketSink, *, clean: bool) -> None:
        """Make *connection* the module's only one; an older one is dropped."""
        if self._connection is not None:
            self._connection.drop()
            self.detach(self._connection)
        if clean:
            self._subscriptions.clear()
        self._connection = connection

    def detach(self, connection: PacketSink) -> None:
        """Forget *connection*; what was in flight waits for the next one."""
        if self._connection is not connection:
            return
        self._connection = None
        self._stop_timer()
        if self._in_flight is not None:
            self._interrupted = self._in_flight[1]
            self._in_flight = None

    def subscribe(self, topic_filter: str) -> None:
        """Remember a granted subscription."""
        self._subscriptions.add(topic_filter)
        self._gained_subscription.set()
        self._gained_subscription = asyncio.Event()

    def unsubscribe(self, topic_filter: str) -> None:
        """Forget a subscription."""
        self._subscriptions.discard(topic_filter)

    def is_subscribed(self, topic_filter: str) -> bool:
        """Tell whether the module is connected and takes *topic_filter*."""
        return self._connection is not None and topic_filter in self._subscriptions

    async def wait_until_subscribed(self, topic_filter: str, timeout_s: float) -> bool:
        """Return whether the module takes *topic_filter* within *timeout_s*."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self.is_subscribed(topic_filter):
            changed = self._gained_subscription
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
            except TimeoutError:
                return False
        return True

    def connected(self) -> None:
        """Wake those who wait for a subscription that a returning module already has."""
        self._gained_subscription.set()
        self._gained_subscription = asyncio.Event()
        self.pump()

    def notify(self, topic: str, payload: bytes) -> None:
        """Send a twin or method message; it is not kept for a module that is away."""
        if self._connection is not None:
            self._connection.send(
                codec.Publish(topic=topic, payload=payload, qos=1, packet_id=self._next_packet_id())
            )

    def acknowledge(self, packet_id: int) -> None:
        """Take a receipt; receipts of twin and method messages have no effect."""
        if self._in_flight is not None and self._in_flight[0] == packet_id:
            self._in_flight = None
            self._stop_timer()
            self.pump()

    def pump(self) -> None:
        """Send the next message if the module takes input and none is in flight."""
        if self._connection is None or self._in_flight is not None or not self._takes_input():
            return
        is_again = self._interrupted is not None
        stored = self._interrupted or self.queue.take()
        self._interrupted = None
        if stored is not None:
            self.redelivered += is_again
            self._in_flight = (self._next_packet_id(), stored)
            self._send_in_flight(dup=is_again)

    def _takes_input(self) -> bool:
        return any(topics.INPUTS.match(name) for name in self._subscriptions)

    def _send_in_flight(self, *, dup: bool) -> None:
        assert self._connection is not None
        assert self._in_flight is not None
        packet_id, stored = self._in_flight
        message = stored.message
        topic = topics.input_topic(
            self._device, self.module, stored.input, {**message.properties, **message.system}
        )
        self._timer = asyncio.get_running_loop().call_later(
            self._ack_timeout_s, self._on_ack_timeout
        )
        self._connection.send(
            codec.Publish(topic=topic, payload=message.payload, qos=1, packet_id=packet_id, dup=dup)
        )

    def _on_ack_timeout(self) -> None:
        log.warning("no receipt from module, sending again", extra={"module_name": self.module})
        self.redelivered += 1
        self._send_in_flight(dup=True)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next_packet_id(self) -> int:
        taken = self._in_flight[0] if self._in_flight is not None else 0
        self._packet_id = self._packet_id % LAST_PACKET_ID + 1
        if self._packet_id == taken:
            self._packet_id = self._packet_id % LAST_PACKET_ID + 1
        return self._packet_id
