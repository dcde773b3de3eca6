"""IoT Hub without I/O: identities, twins, deployments, queries and direct methods."""

import base64
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.device_link import (
    ITSELF,
    DeviceLink,
    MethodResult,
    Telemetry,
    TwinProperties,
)
from taktgate.standin.azure.errors import (
    HubRequestError,
    ManifestError,
    QuerySyntaxError,
    TwinLimitError,
)
from taktgate.standin.azure.iothub import device_management, query_language
from taktgate.standin.azure.iothub.configurations import (
    Configuration,
    ConfigurationStore,
    check_etag,
)
from taktgate.standin.azure.iothub.device_management import ModuleTarget
from taktgate.standin.azure.iothub.identities import DeviceRecord, Identity
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest

log = logging.getLogger(__name__)

SYSTEM_MODULES = ("$edgeAgent", "$edgeHub")
TELEMETRY_KEPT = 100_000


class IotHub:
    """One hub. Changes take effect at once; deployments too, unless told otherwise."""

    def __init__(
        self,
        *,
        evaluates_at_once: bool = True,
        on_telemetry: Callable[[Telemetry], None] | None = None,
    ) -> None:
        self._devices: dict[str, DeviceRecord] = {}
        self._links: dict[str, DeviceLink] = {}
        self._evaluates_at_once = evaluates_at_once
        self._on_telemetry = on_telemetry
        self.configurations = ConfigurationStore()
        self.telemetry: deque[Telemetry] = deque(maxlen=TELEMETRY_KEPT)

    def link(self, device: str) -> DeviceLink:
        """Return the line to *device*."""
        if device not in self._links:
            self._links[device] = DeviceLink(self, device)
        return self._links[device]

    def put_device(
        self, device: str, document: JsonObject, if_match: str | None = None
    ) -> Identity:
        """Create a device, or update its status.

        Raises:
            HubRequestError: 409 when it exists and no If-Match is given; 412.
        """
        record = self._devices.get(device)
        capabilities = document.get("capabilities") or {}
        if record is None:
            is_edge = bool(capabilities.get("iotEdge"))
            identity = Identity(device_id=device, is_edge=is_edge, key=_given_key(document))
            self._devices[device] = DeviceRecord(identity=identity)
            for module in SYSTEM_MODULES if is_edge else ():
                self.ensure_module(device, module)
            self._changed(self._devices[device])
            return identity
        if if_match is None:
            raise HubRequestError(409, "DeviceAlreadyExists", f"device {device} exists")
        check_etag(record.identity.etag, if_match)
        record.identity.status = str(document.get("status", record.identity.status))
        record.identity.touch()
        if record.identity.status != "enabled":
            self.link(device).cut()
        return record.identity

    def delete_device(self, device: str, if_match: str | None = None) -> None:
        """Remove a device and its modules.

        Raises:
            HubRequestError: 404 or 412.
        """
        check_etag(self.device(device).identity.etag, if_match)
        del self._devices[device]
        self.link(device).cut()
        del self._links[device]

    def put_module(
        self, device: str, module: str, document: JsonObject, if_match: str | None = None
    ) -> Identity:
        """Create a module identity, or update its owner.

        Raises:
            HubRequestError: 404 for the device, 409 for a second create, 412.
        """
        record = self.device(device)
        known = record.modules.get(module)
        if known is None:
            known = record.modules[module] = Identity(
                device_id=device, module_id=module, key=_given_key(document)
            )
        elif if_match is None:
            raise HubRequestError(409, "ModuleAlreadyExistsOnDevice", f"module {module} exists")
        else:
            check_etag(known.etag, if_match)
            known.touch()
        known.managed_by = str(document.get("managedBy") or "")
        return known

    def delete_module(self, device: str, module: str, if_match: str | None = None) -> None:
        """Remove a module identity.

        Raises:
            HubRequestError: 404 or 412.
        """
        check_etag(self.identity(device, module).etag, if_match)
        del self.device(device).modules[module]
        self.link(device).cut(module)

    def device(self, device: str) -> DeviceRecord:
        """Return a device.

        Raises:
            HubRequestError: 404, there is none.
        """
        try:
            return self._devices[device]
        except KeyError:
            raise HubRequestError(
                404, "DeviceNotFound", f"device {device} is not registered", number=404001
            ) from None

    def devices(self) -> list[DeviceRecord]:
        """Return all devices."""
        return list(self._devices.values())

    def identity(self, device: str, module: str | None = None) -> Identity:
        """Return a device's or module's identity.

        Raises:
            HubRequestError: 404, there is none.
        """
        record = self.device(device)
        if module is None:
            return record.identity
        try:
            return record.modules[module]
        except KeyError:
            raise HubRequestError(
                404, "ModuleNotFound", f"module {device}/{module} is not registered", number=404010
            ) from None

    def change_twin(
        self,
        device: str,
        module: str | None,
        document: JsonObject,
        *,
        replaces: bool = False,
        if_match: str | None = None,
    ) -> Identity:
        """Patch (or replace) the tags and desired properties of a twin.

        Raises:
            HubRequestError: 400 for a wrong document, 404, 412.
        """
        identity = self.identity(device, module)
        check_etag(identity.etag, if_match)
        tags = _section(document.get("tags"), "tags")
        desired = _section((document.get("properties") or {}).get("desired"), "desired")
        desired = {k: v for k, v in desired.items() if k not in ("$version", "$metadata")}
        if replaces:
            tags = twin_documents.difference(identity.tags, tags)
            desired = twin_documents.difference(identity.desired, desired)
        if tags:
            identity.tags = twin_documents.merge(identity.tags, tags)
            identity.touch()
        if desired:
            self._patch_desired(identity, desired)
        if tags and module is None:
            self._changed(self.device(device))
        return identity

    def put_configuration(
        self, config_id: str, document: JsonObject, if_match: str | None = None
    ) -> Configuration:
        """Create or retarget a deployment.

        Raises:
            HubRequestError: As `ConfigurationStore.put`.
        """
        configuration = self.configurations.put(config_id, document, if_match)
        self._changed()
        return configuration

    def delete_configuration(self, config_id: str, if_match: str | None = None) -> None:
        """Withdraw a deployment.

        Raises:
            HubRequestError: 404 or 412.
        """
        self.configurations.delete(config_id, if_match)
        self._changed()

    def apply_content(self, device: str, modules_content: Any) -> None:
        """Give one device its modules' desired properties directly (`set-modules`).

        Raises:
            HubRequestError: 400 for wrong content, 404.
        """
        record = self.device(device)
        try:
            device_management.check_content(modules_content)
        except ManifestError as error:
            raise HubRequestError(400, "ArgumentInvalid", str(error)) from error
        self._apply_targets(record, device_management.merge_content([modules_content]))

    def evaluate_deployments(self, only: DeviceRecord | None = None) -> None:
        """Give every IoT Edge device, or only one, what its deployments say now."""
        deployments = [each.deployment for each in self.configurations.all()]
        for record in self._devices.values() if only is None else (only,):
            if record.identity.is_edge:
                self._evaluate(record, deployments)

    def query(self, text: str) -> tuple[str, list[JsonObject]]:
        """Run a query; return its item type and rows.

        Raises:
            HubRequestError: 400, the text does not parse.
        """
        try:
            query = query_language.parse_query(text)
        except QuerySyntaxError as error:
            raise HubRequestError(400, "ArgumentInvalid", str(error)) from error
        return query.item_type, query.run(self._documents(query.source))

    async def invoke(self, device: str, module: str, call: MethodRequest) -> MethodResult:
        """Call a module's direct method.

        Raises:
            HubRequestError: 404 when it is unknown or away, 504 when it is too slow.
        """
        self.identity(device, module or None)
        return await self.link(device).invoke(module, call)

    def module_key(self, device: str, module: str) -> bytes | None:
        """Return a module's key, or None when there is no such module."""
        try:
            return base64.b64decode(self.identity(device, module or None).key)
        except HubRequestError:
            return None

    def generation_id(self, device: str, module: str) -> str:
        """Return a module identity's generation.

        Raises:
            HubRequestError: 404.
        """
        return self.identity(device, module).generation_id

    def ensure_module(self, device: str, module: str) -> None:
        """Create a module identity if it does not exist.

        Raises:
            HubRequestError: 404 for the device.
        """
        if module not in self.device(device).modules:
            self.put_module(device, module, {"managedBy": "IotEdge"})

    def twin_properties(self, device: str, module: str) -> TwinProperties:
        """Return a module's twin.

        Raises:
            HubRequestError: 404.
        """
        identity = self.identity(device, module or None)
        return TwinProperties(
            desired=identity.desired,
            desired_version=identity.desired_version,
            reported=identity.reported,
            reported_version=identity.reported_version,
        )

    def patch_reported(self, device: str, module: str, patch: JsonObject) -> int:
        """Merge *patch* into the reported properties; return their new version.

        Raises:
            HubRequestError: 404.
        """
        identity = self.identity(device, module or None)
        identity.reported = twin_documents.merge(identity.reported, patch)
        identity.reported_version += 1
        identity.touch()
        return identity.reported_version

    def set_connected(self, device: str, module: str | None, connected: bool) -> None:
        """Note that a device or module came or went, as its identity then says.

        Raises:
            HubRequestError: 404.
        """
        self.identity(device, module).is_connected = connected

    def take_telemetry(self, telemetry: Telemetry) -> None:
        """Take a message from a device."""
        self.telemetry.append(telemetry)
        if self._on_telemetry is not None:
            self._on_telemetry(telemetry)

    def _changed(self, record: DeviceRecord | None = None) -> None:
        """Evaluate what a change of one device, or of a deployment (None), may have changed."""
        if self._evaluates_at_once:
            self.evaluate_deployments(record)

    def _evaluate(
        self, record: DeviceRecord, deployments: list[device_management.Deployment]
    ) -> None:
        selection = device_management.select(deployments, record.identity.twin_document())
        agent = self.identity(record.identity.device_id, "$edgeAgent")
        agent.configurations = {
            **{each.id: {"status": "Targeted"} for each in selection.shadowed},
            **{each.id: {"status": "Applied"} for each in selection.applied},
        }
        # Without a base nothing changes: IoT Edge leaves the modules of the last one running.
        if selection.applied:
            contents = [each.modules_content for each in selection.applied]
            try:
                self._apply_targets(record, device_management.merge_content(contents))
            except HubRequestError as error:
                log.error(
                    "deployment cannot be applied",
                    extra={"device": agent.device_id, "reason": str(error)},
                )

    def _apply_targets(self, record: DeviceRecord, targets: dict[str, ModuleTarget]) -> None:
        previous = record.targets or {}
        if targets == record.targets:
            return
        record.targets = targets
        device = record.identity.device_id
        listed = targets.get("$edgeAgent", ModuleTarget()).desired.get("modules") or {}
        for module in {**targets, **listed}:
            self.ensure_module(device, module)
        for module in {**previous, **targets}:
            identity = self.identity(device, module)
            patch = device_management.patch_for(
                targets.get(module), previous.get(module), identity.desired
            )
            if patch:
                self._patch_desired(identity, patch)

    def _patch_desired(self, identity: Identity, patch: JsonObject) -> None:
        is_edge_module = (identity.module_id or "").startswith("$")
        merged = twin_documents.merge(identity.desired, patch)
        try:
            twin_documents.check_limits(merged, allow_edge_names=is_edge_module)
        except TwinLimitError as error:
            raise HubRequestError(400, "ArgumentInvalid", str(error)) from error
        identity.desired = merged
        identity.desired_version += 1
        identity.touch()
        self.link(identity.device_id).deliver_desired(
            identity.module_id or ITSELF, patch, identity.desired_version
        )

    def _documents(self, source: query_language.Source) -> list[JsonObject]:
        if source == "devices":
            return [record.identity.twin_document() for record in self._devices.values()]
        return [
            module.twin_document()
            for record in self._devices.values()
            for module in record.modules.values()
        ]


def _given_key(document: JsonObject) -> str:
    keys = (document.get("authentication") or {}).get("symmetricKey") or {}
    return str(keys.get("primaryKey") or Identity(device_id="").key)


def _section(value: Any, name: str) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise HubRequestError(400, "ArgumentInvalid", f"{name}; rule: a JSON object")
    return value
