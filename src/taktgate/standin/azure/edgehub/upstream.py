"""Messages on their way to the hub: kept while the device is offline, sent in order after."""

import time

from taktgate.standin.azure.device_link import DeviceLink, Telemetry
from taktgate.standin.azure.edgehub.queue import MessageQueue, RoutedMessage
from taktgate.standin.azure.mqtt.topics import CONNECTION_MODULE, OUTPUT_NAME


class UpstreamQueue:
    """The endpoint `$upstream`."""

    def __init__(self, link: DeviceLink, capacity: int) -> None:
        self._link = link
        self.queue = MessageQueue(capacity, time.monotonic)
        link.on_online(lambda _: self.flush())

    def put(self, message: RoutedMessage, *, priority: int, ttl_s: float | None) -> None:
        """Store *message* and send what can be sent."""
        self.queue.put(message, input_name="", priority=priority, ttl_s=ttl_s)
        self.flush()

    def flush(self) -> None:
        """Send all that is stored, if the device is online."""
        while self._link.is_online and (stored := self.queue.take()) is not None:
            message = stored.message
            self._link.send_telemetry(
                Telemetry(
                    device=self._link.device,
                    module=message.system.get(CONNECTION_MODULE, ""),
                    output=message.facts.system.get("outputName") or "",
                    payload=message.payload,
                    properties=message.properties,
                    system={k: v for k, v in message.system.items() if k != OUTPUT_NAME},
                )
            )
