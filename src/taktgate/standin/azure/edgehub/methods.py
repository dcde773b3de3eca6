"""Direct methods through edgeHub: calls that wait for a module, then for its answer.

As Azure/iotedge edge-hub Edge.Hub.Core/InvokeMethodHandler.cs and device/DeviceMessageHandler.cs.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt import topics
from taktgate.standin.azure.mqtt.payloads import parse_json, to_bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _QueuedCall:
    """A call for a module that is not there yet."""

    begin: asyncio.Future[None]


class MethodCalls:
    """Sends method calls to modules and matches their answers by request id.

    Both timeouts are the wall's: the caller counts them too.
    """

    def __init__(
        self,
        session: Callable[[str], ModuleSession],
        device: str,
        *,
        clock: Clock,
        queued_delay_s: float,
    ) -> None:
        self._session = session
        self._device = device
        self._clock = clock
        self._queued_delay_s = queued_delay_s
        self._ids = itertools.count(1)
        self._waiting: dict[tuple[str, str], asyncio.Future[MethodResult]] = {}
        self._queued: dict[str, deque[_QueuedCall]] = {}

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call a method of *module* and return its answer.

        Raises:
            HubRequestError: 404 when the module does not take methods within the connect timeout,
                504 when it does not answer within the response timeout.
        """
        session = self._session(module)
        if not session.is_subscribed(topics.METHODS):
            await self._wait_for_module(module, call.connect_timeout_s)
        request_id = f"{next(self._ids):x}"
        future: asyncio.Future[MethodResult] = asyncio.get_running_loop().create_future()
        self._waiting[module, request_id] = future
        try:
            # An empty payload is null: the SDK reads it as JSON.
            session.notify(topics.method_topic(call.name, request_id), to_bytes(call.payload))
            async with asyncio.timeout(call.response_timeout_s):
                return await future
        except TimeoutError:
            raise HubRequestError(
                504,
                "GatewayTimeout",
                f"Timed out waiting for device to respond to method request {request_id}",
            ) from None
        finally:
            del self._waiting[module, request_id]

    def answered(self, module: str, answer: topics.MethodAnswer, payload: bytes) -> None:
        """Take a module's answer; one that nobody waits for any more is dropped.

        Raises:
            MqttProtocolError: The payload is not JSON.
        """
        future = self._waiting.get((module, answer.request_id))
        if future is not None and not future.done():
            future.set_result(MethodResult(status=answer.status, payload=parse_json(payload)))

    def module_takes_methods(self, module: str) -> None:
        """Begin the calls that wait for *module*, a moment after its subscription."""
        if self._queued.get(module):
            self._clock.call_later(self._queued_delay_s, lambda: self._begin_queued(module))

    async def _wait_for_module(self, module: str, timeout_s: float) -> None:
        queued = _QueuedCall(begin=asyncio.get_running_loop().create_future())
        line = self._queued.setdefault(module, deque())
        line.append(queued)
        try:
            async with asyncio.timeout(timeout_s):
                await queued.begin
        except TimeoutError:
            raise HubRequestError(
                404,
                "DeviceNotOnline",
                f"Client {self._device}/{module} not found",
            ) from None
        finally:
            if queued in line:
                line.remove(queued)

    def _begin_queued(self, module: str) -> None:
        if self._session(module).is_subscribed(topics.METHODS):
            for queued in self._queued.pop(module, ()):
                if not queued.begin.done():
                    queued.begin.set_result(None)
