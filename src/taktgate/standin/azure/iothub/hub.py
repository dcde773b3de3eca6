"""IoT Hub without I/O: identities, twins, deployments, queries and direct methods."""

import base64
from collections import deque
from collections.abc import Callable
from typing import Any

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.clock import Clock, WorldClock
from taktgate.standin.azure.device_link import (
    ITSELF,
    DeviceLink,
    MethodResult,
    Telemetry,
    TwinProperties,
)
from taktgate.standin.azure.errors import HubRequestError, ManifestError
from taktgate.standin.azure.iothub import bodies, device_management, direct_methods, twin_limits
from taktgate.standin.azure.iothub.bodies import DeviceBody, ModuleBody, TwinBody
from taktgate.standin.azure.iothub.commit import commit
from taktgate.standin.azure.iothub.configurations import (
    MAX_DEPLOYMENTS,
    Configuration,
    ConfigurationStore,
)
from taktgate.standin.azure.iothub.etags import check_etag
from taktgate.standin.azure.iothub.evaluation import DeploymentEvaluator
from taktgate.standin.azure.iothub.evaluation_schedule import EvaluationSchedule
from taktgate.standin.azure.iothub.identities import SYSTEM_MODULES, DeviceRecord, Identity
from taktgate.standin.azure.iothub.policies import AccessPolicies, PolicyKeys
from taktgate.standin.azure.iothub.queries import Queries
from taktgate.standin.azure.iothub.registry import RUNTIME_OWNER, Registry
from taktgate.standin.azure.iothub.store import HubStore
from taktgate.standin.azure.iothub.twin_changes import TwinChange, change_of, limits_answered
from taktgate.standin.azure.iothub.twin_sections import timestamp
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.quirks import QuirkBoard, System

TELEMETRY_KEPT = 100_000


class IotHub:
    """One hub. Changes take effect at once; deployments too, unless told otherwise."""

    def __init__(
        self,
        *,
        evaluates_at_once: bool = True,
        on_telemetry: Callable[[Telemetry], None] | None = None,
        clock: Clock | None = None,
        quirks: QuirkBoard | None = None,
        store: HubStore | None = None,
        max_deployments: int = MAX_DEPLOYMENTS,
    ) -> None:
        """Make an empty hub, or the one that *store* holds.

        Args:
            evaluates_at_once: False evaluates deployments only when `evaluate_deployments` is
                called, or by the period of `schedule`.
            on_telemetry: Called with each message that reaches the hub.
            clock: The world's clock; the wall's if none is given.
            quirks: What the hub does on a bad day.
            store: Where the hub's state is kept.
            max_deployments: 100 as of a paid hub; a free one takes 10.

        Raises:
            HubStoreError: The store cannot be read.
        """
        self.clock = clock or WorldClock()
        self.quirks = quirks or QuirkBoard(System.HUB)
        self.policies = AccessPolicies()
        self.registry = Registry(self.clock)
        self.configurations = ConfigurationStore(max_deployments)
        self.queries = Queries(self.registry)
        self.telemetry: deque[Telemetry] = deque(maxlen=TELEMETRY_KEPT)
        self._links: dict[str, DeviceLink] = {}
        self._on_telemetry = on_telemetry
        self._store = store
        self.schedule = EvaluationSchedule(
            self.clock, self.evaluate_deployments, at_each_change=evaluates_at_once
        )
        self._evaluator = DeploymentEvaluator(self.registry, self._give_desired)
        self._evaluator.leaves_layers_targeted = lambda: self.quirks.is_on("targeted-only")
        if store is not None:
            self._load(store)

    def link(self, device: str) -> DeviceLink:
        """Return the line to *device*."""
        if device not in self._links:
            self._links[device] = DeviceLink(self, device)
        return self._links[device]

    def put_device(
        self, device: str, document: JsonObject, if_match: str | None = None
    ) -> Identity:
        """Create a device, or with If-Match replace its identity.

        Raises:
            HubRequestError: As `Registry.put_device`.
        """
        identity = self.registry.put_device(device, bodies.parse(DeviceBody, document), if_match)
        self._reevaluate(self.registry.device(device))
        self._commit()
        if identity.status != "enabled":
            self.link(device).cut()
        return identity

    def delete_device(self, device: str, if_match: str | None = None) -> None:
        """Remove a device and its modules.

        Raises:
            HubRequestError: 404 or 412.
        """
        self.registry.delete_device(device, if_match)
        link = self._links.pop(device, None)
        if link is not None:
            link.cut()
        self._commit()

    def put_module(
        self, device: str, module: str, document: JsonObject, if_match: str | None = None
    ) -> Identity:
        """Create a module identity, or with If-Match replace it.

        Raises:
            HubRequestError: As `Registry.put_module`.
        """
        body = bodies.parse(ModuleBody, document)
        identity = self.registry.put_module(device, module, body, if_match)
        self._commit()
        return identity

    def delete_module(self, device: str, module: str, if_match: str | None = None) -> None:
        """Remove a module identity.

        Raises:
            HubRequestError: 404 or 412.
        """
        self.registry.delete_module(device, module, if_match)
        self.link(device).cut(module)
        self._commit()

    def device(self, device: str) -> DeviceRecord:
        """Return a device.

        Raises:
            HubRequestError: 404, there is none.
        """
        return self.registry.device(device)

    def devices(self) -> list[DeviceRecord]:
        """Return all devices, oldest first."""
        return self.registry.devices()

    def identity(self, device: str, module: str | None = None) -> Identity:
        """Return a device's or module's identity.

        Raises:
            HubRequestError: 404, there is none.
        """
        return self.registry.identity(device, module)

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
            HubRequestError: 400 for a wrong document, 404, 412. Nothing is changed then.
        """
        body = bodies.parse(TwinBody, document)
        identity = self.registry.identity(device, module)
        check_etag(identity.etag, if_match)
        change = change_of(identity, body, replaces=replaces)
        if change.tags is not None:
            identity.tags = twin_documents.merge(identity.tags, change.tags)
        if change.desired is not None:
            self._write_desired(identity, change.desired)
        if change != TwinChange():
            identity.twin_changes += 1
            self.registry.touch(identity)
        if change.tags is not None and module is None:
            self._reevaluate(self.registry.device(device))
        self._commit()
        return identity

    def put_configuration(
        self, config_id: str, document: JsonObject, if_match: str | None = None
    ) -> Configuration:
        """Create or retarget a deployment.

        Raises:
            HubRequestError: As `ConfigurationStore.put`.
        """
        configuration = self.configurations.put(
            config_id, document, if_match, now=timestamp(self.clock.utc())
        )
        if self._store is not None:
            self._store.save_configuration(configuration)
        self._reevaluate_all()
        return configuration

    def delete_configuration(self, config_id: str, if_match: str | None = None) -> None:
        """Withdraw a deployment.

        Raises:
            HubRequestError: 404 or 412.
        """
        self.configurations.delete(config_id, if_match)
        if self._store is not None:
            self._store.remove_configuration(config_id)
        self._reevaluate_all()

    def apply_content(self, device: str, modules_content: Any) -> None:
        """Give one device its modules' desired properties directly (`set-modules`).

        Raises:
            HubRequestError: 400 for wrong content or a device without IoT Edge, 404.
        """
        record = self.registry.device(device)
        if not record.identity.is_edge:
            raise HubRequestError(400, "ArgumentInvalid", "Not an Azure IoT Edge device")
        try:
            device_management.check_content(modules_content)
        except ManifestError as error:
            raise HubRequestError(400, "InvalidConfigurationContent", str(error)) from error
        self._evaluator.apply_content(record, modules_content)
        self._commit()

    def evaluate_deployments(self) -> None:
        """Give every IoT Edge device what its deployments say now."""
        self._evaluator.set_deployments(each.deployment for each in self.configurations.all())
        self._evaluator.evaluate_all()
        self._commit()

    def query(self, text: str) -> tuple[str, list[JsonObject]]:
        """Run a query; return its item type and rows.

        Raises:
            HubRequestError: 400, the text does not parse.
        """
        return self.queries.run(text)

    async def invoke(self, device: str, module: str | None, call: MethodRequest) -> MethodResult:
        """Call a direct method of a module, or of the device itself (None).

        The device's side is asked for the module `ITSELF` then.

        Raises:
            HubRequestError: 404 when it is unknown or away, 504 when it is too slow.
        """
        self.registry.identity(device, module or None)
        return await direct_methods.invoke(self.link(device), module or None, call)

    def module_key(self, device: str, module: str | None) -> bytes | None:
        """Return the primary key of a module (of the device for None), or None if it is unknown."""
        identity = self.registry.find(device, module or None)
        return None if identity is None else base64.b64decode(identity.key)

    def generation_id(self, device: str, module: str) -> str:
        """Return a module identity's generation.

        Raises:
            HubRequestError: 404.
        """
        return self.registry.identity(device, module).generation_id

    def ensure_module(self, device: str, module: str) -> None:
        """Create a module identity if it does not exist.

        Raises:
            HubRequestError: 404 for the device.
        """
        self.registry.ensure_module(device, module)
        self._commit()

    def release_module(self, device: str, module: str) -> None:
        """Delete a module identity that the device's runtime owns; one of somebody else stays.

        edgeAgent does so with a module that its deployment lists no more (Azure/iotedge edge-agent,
        ModuleIdentityLifecycleManager).
        """
        identity = self.registry.find(device, module)
        if identity is not None and identity.managed_by == RUNTIME_OWNER:
            self.delete_module(device, module)

    def twin_properties(self, device: str, module: str | None) -> TwinProperties:
        """Return the twin of a module, or of the device itself (None).

        Raises:
            HubRequestError: 404.
        """
        identity = self.registry.identity(device, module or None)
        return TwinProperties(
            desired=identity.desired,
            desired_version=identity.desired_version,
            reported=identity.reported,
            reported_version=identity.reported_version,
        )

    def patch_reported(self, device: str, module: str | None, patch: JsonObject) -> int:
        """Merge *patch* into the reported properties; return their new version.

        Raises:
            HubRequestError: 400 for a limit, 404.
        """
        identity = self.registry.identity(device, module or None)
        with limits_answered():
            twin_limits.check_patch(
                patch, "properties.reported", has_free_keys=module in SYSTEM_MODULES
            )
            section = identity.reported_section.patched(
                patch, at=self.clock.utc(), with_versions=False
            )
            twin_limits.check_size(section.value, "properties.reported")
        identity.reported_section = section
        self._was_active(identity)
        self.registry.touch(identity)
        if not module and self._evaluator.asks_for_reports:
            self._reevaluate(self.registry.device(device))
        self._commit()
        return section.version

    def set_connected(self, device: str, module: str | None, connected: bool) -> None:
        """Note that a device or module came or went, as its identity then says.

        Raises:
            HubRequestError: 404.
        """
        identity = self.registry.identity(device, module or None)
        if identity.is_connected != connected:
            identity.is_connected = connected
            identity.connection_updated_at = timestamp(self.clock.utc())
            self._was_active(identity)

    def take_telemetry(self, telemetry: Telemetry) -> None:
        """Take a message from a device."""
        identity = self.registry.find(telemetry.device, telemetry.module or None)
        if identity is not None:
            self._was_active(identity)
        self.telemetry.append(telemetry)
        if self._on_telemetry is not None:
            self._on_telemetry(telemetry)

    def set_policy_keys(self, policy: str, keys: PolicyKeys) -> None:
        """Give one of the shared access policies other keys."""
        self.policies.set_keys(policy, keys)
        if self._store is not None:
            self._store.save_policy(policy, keys)

    def _was_active(self, identity: Identity) -> None:
        identity.last_activity_at = timestamp(self.clock.utc())

    def _reevaluate(self, record: DeviceRecord) -> None:
        if self.schedule.is_at_each_change:
            self._evaluator.evaluate(record)

    def _reevaluate_all(self) -> None:
        if self.schedule.is_at_each_change:
            self.evaluate_deployments()

    def _give_desired(self, device: str, module: str, patch: JsonObject) -> None:
        identity = self.registry.identity(device, module)
        self._write_desired(identity, patch)
        identity.twin_changes += 1
        self.registry.touch(identity)

    def _write_desired(self, identity: Identity, patch: JsonObject) -> None:
        identity.desired_section = identity.desired_section.patched(
            patch, at=self.clock.utc(), with_versions=True
        )
        self.link(identity.device_id).deliver_desired(
            identity.module_id or ITSELF, patch, identity.desired_version
        )

    def _load(self, store: HubStore) -> None:
        stored = store.load()
        self.registry.restore(stored.identities)
        for device, targets in stored.targets.items():
            self.registry.device(device).targets = targets
        for configuration in stored.configurations:
            self.configurations.restore(configuration)
        self._evaluator.set_deployments(each.deployment for each in self.configurations.all())
        for name in self.policies.names:
            if name in stored.policies:
                self.policies.set_keys(name, stored.policies[name])
            else:
                store.save_policy(name, self.policies.keys(name))

    def _commit(self) -> None:
        """Write what has changed since the last time into the store, if there is one."""
        commit(self.registry, self._store)
