"""The process of one module: an unmodified azure-iot-device client, synchronous or asyncio.

    module.py sync|asyncio plain|nodelay

`nodelay` is what our own modules do before they make a client. Times are nanoseconds of
CLOCK_MONOTONIC, which all processes of a machine share.
"""

import asyncio
import os
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any

from azure.iot.device import IoTHubModuleClient, Message, MethodResponse
from azure.iot.device import aio as azure_aio
from benches.hub_bench.process import serve

from taktgate.edge.azure_hub import send_small_packets_at_once

STAMP = struct.Struct(">QI")
"""When the message was due to be sent, and its number; the rest of the body is padding."""
TIMEOUT_S = 120.0


class Inbox:
    """What has arrived; filled by the SDK's threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._arrivals: list[tuple[int, int, int]] = []

    def put(self, body: bytes) -> None:
        """Take down a message: its number, when it was due and when it arrived."""
        arrived_ns = time.monotonic_ns()
        due_ns, number = STAMP.unpack_from(body)
        with self._changed:
            self._arrivals.append((number, due_ns, arrived_ns))
            self._changed.notify()

    def take(self, count: int) -> list[tuple[int, int, int]]:
        """Return all arrivals once there are *count* of them, or what there is after a while."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._arrivals) >= count, TIMEOUT_S)
            arrivals, self._arrivals = self._arrivals, []
            return arrivals


class ModuleWords(ABC):
    """What the bench may ask a module; `_SyncModule` and `_AsyncioModule` are its two clients."""

    def __init__(self) -> None:
        self._inbox = Inbox()
        self._client: Any = None

    def open(self, environment: dict[str, str], relays: bool) -> None:
        """Connect; then receive, or relay and answer methods."""
        os.environ.update(environment)
        self._connect()
        self._client.on_message_received = self._relay_handler() if relays else self._handler()
        if relays:
            self._client.on_method_request_received = self._method_handler()

    def take(self, count: int) -> list[tuple[int, int, int]]:
        """Return *count* arrivals as number, due and arrival time."""
        return self._inbox.take(count)

    @abstractmethod
    def _connect(self) -> None:
        """Make the client and connect it."""

    @abstractmethod
    def _handler(self) -> Any:
        """Return what takes messages in."""

    @abstractmethod
    def _relay_handler(self) -> Any:
        """Return what sends each message on."""

    @abstractmethod
    def _method_handler(self) -> Any:
        """Return what answers methods."""


class SyncModule(ModuleWords):
    """The synchronous client: one blocking call after the other."""

    def send(self, output: str, count: int, rate: float | None, size: int) -> list[int]:
        """Send; return when the calls began and ended, in turn."""
        times = []
        for number, due_ns in _schedule(count, rate):
            time.sleep(_wait_s(due_ns))
            began_ns = time.monotonic_ns()
            self._client.send_message_to_output(_message(due_ns or began_ns, number, size), output)
            times += [began_ns, time.monotonic_ns()]
        return times

    def call(self, device: str, module: str, count: int, rate: float) -> list[int]:
        """Call a method *count* times; return when the calls were due and ended, in turn."""
        times = []
        for _, due_ns in _schedule(count, rate):
            time.sleep(_wait_s(due_ns))
            self._client.invoke_method(_method_call(), device, module)
            times += [due_ns, time.monotonic_ns()]
        return times

    def _connect(self) -> None:
        self._client = IoTHubModuleClient.create_from_edge_environment()
        self._client.connect()

    def _handler(self) -> Any:
        return lambda message: self._inbox.put(message.data)

    def _relay_handler(self) -> Any:
        return lambda message: self._client.send_message_to_output(_copy(message), "out")

    def _method_handler(self) -> Any:
        return lambda request: self._client.send_method_response(_method_answer(request))


class AsyncioModule(ModuleWords):
    """The asyncio client, on a loop of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    def send(self, output: str, count: int, rate: float | None, size: int) -> list[int]:
        """Send; return when the calls began and ended, in turn."""
        times: list[int] = self._wait(self._send(output, count, rate, size))
        return times

    def call(self, device: str, module: str, count: int, rate: float) -> list[int]:
        """Call a method *count* times; return when the calls were due and ended, in turn."""
        times: list[int] = self._wait(self._call(device, module, count, rate))
        return times

    async def _send(self, output: str, count: int, rate: float | None, size: int) -> list[int]:
        times = []
        for number, due_ns in _schedule(count, rate):
            await asyncio.sleep(_wait_s(due_ns))
            began_ns = time.monotonic_ns()
            message = _message(due_ns or began_ns, number, size)
            await self._client.send_message_to_output(message, output)
            times += [began_ns, time.monotonic_ns()]
        return times

    async def _call(self, device: str, module: str, count: int, rate: float) -> list[int]:
        times = []
        for _, due_ns in _schedule(count, rate):
            await asyncio.sleep(_wait_s(due_ns))
            await self._client.invoke_method(_method_call(), device, module)
            times += [due_ns, time.monotonic_ns()]
        return times

    def _connect(self) -> None:
        self._client = azure_aio.IoTHubModuleClient.create_from_edge_environment()
        self._wait(self._client.connect())

    def _handler(self) -> Any:
        async def on_message(message: Any) -> None:
            self._inbox.put(message.data)

        return on_message

    def _relay_handler(self) -> Any:
        async def on_message(message: Any) -> None:
            await self._client.send_message_to_output(_copy(message), "out")

        return on_message

    def _method_handler(self) -> Any:
        async def on_method(request: Any) -> None:
            await self._client.send_method_response(_method_answer(request))

        return on_method

    def _wait(self, job: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result()


def _schedule(count: int, rate: float | None) -> list[tuple[int, int]]:
    """Return numbers and due times: an open loop, or 0 for at once when there is no rate."""
    if rate is None:
        return [(number, 0) for number in range(count)]
    start_ns, step_ns = time.monotonic_ns() + 10_000_000, 1e9 / rate
    return [(number, start_ns + round(number * step_ns)) for number in range(count)]


def _wait_s(due_ns: int) -> float:
    return max(0.0, (due_ns - time.monotonic_ns()) / 1e9)


def _message(due_ns: int, number: int, size: int) -> Any:
    make: Any = Message
    return make(STAMP.pack(due_ns, number).ljust(size, b"."))


def _copy(message: Any) -> Any:
    make: Any = Message
    return make(message.data)


def _method_call() -> dict[str, Any]:
    return {"methodName": "ping", "payload": {}, "responseTimeoutInSeconds": 10}


def _method_answer(request: Any) -> Any:
    return MethodResponse(request.request_id, 200, {})


def main() -> None:
    """Serve until nothing more is asked."""
    flavour, nagle = sys.argv[1:3]
    if nagle == "nodelay":
        send_small_packets_at_once()
    serve({"sync": SyncModule, "asyncio": AsyncioModule}[flavour]())
    # The SDK's threads do not end with its clients: nothing of this process is worth a wait.
    os._exit(0)


if __name__ == "__main__":
    main()
