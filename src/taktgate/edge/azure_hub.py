"""The hub client on azure-iot-device, by the IOTEDGE_* environment of this process.

The SDK's asyncio client is used, not the synchronous one, for two reasons found in its source: the
synchronous client runs handlers on four threads, so that order is lost, and its calls have no time
limit. Reconnecting is ours (`auto_connect` and `connection_retry` are off): the SDK then gives up
what is in flight when the link breaks instead of holding it, and the outbox decides by age what is
sent again. `azure` is imported in the worker thread, once, when the client is made.
"""

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from taktgate.edge.hub import HubSettings, InputMessage, MethodResult
from taktgate.edge.hub_link import HubLink
from taktgate.edge.hub_outbox import OutgoingMessage
from taktgate.edge.hub_transport import (
    LinkLostError,
    LinkRefusedError,
    LinkStuckError,
    OperationRefusedError,
    Receivers,
)

log = logging.getLogger(__name__)

SDK_LOGGERS = ("azure.iot.device", "paho")
CLOSE_LIMIT_S = 5.0

Handler = Callable[[Any], Coroutine[Any, Any, None]]


class AzureHub(HubLink):
    """The `taktgate.edge.hub.HubClient` of a module; nothing is opened before `start`."""

    def __init__(
        self, settings: HubSettings | None = None, *, environment: Mapping[str, str] = os.environ
    ) -> None:
        settings = settings or HubSettings()
        transport = AzureTransport(settings, environment.get("IOTEDGE_DEVICEID", ""))
        super().__init__(transport, settings)


class AzureTransport:
    """Implements `taktgate.edge.hub_transport.HubTransport`; vendor errors end here."""

    def __init__(self, settings: HubSettings, device: str) -> None:
        self._settings = settings
        self._device = device
        self._client: Any = None
        self._receivers: Receivers | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_connected(self) -> bool:
        """Tell whether the link is up."""
        return self._client is not None and bool(self._client.connected)

    async def connect(self, receivers: Receivers) -> None:
        """Connect and subscribe to messages, methods and twin changes.

        Raises:
            LinkLostError: It failed; the subclass says how.
        """
        self._receivers = receivers
        if self._client is None:
            self._client = await self._within_limit(asyncio.to_thread(self._new_client))
        await self._within_limit(self._client.connect())
        for name, handler in self._handlers().items():
            await self._within_limit(asyncio.to_thread(setattr, self._client, name, handler))

    async def disconnect(self) -> None:
        """Give up the link, and with it a client that cannot let go of it.

        paho 1.6.1 takes an `SSLEOFError` while sending for nothing it knows, and its thread ends:
        the client says that it is connected and answers nothing. On Python 3.12 that is what a
        connection lost during a send comes to; only a new client connects again.

        Raises:
            LinkLostError: The SDK did not manage to.
        """
        if not self.is_connected:
            return
        try:
            await self._within_limit(self._client.disconnect())
        except LinkStuckError:
            self._client = None
            raise

    async def close(self) -> None:
        """End for good.

        Raises:
            LinkLostError: The SDK did not manage to.
        """
        client, self._client = self._client, None
        if client is not None:
            await self._within_limit(client.shutdown(), limit_s=CLOSE_LIMIT_S)

    async def send(self, message: OutgoingMessage) -> None:
        """Send a message as UTF-8 JSON and wait for edgeHub's receipt.

        Raises:
            LinkLostError: The receipt did not come.
        """
        sdk_message = _sdk().Message(
            message.payload, content_encoding="utf-8", content_type="application/json"
        )
        sdk_message.custom_properties.update(message.properties)
        await self._within_limit(self._client.send_message_to_output(sdk_message, message.output))

    async def twin(self) -> Mapping[str, Any]:
        """Return the twin.

        Raises:
            LinkLostError: It did not come.
            OperationRefusedError: edgeHub answered with an error.
        """
        twin = await self._within_limit(self._client.get_twin())
        return twin if isinstance(twin, dict) else {}

    async def report(self, patch: dict[str, object]) -> None:
        """Send a patch of the reported properties.

        Raises:
            LinkLostError: The receipt did not come.
            OperationRefusedError: edgeHub refuses the patch.
        """
        await self._within_limit(self._client.patch_twin_reported_properties(patch))

    async def answer(self, request_id: str, status: int, payload: object) -> None:
        """Answer a direct method.

        Raises:
            LinkLostError: The answer could not be sent.
        """
        if self._client is not None:
            response = _sdk().MethodResponse(request_id, status, payload)
            await self._within_limit(self._client.send_method_response(response))

    async def invoke(
        self, module: str, method: str, payload: object, *, timeout_s: float
    ) -> MethodResult:
        """Call a direct method of another module of this device.

        Raises:
            LinkLostError: edgeHub's HTTPS port does not answer.
            OperationRefusedError: edgeHub refuses the call.
        """
        call = {
            "methodName": method,
            "payload": payload,
            "responseTimeoutInSeconds": max(1, round(timeout_s)),
            "connectTimeoutInSeconds": 0,
        }
        answer = await self._within_limit(
            self._client.invoke_method(call, self._device, module), limit_s=timeout_s
        )
        return MethodResult(status=int(answer["status"]), payload=answer["payload"])

    def _new_client(self) -> Any:
        """Return a new SDK client that has our handlers but is not connected."""
        send_small_packets_at_once()
        from azure.iot.device import aio

        for name in SDK_LOGGERS:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            client: Any = aio.IoTHubModuleClient.create_from_edge_environment(
                auto_connect=False,
                connection_retry=False,
                ensure_desired_properties=False,
                keep_alive=self._settings.keep_alive_s,
            )
        except (OSError, ValueError) as error:
            raise LinkLostError(f"no client from the IoT Edge environment: {error}") from error
        client.on_connection_state_change = self._on_connection_state_change
        for name, handler in self._handlers().items():
            # edgeHub may deliver right after CONNACK to a session that it knows. A handler that is
            # set before connecting cannot subscribe, but is there when the first message comes.
            try:
                setattr(client, name, handler)
            except _sdk_errors():
                continue
        return client

    def _handlers(self) -> dict[str, Handler]:
        return {
            "on_twin_desired_properties_patch_received": self._on_desired_patch,
            "on_method_request_received": self._on_method,
            "on_message_received": self._on_message,
        }

    async def _on_connection_state_change(self) -> None:
        if self._receivers is not None and not self.is_connected:
            self._receivers.on_disconnected()

    async def _on_message(self, message: Any) -> None:
        if self._receivers is not None:
            self._receivers.on_message(
                InputMessage(
                    input=message.input_name,
                    payload=bytes(message.data),
                    properties=dict(message.custom_properties),
                )
            )

    async def _on_desired_patch(self, patch: dict[str, Any]) -> None:
        if self._receivers is not None:
            self._receivers.on_desired_patch(patch)

    async def _on_method(self, request: Any) -> None:
        if self._receivers is not None:
            self._receivers.on_method(request.request_id, request.name, request.payload)

    async def _within_limit(
        self, operation: Coroutine[Any, Any, Any], *, limit_s: float | None = None
    ) -> Any:
        """Return what *operation* returns, or raise what its failure means for the link.

        The operation itself is never cancelled: the SDK would then set a cancelled future's result.
        """
        limit_s = self._settings.operation_timeout_s if limit_s is None else limit_s
        task = asyncio.create_task(operation)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        done, _ = await asyncio.wait({task}, timeout=limit_s)
        if not done:
            raise LinkStuckError(f"no answer within {limit_s} s")
        try:
            return task.result()
        except _sdk_errors() as error:
            raise _translated(error) from error

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("hub operation failed", extra={"reason": str(error)})


def _sdk() -> Any:
    from azure.iot import device

    return device


def _sdk_errors() -> tuple[type[Exception], ...]:
    exceptions = _sdk().exceptions
    return exceptions.ClientError, exceptions.OperationCancelled, exceptions.OperationTimeout


def _translated(error: BaseException) -> Exception:
    """Return what an SDK error means for the link."""
    exceptions = _sdk().exceptions
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    reason = " <- ".join(str(each) or type(each).__name__ for each in causes)
    if isinstance(error, exceptions.CredentialError) or any(
        isinstance(each, ssl.SSLCertVerificationError) for each in causes
    ):
        return LinkRefusedError(reason)
    if any(isinstance(each, exceptions.ServiceError) for each in causes):
        return OperationRefusedError(reason)
    return LinkLostError(reason)


def send_small_packets_at_once() -> None:
    """Set TCP_NODELAY on every connection that this process opens from now on.

    paho 1.6.1 leaves Nagle's algorithm on; with the receiver's delayed ACK a module that receives
    and then sends waits 40 ms. paho opens its socket with `socket.create_connection`.
    """
    original = socket.create_connection
    if getattr(original, "sends_at_once", False):
        return

    def create_connection(*arguments: Any, **options: Any) -> socket.socket:
        connection = original(*arguments, **options)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    # A mark on the function itself, so that a second call sees it whoever made the first.
    create_connection.sends_at_once = True  # type: ignore[attr-defined]
    socket.create_connection = create_connection
