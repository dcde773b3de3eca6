"""The line between one device and the hub, which can be cut: `set_online(False)`.

An IoT Edge device has one line for all its modules (`method_target`, the listeners). A device or
module that connects to the hub by MQTT has a line of its own, which goes before it (`attach`).
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from taktgate.standin.azure.errors import HubRequestError, UpstreamOfflineError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest

ITSELF = ""
"""Stands for a module's name where the device itself is meant."""

DesiredListener = Callable[[str, JsonObject, int], None]
"""Called with module, patch (without `$version`) and the new version."""
OnlineListener = Callable[[bool], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinProperties:
    """A module's twin as its device sees it."""

    desired: JsonObject
    desired_version: int
    reported: JsonObject
    reported_version: int

    def to_wire(self) -> JsonObject:
        """Return the document that a twin GET answers."""
        return {
            "desired": {**self.desired, "$version": self.desired_version},
            "reported": {**self.reported, "$version": self.reported_version},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """The answer of a module to a direct method."""

    status: int
    payload: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """A message that reached the hub."""

    device: str
    module: str
    output: str
    payload: bytes
    properties: Mapping[str, str]
    system: Mapping[str, str]


class MethodTarget(Protocol):
    """The part of a device that takes direct methods from the cloud."""

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call the method. Raises HubRequestError when the module is away or too slow."""


class DirectLine(Protocol):
    """The connection that a device or module has to the hub for itself."""

    @property
    def takes_methods(self) -> bool:
        """Tell whether direct methods reach it now."""

    def desired_changed(self, patch: JsonObject, version: int) -> None:
        """Pass on a change of its desired properties."""

    async def invoke(self, call: MethodRequest) -> MethodResult:
        """Call the method. Raises HubRequestError when the client is too slow."""

    def cut(self) -> None:
        """End the connection at once."""


class HubSide(Protocol):
    """What the hub offers to a device; `ITSELF` stands for the device where a module is named."""

    def module_key(self, device: str, module: str) -> bytes | None:
        """Return the module's symmetric key, or None when there is no such module."""

    def generation_id(self, device: str, module: str) -> str:
        """Return the module identity's generation."""

    def ensure_module(self, device: str, module: str) -> None:
        """Create the module identity if it does not exist."""

    def release_module(self, device: str, module: str) -> None:
        """Delete the module identity if the device's runtime owns it."""

    def set_connected(self, device: str, module: str, connected: bool) -> None:
        """Note whether the module is connected. Raises HubRequestError when it does not exist."""

    def twin_properties(self, device: str, module: str) -> TwinProperties:
        """Return the module's twin."""

    def patch_reported(self, device: str, module: str, patch: JsonObject) -> int:
        """Merge *patch* into the reported properties; return their new version."""

    def take_telemetry(self, telemetry: Telemetry) -> None:
        """Take a message from a device."""


class DeviceLink:
    """One device's line to the hub. Offline calls raise; listeners hear nothing while offline."""

    def __init__(self, hub: HubSide, device: str) -> None:
        self._hub = hub
        self.device = device
        self.is_online = True
        self._desired_listeners: list[DesiredListener] = []
        self._online_listeners: list[OnlineListener] = []
        self._method_target: MethodTarget | None = None
        self._here: set[str] = set()
        self._lines: dict[str, DirectLine] = {}
        self._lines_changed = asyncio.Event()

    @property
    def method_target(self) -> MethodTarget | None:
        """What takes direct methods for the modules that have no line of their own."""
        return self._method_target

    @method_target.setter
    def method_target(self, target: MethodTarget | None) -> None:
        self._method_target = target
        self.line_changed()

    def set_online(self, online: bool) -> None:
        """Cut or mend the line, and with it each line of a client's own."""
        if online != self.is_online:
            self.is_online = online
            for listener in list(self._online_listeners):
                listener(online)
            for module in self._here:
                self._tell_whether_here(module)
            if online:
                self.line_changed()
            else:
                self.cut()

    def set_here(self, module: str, is_here: bool) -> None:
        """Note whether a module of the device is there: the hub says so while the line holds."""
        if is_here:
            self._here.add(module)
        else:
            self._here.discard(module)
        self._tell_whether_here(module)

    def attach(self, module: str, line: DirectLine) -> None:
        """Let *module* be reached by *line* from now on."""
        self._lines[module] = line
        self.line_changed()

    def detach(self, module: str, line: DirectLine) -> None:
        """Forget *line*, unless another one has taken its place."""
        if self._lines.get(module) is line:
            del self._lines[module]

    def line_changed(self) -> None:
        """Wake the method calls that wait for a client."""
        self._lines_changed.set()
        self._lines_changed = asyncio.Event()

    def cut(self, module: str | None = None) -> None:
        """End the connections that *module*, or any client of the device, has to the hub."""
        for name, line in list(self._lines.items()):
            if module is None or name == module:
                line.cut()

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call a method of *module*, which may take the call's connect timeout to come.

        Both timeouts are the wall's: the caller counts them too.

        Raises:
            HubRequestError: 404 when it is not reached in time, or what its line raises.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + call.connect_timeout_s
        while True:
            line = self._lines.get(module)
            if line is not None and line.takes_methods:
                return await line.invoke(call)
            if line is None and self._method_target is not None and self.is_online:
                rest_s = max(0.0, deadline_s - loop.time())
                return await self._method_target.invoke(
                    module, replace(call, connect_timeout_s=rest_s)
                )
            await self._next_change(module, deadline_s)

    def on_desired(self, listener: DesiredListener) -> None:
        """Call *listener* at each change of a module's desired properties."""
        self._desired_listeners.append(listener)

    def on_online(self, listener: OnlineListener) -> None:
        """Call *listener* when the line is cut or mended."""
        self._online_listeners.append(listener)

    def deliver_desired(self, module: str, patch: JsonObject, version: int) -> None:
        """Pass a change of desired properties to the device; lost while offline."""
        if self.is_online:
            for listener in list(self._desired_listeners):
                listener(module, patch, version)
            if module in self._lines:
                self._lines[module].desired_changed(patch, version)

    def module_key(self, module: str) -> bytes | None:
        """Return a module's key; the device keeps its keys, so this works offline."""
        return self._hub.module_key(self.device, module)

    def generation_id(self, module: str) -> str:
        """Return a module identity's generation; kept on the device."""
        return self._hub.generation_id(self.device, module)

    def ensure_module(self, module: str) -> None:
        """Create a module identity if it does not exist."""
        self._hub.ensure_module(self.device, module)

    def release_module(self, module: str) -> None:
        """Delete a module identity that the device's runtime has made; offline it stays."""
        if self.is_online:
            self._hub.release_module(self.device, module)

    def twin_properties(self, module: str) -> TwinProperties:
        """Return a module's twin from the hub.

        Raises:
            UpstreamOfflineError: The line is cut.
        """
        self._require_online()
        return self._hub.twin_properties(self.device, module)

    def patch_reported(self, module: str, patch: JsonObject) -> int:
        """Merge *patch* into a module's reported properties; return their new version.

        Raises:
            UpstreamOfflineError: The line is cut.
        """
        self._require_online()
        return self._hub.patch_reported(self.device, module, patch)

    def send_telemetry(self, telemetry: Telemetry) -> None:
        """Send a message to the hub.

        Raises:
            UpstreamOfflineError: The line is cut.
        """
        self._require_online()
        self._hub.take_telemetry(telemetry)

    def _tell_whether_here(self, module: str) -> None:
        with contextlib.suppress(HubRequestError):  # its identity may be gone already
            self._hub.set_connected(self.device, module, self.is_online and module in self._here)

    def _require_online(self) -> None:
        if not self.is_online:
            raise UpstreamOfflineError(f"device {self.device} is offline")

    async def _next_change(self, module: str, deadline_s: float) -> None:
        try:
            async with asyncio.timeout_at(deadline_s):
                await self._lines_changed.wait()
        except TimeoutError:
            message = f"{self.device}/{module}".rstrip("/") + " is offline"
            raise HubRequestError(404, "DeviceNotOnline", message) from None
