"""The endpoint `$upstream`: messages on their way to the hub.

As Azure/iotedge edge-hub Edge.Hub.Core/routing/CloudEndpoint.cs: a batch is grouped by sender, a
group goes in pieces that fit into one IoT Hub message, and what follows a failed piece of a sender
fails with it. So order is kept for each sender, not between them.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from taktgate.standin.azure.device_link import DeviceLink, Telemetry
from taktgate.standin.azure.edgehub.message import RoutedMessage, StoredMessage
from taktgate.standin.azure.edgehub.pump import Delivered
from taktgate.standin.azure.errors import HubRequestError, UpstreamOfflineError
from taktgate.standin.azure.mqtt.topics import OUTPUT_NAME

MAX_PIECE_BYTES = 256 * 1024


class SendMetrics(Protocol):
    """Counts what was sent."""

    def sent_upstream(self, stored: StoredMessage) -> None:
        """Count a message that the hub has."""


class UpstreamSender:
    """Sends messages to the hub, at least once each."""

    def __init__(
        self, link: DeviceLink, *, batch_size: int, fan_out: int, metrics: SendMetrics
    ) -> None:
        self._link = link
        self._batch_size = batch_size
        self._fan_out = fan_out
        self._metrics = metrics

    async def send(
        self, messages: Sequence[StoredMessage], delivered: Delivered
    ) -> list[StoredMessage]:
        """Send *messages*; return what failed, oldest first."""
        by_sender: dict[str, list[StoredMessage]] = {}
        for each in messages:
            by_sender.setdefault(each.message.sender, []).append(each)
        groups = list(by_sender.values())
        failed: list[StoredMessage] = []
        for start in range(0, len(groups), self._fan_out):
            at_once = groups[start : start + self._fan_out]
            sent = (self._send_group(group, delivered) for group in at_once)
            failed += [each for rest in await asyncio.gather(*sent) for each in rest]
        return sorted(failed, key=lambda each: each.seq)

    async def _send_group(
        self, group: list[StoredMessage], delivered: Delivered
    ) -> list[StoredMessage]:
        largest_bytes = max(1, *(each.message.size_bytes for each in group))
        step = max(1, min(self._batch_size, MAX_PIECE_BYTES // largest_bytes))
        for start in range(0, len(group), step):
            piece = group[start : start + step]
            if not self._send_piece(piece):
                return group[start:]
            for each in piece:
                self._metrics.sent_upstream(each)
                delivered(each)
            await asyncio.sleep(0)
        return []

    def _send_piece(self, piece: list[StoredMessage]) -> bool:
        """Send all or fail; what was sent of a piece when the line broke will come again."""
        try:
            for each in piece:
                self._link.send_telemetry(_telemetry(self._link.device, each.message))
        except (UpstreamOfflineError, HubRequestError):
            return False
        return True


def _telemetry(device: str, message: RoutedMessage) -> Telemetry:
    return Telemetry(
        device=device,
        module=message.sender,
        output=message.output,
        payload=message.payload,
        properties=message.properties,
        system={name: value for name, value in message.system.items() if name != OUTPUT_NAME},
    )
