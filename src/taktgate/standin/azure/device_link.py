"""The line between one device and the hub, which can be cut: `set_online(False)`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from taktgate.standin.azure.errors import UpstreamOfflineError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest

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


class HubSide(Protocol):
    """What the hub offers to a device."""

    def module_key(self, device: str, module: str) -> bytes | None:
        """Return the module's symmetric key, or None when there is no such module."""

    def generation_id(self, device: str, module: str) -> str:
        """Return the module identity's generation."""

    def ensure_module(self, device: str, module: str) -> None:
        """Create the module identity if it does not exist."""

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
        self.method_target: MethodTarget | None = None

    def set_online(self, online: bool) -> None:
        """Cut or mend the line."""
        if online != self.is_online:
            self.is_online = online
            for listener in list(self._online_listeners):
                listener(online)

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

    def module_key(self, module: str) -> bytes | None:
        """Return a module's key; the device keeps its keys, so this works offline."""
        return self._hub.module_key(self.device, module)

    def generation_id(self, module: str) -> str:
        """Return a module identity's generation; kept on the device."""
        return self._hub.generation_id(self.device, module)

    def ensure_module(self, module: str) -> None:
        """Create a module identity if it does not exist."""
        self._hub.ensure_module(self.device, module)

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

    def _require_online(self) -> None:
        if not self.is_online:
            raise UpstreamOfflineError(f"device {self.device} is offline")
