"""The pump of one endpoint: reads batches by priority and sends them until they are through.

It follows Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/endpoints/
StoringAsyncEndpointExecutor.cs (batches, priorities) and statemachine/EndpointExecutorFsm.cs
(back-off, death and revival).
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgehub.message import StoredMessage
from taktgate.standin.azure.edgehub.message_queue import MessageQueue

log = logging.getLogger(__name__)

Delivered = Callable[[StoredMessage], None]


class Sender(Protocol):
    """Brings messages to where an endpoint leads."""

    async def send(
        self, messages: Sequence[StoredMessage], delivered: Delivered
    ) -> list[StoredMessage]:
        """Send *messages*, telling *delivered* of each that is through.

        Returns:
            What is to be tried again, in order; nothing of a sender overtakes what failed.

        Raises:
            Exception: No other attempt can help: the endpoint is dead.
        """


class PumpState(StrEnum):
    """What a pump is doing."""

    IDLE = "idle"
    SENDING = "sending"
    FAILING = "failing"
    """It waits to try again."""
    DEAD = "dead"
    """What is read is dropped, until the revive period is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpPolicy:
    """How a pump reads and how long it waits."""

    batch_size: int = 10
    first_retry_s: float = 1.0
    max_retry_s: float = 60.0
    revive_period_s: float = 30.0

    def wait_s(self, failures: int) -> float:
        """Return the wait after so many failures in a row: 1, 2, 4 ... 60 s.

        edgeHub spreads it by up to 20 % (ExponentialBackoff.cs); here it is the middle of that.
        """
        growth = 2.0 ** min(failures, 30) - 1
        return min(self.first_retry_s * (1 + growth), self.max_retry_s)


class BatchReader:
    """Reads a queue in batches, one batch ahead of what is being sent.

    As edgeHub's StoreMessagesProvider: once it finds nothing to read ahead it never does so again,
    and each batch is read when it is wanted.
    """

    def __init__(self, queue: MessageQueue, batch_size: int) -> None:
        self.queue = queue
        self._batch_size = batch_size
        self._ahead = queue.read(batch_size)

    def next_batch(self) -> list[StoredMessage]:
        """Return the next messages, none if there are none."""
        batch = self._ahead
        if not batch:
            return self.queue.read(self._batch_size)
        self._ahead = self.queue.read(self._batch_size)
        return batch


class EndpointPump:
    """Sends what is in an endpoint's queues; the best priority first, again after each batch."""

    def __init__(
        self,
        sender: Sender,
        *,
        policy: PumpPolicy,
        clock: Clock,
        on_retry: Callable[[], None] = lambda: None,
    ) -> None:
        self._sender = sender
        self._on_retry = on_retry
        self._policy = policy
        self._clock = clock
        self._queues: dict[int, MessageQueue] = {}
        self._readers: dict[int, BatchReader] = {}
        self._has_messages = asyncio.Event()
        self._shall_retry = asyncio.Event()
        self._failures = 0
        self._dead_since_s: float | None = None
        self.state = PumpState.IDLE

    @property
    def queues(self) -> Sequence[MessageQueue]:
        """The queues, best priority first."""
        return [self._queues[priority] for priority in sorted(self._queues)]

    def add(self, queue: MessageQueue) -> None:
        """Send this queue's messages too."""
        self._queues[queue.priority] = queue
        queue.on_arrival = self._has_messages.set
        self._has_messages.set()

    def retry_now(self) -> None:
        """Try again at once, as edgeHub does when it is given a new configuration."""
        self._shall_retry.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            await self._has_messages.wait()
            queue, batch = self._next_batch()
            if queue is None:
                self._has_messages.clear()
                continue
            await self._send(queue, batch)
            self.state = PumpState.IDLE

    def _next_batch(self) -> tuple[MessageQueue | None, list[StoredMessage]]:
        for queue in self.queues:
            if queue.priority not in self._readers:
                self._readers[queue.priority] = BatchReader(queue, self._policy.batch_size)
            batch = self._readers[queue.priority].next_batch()
            if batch:
                return queue, batch
        return None, []

    async def _send(self, queue: MessageQueue, batch: list[StoredMessage]) -> None:
        left = batch
        while left:
            if self._is_dead():
                self._drop(queue, left)
                return
            self.state = PumpState.SENDING
            try:
                left = await self._sender.send(left, queue.forget)
            except Exception:  # the endpoint dies of what is no passing failure
                log.exception("endpoint is dead", extra={"endpoint": queue.endpoint})
                self._dead_since_s = self._clock.now()
                continue
            if left:
                await self._back_off()
            else:
                self._failures, self._dead_since_s = 0, None

    async def _back_off(self) -> None:
        self.state = PumpState.FAILING
        self._shall_retry.clear()
        timer = self._clock.call_later(self._policy.wait_s(self._failures), self._shall_retry.set)
        self._failures += 1
        try:
            await self._shall_retry.wait()
        finally:
            timer.cancel()
        self._on_retry()

    def _is_dead(self) -> bool:
        if self._dead_since_s is None:
            return False
        return self._clock.now() - self._dead_since_s < self._policy.revive_period_s

    def _drop(self, queue: MessageQueue, messages: list[StoredMessage]) -> None:
        self.state = PumpState.DEAD
        for each in messages:
            queue.forget(each)
