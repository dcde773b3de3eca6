"""What IoT Hub keeps of one MQTT client: its subscriptions, and while it is there its connection.

Twin notices and method calls are not kept for a client that is away: it reads its twin when it
comes back (learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins, reconnection flow).
"""

import asyncio
import itertools
import logging
import time

from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.connection import PacketSink
from taktgate.standin.azure.mqtt.payloads import to_bytes

log = logging.getLogger(__name__)


class ClientSession:
    """One device's or module's session; a `DirectLine` while it is attached to its device's link.

    Its subscriptions outlive a connection without the clean-session flag.
    """

    def __init__(self, *, device: str, module: str) -> None:
        self.device = device
        self.module = module
        self._subscriptions: dict[str, int] = {}
        self._connection: PacketSink | None = None
        self._link: DeviceLink | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._packet_ids = itertools.cycle(range(1, codec.LAST_PACKET_ID + 1))
        self._request_ids = itertools.count(1)
        self._calls: dict[str, asyncio.Future[MethodResult]] = {}

    @property
    def connection(self) -> PacketSink | None:
        """The client's present connection."""
        return self._connection

    @property
    def is_known(self) -> bool:
        """Tell whether there are subscriptions from an earlier connection."""
        return bool(self._subscriptions)

    @property
    def takes_methods(self) -> bool:
        """Tell whether direct methods reach the client now."""
        return self._connection is not None and topics.METHODS in self._subscriptions

    def attach(
        self, connection: PacketSink, link: DeviceLink, *, clean: bool, expiry_s: float
    ) -> None:
        """Make *connection* the client's only one until its token expires; drop an older one.

        Args:
            connection: The new connection.
            link: The line of the client's device.
            clean: Forget what was subscribed to.
            expiry_s: When the token expires, in seconds of the epoch.
        """
        if self._connection is not None:
            self._connection.drop()
            self.detach(self._connection)
        if clean:
            self._subscriptions.clear()
        self._connection, self._link = connection, link
        rest_s = max(0.0, expiry_s - time.time())
        self._expiry = asyncio.get_running_loop().call_later(rest_s, self._expire)
        link.attach(self.module, self)

    def detach(self, connection: PacketSink) -> None:
        """Forget *connection*, unless another one has taken its place."""
        if self._connection is not connection:
            return
        self._connection = None
        if self._expiry is not None:
            self._expiry.cancel()
        if self._link is not None:
            self._link.detach(self.module, self)
            self._link = None

    def cut(self) -> None:
        """End the connection: the client is deleted, disabled, or its device offline."""
        if self._connection is not None:
            self._connection.drop()

    def subscribe(self, packet: codec.Subscribe) -> codec.SubAck:
        """Grant what this client may have, with QoS 1 at most."""
        codes = tuple(self._granted(name, qos) for name, qos in packet.filters)
        if self._link is not None:
            self._link.line_changed()
        return codec.SubAck(packet_id=packet.packet_id, codes=codes)

    def unsubscribe(self, packet: codec.Unsubscribe) -> codec.UnsubAck:
        """Forget subscriptions."""
        for name in packet.filters:
            self._subscriptions.pop(name, None)
        return codec.UnsubAck(packet_id=packet.packet_id)

    def notify(self, topic_filter: str, topic: str, payload: bytes) -> None:
        """Send a message if the client is there and has subscribed to *topic_filter*."""
        qos = self._subscriptions.get(topic_filter)
        if self._connection is not None and qos is not None:
            packet_id = next(self._packet_ids) if qos else 0
            self._connection.send(
                codec.Publish(topic=topic, payload=payload, qos=qos, packet_id=packet_id)
            )

    def desired_changed(self, patch: JsonObject, version: int) -> None:
        """Tell the client of a change of its desired properties."""
        self.notify(
            topics.DESIRED_PATCHES,
            topics.desired_patch_topic(version),
            to_bytes({**patch, "$version": version}),
        )

    async def invoke(self, call: MethodRequest) -> MethodResult:
        """Call a method of the client.

        Raises:
            HubRequestError: 504, it did not answer within the response timeout.
        """
        request_id = f"{next(self._request_ids):x}"
        answer: asyncio.Future[MethodResult] = asyncio.get_running_loop().create_future()
        self._calls[request_id] = answer
        body = b"" if call.payload is None else to_bytes(call.payload)
        self.notify(topics.METHODS, topics.method_topic(call.name, request_id), body)
        try:
            async with asyncio.timeout(call.response_timeout_s):
                return await answer
        except TimeoutError:
            name = f"{self.device}/{self.module}".rstrip("/")
            raise HubRequestError(
                504,
                "GatewayTimeout",
                f"Timed out waiting for the response from {name}",
            ) from None
        finally:
            del self._calls[request_id]

    def answered(self, request_id: str, result: MethodResult) -> None:
        """Take the client's answer; one that nobody waits for any more is dropped."""
        waiting = self._calls.get(request_id)
        if waiting is not None and not waiting.done():
            waiting.set_result(result)

    def _granted(self, name: str, qos: int) -> int:
        # The documented topics are so few that the hub's limit of five at a time is never reached.
        if not topics.is_subscribable_at_hub(name, device=self.device, module=self.module):
            return codec.SUBSCRIPTION_FAILED
        self._subscriptions[name] = min(qos, 1)
        return self._subscriptions[name]

    def _expire(self) -> None:
        log.warning(
            "connection closed: its token has expired",
            extra={"device": self.device, "module_name": self.module},
        )
        self.cut()
