"""Brings each message to the endpoints that its routes name, by way of the store."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgehub.config import EdgeHubConfig
from taktgate.standin.azure.edgehub.message import RoutedMessage
from taktgate.standin.azure.edgehub.message_store import Entry, MessageStore, Receipt
from taktgate.standin.azure.edgehub.pump import EndpointPump, PumpPolicy, Sender
from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts
from taktgate.standin.azure.edgehub.routes.language import DEFAULT_PRIORITY, Endpoint
from taktgate.standin.azure.mqtt import topics

log = logging.getLogger(__name__)

NO_ROUTE = "no_route"
UPSTREAM_ENDPOINT = "iothub"
"""The id that edgeHub gives the endpoint `$upstream` (EndpointFactory.cs)."""
NO_CONFIG = EdgeHubConfig()
"""What is there before the first one came."""
MakeSender = Callable[[Endpoint], Sender]


class RouteMetrics(Protocol):
    """Counts messages without a route, and attempts."""

    def dropped(self, reason: str, message: RoutedMessage) -> None:
        """Count a message that no route takes."""

    def retried(self, endpoint: str) -> None:
        """Count another attempt to reach an endpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    pump: EndpointPump
    task: asyncio.Task[None]


class Router:
    """The endpoints of one run of edgeHub, each with its pump."""

    def __init__(
        self,
        *,
        device: str,
        store: MessageStore,
        make_sender: MakeSender,
        metrics: RouteMetrics,
        policies: Callable[[Endpoint], PumpPolicy],
        clock: Clock,
    ) -> None:
        self._device = device
        self._store = store
        self._make_sender = make_sender
        self._metrics = metrics
        self._policies = policies
        self._clock = clock
        self._running: dict[Endpoint, _Running] = {}
        self.config = NO_CONFIG

    def endpoint_id(self, endpoint: Endpoint) -> str:
        """Return edgeHub's name of *endpoint*, as its metrics have it."""
        if endpoint.module is None:
            return UPSTREAM_ENDPOINT
        return f"{self._device}/{endpoint.module}/{endpoint.input}"

    def pump(self, endpoint: Endpoint) -> EndpointPump | None:
        """Return the pump of *endpoint*, or None when no route leads there."""
        running = self._running.get(endpoint)
        return None if running is None else running.pump

    def apply(self, config: EdgeHubConfig) -> None:
        """Route by *config* from now on.

        An endpoint that no route names any more loses its queue of the default priority, as in
        edgeHub (StoringAsyncEndpointExecutor.CloseAsync); its other queues stay and are sent when
        a route names it again. An endpoint that waits to try again does so at once.

        Raises:
            StoreFullError: There is no room for a new queue; the old configuration holds.
        """
        wanted: dict[Endpoint, set[int]] = {}
        for route in config.routes.routes:
            wanted.setdefault(route.endpoint, set()).add(route.priority)
        for endpoint, priorities in wanted.items():
            for priority in priorities:
                self._store.queue(self.endpoint_id(endpoint), priority)
        for endpoint in [each for each in self._running if each not in wanted]:
            self._close(endpoint)
        for endpoint in wanted:
            self._open(endpoint)
        self.config = config
        self._store.refuses_above_bytes = config.store_limit_bytes

    def route(self, message: RoutedMessage, receipt: Receipt) -> None:
        """Store *message* for each endpoint that takes it, then tell *receipt*."""
        entries = []
        for route in self.config.routes.select(message.source, _facts(message)):
            ttl_s = self.config.ttl_s if route.ttl_s is None else route.ttl_s
            queue = self._store.queue(self.endpoint_id(route.endpoint), route.priority)
            entries.append(Entry(queue=queue, message=message, ttl_s=ttl_s))
        if not entries:
            self._metrics.dropped(NO_ROUTE, message)
        self._store.deposit(entries, receipt)

    async def close(self) -> None:
        """End all pumps."""
        running, self._running = list(self._running.values()), {}
        for each in running:
            each.task.cancel()
        await asyncio.gather(*(each.task for each in running), return_exceptions=True)

    def _open(self, endpoint: Endpoint) -> None:
        name = self.endpoint_id(endpoint)
        running = self._running.get(endpoint)
        if running is None:
            running = self._running[endpoint] = self._started(endpoint, name)
        running.pump.retry_now()
        # Queues of priorities that no route has any more are sent too.
        for queue in self._store.queues:
            if queue.endpoint == name and queue not in running.pump.queues:
                running.pump.add(queue)

    def _started(self, endpoint: Endpoint, name: str) -> _Running:
        pump = EndpointPump(
            self._make_sender(endpoint),
            policy=self._policies(endpoint),
            clock=self._clock,
            on_retry=lambda: self._metrics.retried(name),
        )
        task = asyncio.create_task(pump.run(), name=f"edgeHub pump {name}")
        task.add_done_callback(_report_failure)
        return _Running(pump=pump, task=task)

    def _close(self, endpoint: Endpoint) -> None:
        running = self._running.pop(endpoint)
        running.task.cancel()
        for queue in running.pump.queues:
            if queue.priority == DEFAULT_PRIORITY:
                if len(queue):
                    extra = {"endpoint": queue.endpoint, "messages": len(queue)}
                    log.warning("messages of an endpoint without a route are deleted", extra=extra)
                self._store.discard(queue)
            else:
                queue.put_back()


def _report_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("pump has ended", extra={"task": task.get_name()}, exc_info=error)


def _facts(message: RoutedMessage) -> MessageFacts:
    system = {topics.SYSTEM_NAMES[name]: value for name, value in message.system.items()}
    system.update(message.inner)
    if (correlation_id := message.system.get(topics.CORRELATION_ID)) is not None:
        # edgeHub's own name of it (SystemProperties.cs, MsgCorrelationId).
        system["cid"] = correlation_id
    if message.output:
        system["outputName"] = message.output
    return MessageFacts(properties=message.properties, system=system, body=message.payload)
