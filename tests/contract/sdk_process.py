"""A process with one unmodified azure-iot-device client, told what to do by lines of JSON.

The SDK shares one pipeline thread among all clients of a process, so two modules that are to be as
independent as two containers need a process each. `tests.contract.sdk_module` is the other end.

Asked `{"do": ..., ...}` it answers `{"result": ...}` or `{"error": kind, "text": ...}`, one answer
for each request and in order; what the client receives comes between as `{"event": ..., ...}`.
"""

import asyncio
import base64
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from azure.iot.device import IoTHubModuleClient, Message, MethodResponse
from azure.iot.device import aio as azure_aio

CALL_TIMEOUT_S = 40.0
SILENT_METHOD = "silent"
"""The direct method that is never answered."""
CONNECTION_LOG = "azure.iot.device.iothub.abstract_clients"
CONNECTION_STATES = {"Connection State - Connected": True, "Connection State - Disconnected": False}


class Flavour(Protocol):
    """One of the SDK's two faces, made to look alike."""

    kind: Any

    def wait(self, outcome: Any) -> Any:
        """Return what a call of the client comes to."""

    def handler(self, handle: Callable[[Any], None]) -> Any:
        """Return *handle* as the client wants its handlers."""


class Sync:
    """The synchronous client: calls block, handlers are functions on the SDK's four threads."""

    kind: Any = IoTHubModuleClient

    def wait(self, outcome: Any) -> Any:
        return outcome

    def handler(self, handle: Callable[[Any], None]) -> Any:
        return handle


class Asyncio:
    """The asyncio client, on a loop in a thread of its own; handlers are coroutines."""

    kind: Any = azure_aio.IoTHubModuleClient

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def wait(self, outcome: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(outcome, self._loop).result(CALL_TIMEOUT_S)

    def handler(self, handle: Callable[[Any], None]) -> Any:
        async def on_received(item: Any) -> None:
            handle(item)

        return on_received


FLAVOURS: dict[str, Callable[[], Flavour]] = {"sync": Sync, "asyncio": Asyncio}


class ConnectionLog(logging.Handler):
    """Tells each change of the connection when it happens.

    The SDK's own handler learns only that something has changed; on a busy machine the client is
    back before the handler has its turn and reads the state.
    """

    def __init__(self, tell: Callable[[bool], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        state = CONNECTION_STATES.get(record.getMessage())
        if state is not None:
            self._tell(state)


class Module:
    """The client and what it is asked to do; each public method is a word of the protocol."""

    def __init__(self, flavour: Flavour) -> None:
        self._flavour = flavour
        self._client: Any = None
        self._answers: dict[str, list[Any]] = {}
        self._lock = threading.Lock()
        log = logging.getLogger(CONNECTION_LOG)
        log.setLevel(logging.INFO)
        log.addHandler(ConnectionLog(self._on_connection))

    def open(self, environment: dict[str, str], options: dict[str, Any]) -> None:
        for name in [name for name in os.environ if name.startswith(("IOTEDGE_", "Edge"))]:
            del os.environ[name]
        os.environ.update(environment)
        self._client = self._flavour.kind.create_from_edge_environment(**options)

    def connect(self) -> None:
        self._flavour.wait(self._client.connect())

    def disconnect(self) -> None:
        self._flavour.wait(self._client.disconnect())

    def close(self) -> None:
        self._flavour.wait(self._client.shutdown())

    def send(self, output: str | None, body: str, fields: dict[str, Any]) -> None:
        make: Any = Message
        message = make(base64.b64decode(body))
        for name, value in fields.items():
            setattr(message, name, value)
        if output is None:
            self._flavour.wait(self._client.send_message(message))
        else:
            self._flavour.wait(self._client.send_message_to_output(message, output))

    def listen(self, what: str) -> None:
        handlers = {
            "on_message_received": self._on_message,
            "on_twin_desired_properties_patch_received": self._on_patch,
            "on_method_request_received": self._on_method,
        }
        setattr(self._client, what, self._flavour.handler(handlers[what]))

    def twin(self) -> Any:
        return self._flavour.wait(self._client.get_twin())

    def report(self, patch: dict[str, Any]) -> None:
        self._flavour.wait(self._client.patch_twin_reported_properties(patch))

    def answer(self, name: str, status: int, payload: Any) -> None:
        self._answers[name] = [status, payload]

    def invoke(self, device: str, module: str, call: dict[str, Any]) -> Any:
        return self._flavour.wait(self._client.invoke_method(call, device, module))

    def serve(self) -> None:
        """Do what each line of the standard input asks for, until it ends."""
        for line in sys.stdin:
            request = json.loads(line)
            try:
                result = getattr(self, request.pop("do"))(**request)
            except Exception as error:  # noqa: BLE001 - told to the other end
                self._say({"error": type(error).__name__, "text": _reasons(error)})
            else:
                self._say({"result": result})

    def _on_connection(self, connected: bool) -> None:
        self._say({"event": "connection", "connected": connected})

    def _on_message(self, message: Any) -> None:
        self._say(
            {
                "event": "message",
                "input": message.input_name,
                "body": base64.b64encode(message.data).decode("ascii"),
                "properties": message.custom_properties,
                "message_id": message.message_id,
                "correlation_id": message.correlation_id,
                "user_id": message.user_id,
                "content_type": message.content_type,
                "content_encoding": message.content_encoding,
            }
        )

    def _on_patch(self, patch: dict[str, Any]) -> None:
        self._say({"event": "patch", "patch": patch})

    def _on_method(self, request: Any) -> None:
        self._say({"event": "method", "name": request.name, "payload": request.payload})
        if request.name == SILENT_METHOD:
            return
        status, payload = self._answers.get(request.name, [404, {"unknown": request.name}])
        response = MethodResponse(request.request_id, status, payload)
        # Not waited for: an asyncio handler runs on a loop of the SDK, which must not block.
        threading.Thread(
            target=lambda: self._flavour.wait(self._client.send_method_response(response))
        ).start()

    def _say(self, line: dict[str, Any]) -> None:
        with self._lock:
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()


def _reasons(error: BaseException) -> str:
    """Return the texts of *error* and its causes: the SDK's own text says little."""
    causes = [error]
    while (cause := causes[-1].__cause__) is not None:
        causes.append(cause)
    return " <- ".join(f"{type(each).__name__}: {each}" for each in causes)


if __name__ == "__main__":
    Module(FLAVOURS[sys.argv[1]]()).serve()
    # The SDK's threads may outlive its client: nothing here is worth a wait.
    os._exit(0)
