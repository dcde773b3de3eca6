"""The identity registry: devices and modules with their twins, and every rule of writing them.

What the live hub does beyond the documentation is from mwalser/terraform-provider-iothub,
CONCEPT.md, sections 6.1, 6.2 and appendix D: a PUT without If-Match creates only, one with
If-Match updates only; both replace the whole identity, so one without keys makes new keys.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.errors import HubRequestError
from taktgate.standin.azure.iothub import bodies
from taktgate.standin.azure.iothub.bodies import AuthenticationBody, DeviceBody, ModuleBody
from taktgate.standin.azure.iothub.etags import check_etag
from taktgate.standin.azure.iothub.identities import (
    SYSTEM_MODULES,
    Authentication,
    DeviceRecord,
    Identity,
    new_key,
)
from taktgate.standin.azure.iothub.twin_sections import timestamp

MAX_MODULES = 50
"""Modules of a device (learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling)."""
SYSTEM_OWNER, RUNTIME_OWNER = "iotEdge", "IotEdge"
"""Who manages `$edgeAgent` and `$edgeHub`, and who the modules that edgeAgent makes."""
Changed: TypeAlias = dict[tuple[str, str | None], Identity]
"""Identities by device and module."""
Removed: TypeAlias = set[tuple[str, str | None]]


class Registry:
    """All identities of a hub. `changed` and `removed` say what a store has to write."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._devices: dict[str, DeviceRecord] = {}
        self._made = 0
        self.changed: Changed = {}
        self.removed: Removed = set()

    def take_changes(self) -> tuple[Changed, Removed]:
        """Return what has changed and what was removed since the last call."""
        changes = self.changed, self.removed
        self.changed, self.removed = {}, set()
        return changes

    def put_changes_back(self, changed: Changed, removed: Removed) -> None:
        """Have changes that could not be stored among the next ones."""
        self.changed = {**changed, **self.changed}
        self.removed |= removed

    def devices(self) -> list[DeviceRecord]:
        """Return all devices, oldest first."""
        return list(self._devices.values())

    def find(self, device: str, module: str | None = None) -> Identity | None:
        """Return a device's or module's identity if there is one."""
        record = self._devices.get(device)
        return None if record is None else record.find(module)

    def device(self, device: str) -> DeviceRecord:
        """Return a device.

        Raises:
            HubRequestError: 404, there is none.
        """
        try:
            return self._devices[device]
        except KeyError:
            raise HubRequestError(
                404, "DeviceNotFound", f"device {device} is not registered"
            ) from None

    def identity(self, device: str, module: str | None = None) -> Identity:
        """Return a device's or module's identity.

        Raises:
            HubRequestError: 404, there is none.
        """
        found = self.device(device).find(module)
        if found is None:
            raise HubRequestError(
                404, "ModuleNotFound", f"module {device}/{module} is not registered"
            )
        return found

    def identities(self) -> Iterator[Identity]:
        """Yield all devices and modules."""
        for record in self._devices.values():
            yield record.identity
            yield from record.modules.values()

    def put_device(self, device: str, body: DeviceBody, if_match: str | None) -> Identity:
        """Create a device, or replace its identity.

        Raises:
            HubRequestError: 400, 404 for the update of none, 409 for a second create, 412.
        """
        bodies.check_device_id(device)
        _check_same("deviceId", body.device_id, device)
        known = self._devices.get(device)
        if known is None:
            if if_match is not None:
                self.device(device)
            return self._create_device(device, body)
        if if_match is None:
            raise HubRequestError(
                409,
                "DeviceAlreadyExists",
                f"A device with ID '{device}' is already registered.",
            )
        check_etag(known.identity.identity_etag, if_match)
        authentication = _authentication(body.authentication, for_device=True)
        self._write_device(known, body, authentication)
        return known.identity

    def delete_device(self, device: str, if_match: str | None) -> DeviceRecord:
        """Remove a device and its modules.

        Raises:
            HubRequestError: 404 or 412.
        """
        record = self.device(device)
        check_etag(record.identity.identity_etag, if_match)
        for module in record.modules:
            self._forget(device, module)
        self._forget(device, None)
        return self._devices.pop(device)

    def put_module(
        self, device: str, module: str, body: ModuleBody, if_match: str | None
    ) -> Identity:
        """Create a module identity, or replace it.

        Raises:
            HubRequestError: 400, 403 for one module too many, 404, 409 for a second create, 412.
        """
        bodies.check_device_id(module, "moduleId")
        _check_same("deviceId", body.device_id, device)
        _check_same("moduleId", body.module_id, module)
        record = self.device(device)
        known = record.modules.get(module)
        if known is None and if_match is not None:
            self.identity(device, module)
        if known is not None and if_match is None:
            raise HubRequestError(
                409,
                "ModuleAlreadyExistsOnDevice",
                f"Device {device} already contains Module {module}.",
            )
        authentication = _authentication(body.authentication, for_device=False)
        if known is None:
            known = self._create_module(record, module, authentication)
        else:
            check_etag(known.identity_etag, if_match)
            known.authentication = authentication
            known.identity_number += 1
        known.managed_by = body.managed_by
        self.touch(known)
        return known

    def delete_module(self, device: str, module: str, if_match: str | None) -> None:
        """Remove a module identity.

        Raises:
            HubRequestError: 404 or 412.
        """
        check_etag(self.identity(device, module).identity_etag, if_match)
        del self.device(device).modules[module]
        self._forget(device, module)

    def ensure_module(self, device: str, module: str) -> Identity:
        """Return a module identity as the device's runtime needs it; create it if necessary.

        Raises:
            HubRequestError: 404 for the device.
        """
        record = self.device(device)
        known = record.modules.get(module)
        if known is None:
            known = self._create_module(record, module, Authentication())
            known.managed_by = RUNTIME_OWNER
        elif known.authentication.type == "none":
            known.authentication = replace(known.authentication, type="sas")
            self.touch(known)
        return known

    def restore(self, identities: list[Identity]) -> None:
        """Take back what was stored before a restart, devices before their modules."""
        for identity in sorted(identities, key=lambda each: each.number):
            if identity.module_id is None:
                self._devices[identity.device_id] = DeviceRecord(identity=identity)
            else:
                modules = self._devices[identity.device_id].modules
                modules[identity.module_id] = identity
            self._made = max(self._made, identity.number)

    def touch(self, identity: Identity) -> None:
        """Note that an identity or its twin has changed."""
        self.changed[identity.device_id, identity.module_id] = identity

    def _create_device(self, device: str, body: DeviceBody) -> Identity:
        authentication = _authentication(body.authentication, for_device=True)
        record = DeviceRecord(identity=Identity(device_id=device, number=self._next_number()))
        self._write_device(record, body, authentication)
        self._devices[device] = record
        return record.identity

    def _write_device(
        self, record: DeviceRecord, body: DeviceBody, authentication: Authentication
    ) -> None:
        identity = record.identity
        status = body.status or "enabled"
        if status != identity.status:
            identity.status = status
            identity.status_updated_at = timestamp(self._clock.utc())
        identity.status_reason = body.status_reason
        identity.authentication = authentication
        identity.is_edge = bool(body.capabilities and body.capabilities.iot_edge)
        identity.parent_scopes = tuple(body.parent_scopes or ())
        if identity.is_edge:
            # The hub makes an IoT Edge device's own scope and keeps it.
            ticks = 621_355_968_000_000_000 + int(self._clock.utc().timestamp() * 10_000_000)
            identity.device_scope = (
                identity.device_scope or f"ms-azure-iot-edge://{identity.device_id}-{ticks}"
            )
        else:
            identity.device_scope = body.device_scope or None
        identity.identity_number += 1
        for module in SYSTEM_MODULES if identity.is_edge else ():
            if module not in record.modules:
                self._create_module(record, module, Authentication(type="none"), SYSTEM_OWNER)
        self.touch(identity)

    def _create_module(
        self,
        record: DeviceRecord,
        module: str,
        authentication: Authentication,
        owner: str | None = None,
    ) -> Identity:
        # A deployment may list 50 modules beside the two of the system.
        if len(record.modules) >= MAX_MODULES + len(SYSTEM_MODULES):
            raise HubRequestError(
                403, "TooManyModulesOnDevice", f"rule: at most {MAX_MODULES} modules of a device"
            )
        created = record.modules[module] = Identity(
            device_id=record.identity.device_id,
            module_id=module,
            number=self._next_number(),
            authentication=authentication,
            managed_by=owner,
        )
        self.touch(created)
        return created

    def _forget(self, device: str, module: str | None) -> None:
        self.changed.pop((device, module), None)
        self.removed.add((device, module))

    def _next_number(self) -> int:
        self._made += 1
        return self._made


def _authentication(body: AuthenticationBody | None, *, for_device: bool) -> Authentication:
    if body is None:
        return Authentication()
    kind = body.type or "sas"
    if kind == "none" and for_device:
        raise HubRequestError(
            400, "ArgumentInvalid", "authentication.type 'none'; rule: a device has a type"
        )
    keys, thumbprints = body.symmetric_key, body.x509_thumbprint
    primary = (keys.primary_key if keys else None) or ""
    secondary = (keys.secondary_key if keys else None) or ""
    if bool(primary) != bool(secondary):
        raise HubRequestError(
            400,
            "ArgumentInvalid",
            "authentication.symmetricKey: Either no keys or both keys can be set",
        )
    return Authentication(
        type="sas" if kind == "none" else kind,
        primary_key=primary or new_key(),
        secondary_key=secondary or new_key(),
        primary_thumbprint=thumbprints.primary_thumbprint if thumbprints else None,
        secondary_thumbprint=thumbprints.secondary_thumbprint if thumbprints else None,
    )


def _check_same(field: str, given: str | None, wanted: str) -> None:
    if given is not None and given != wanted:
        raise HubRequestError(
            400, "ArgumentInvalid", f"{field} {given[:140]!r}; rule: as in the path"
        )
