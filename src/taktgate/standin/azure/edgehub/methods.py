"""Direct methods through edgeHub: calls that wait for a module's answer."""

import asyncio
import itertools
import json
from typing import Any, Protocol

from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.errors import HubRequestError, MqttProtocolError
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt import topics

DEVICE_NOT_ONLINE = 404103
GATEWAY_TIMEOUT = 504101


class Sessions(Protocol):
    """Finds the session of a module."""

    def session(self, module: str) -> ModuleSession:
        """Return the session of *module*."""


class MethodCalls:
    """Sends method calls to modules and matches their answers by request id."""

    def __init__(self, sessions: Sessions, device: str) -> None:
        self._sessions = sessions
        self._device = device
        self._ids = itertools.count(1)
        self._waiting: dict[tuple[str, str], asyncio.Future[MethodResult]] = {}

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call a method of *module* and return its answer.

        Raises:
            HubRequestError: 404 when the module does not connect within the connect timeout, 504
                when it does not answer within the response timeout.
        """
        session = self._sessions.session(module)
        if not await session.wait_until_subscribed(topics.METHODS, call.connect_timeout_s):
            raise HubRequestError(
                404,
                "DeviceNotOnline",
                f"Client {self._device}/{module} not found",
                number=DEVICE_NOT_ONLINE,
            )
        request_id = f"{next(self._ids):x}"
        future: asyncio.Future[MethodResult] = asyncio.get_running_loop().create_future()
        self._waiting[module, request_id] = future
        try:
            body = b"" if call.payload is None else json.dumps(call.payload).encode()
            session.notify(topics.method_topic(call.name, request_id), body)
            async with asyncio.timeout(call.response_timeout_s):
                return await future
        except TimeoutError:
            raise HubRequestError(
                504,
                "GatewayTimeout",
                f"Timed out waiting for the response from {self._device}/{module}",
                number=GATEWAY_TIMEOUT,
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


def parse_json(payload: bytes) -> Any:
    """Return *payload* as JSON; nothing at all is null.

    Raises:
        MqttProtocolError: The payload is not JSON.
    """
    if not payload.strip():
        return None
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise MqttProtocolError("payload is not JSON") from error
