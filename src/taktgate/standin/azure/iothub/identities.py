"""Devices and modules of the hub with their twins, and the documents that show them."""

import base64
import secrets
from dataclasses import dataclass, field

from taktgate.standin.azure.iothub.bodies import AuthenticationType
from taktgate.standin.azure.iothub.device_management import TargetSet
from taktgate.standin.azure.iothub.etags import number_etag, twin_etag
from taktgate.standin.azure.iothub.twin_sections import NEVER, TwinSection
from taktgate.standin.azure.json_types import JsonObject

SYSTEM_MODULES = ("$edgeAgent", "$edgeHub")
FIRST_NUMBER = 100_000_000


def new_key() -> str:
    """Return a new symmetric key as base64 text."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """How a device or module proves who it is; keys are kept for every type."""

    type: AuthenticationType = "sas"
    primary_key: str = field(default_factory=new_key)
    secondary_key: str = field(default_factory=new_key)
    primary_thumbprint: str | None = None
    secondary_thumbprint: str | None = None

    def document(self) -> JsonObject:
        """Return the section `authentication` of an identity."""
        has_keys = self.type == "sas"
        return {
            "symmetricKey": {
                "primaryKey": self.primary_key if has_keys else None,
                "secondaryKey": self.secondary_key if has_keys else None,
            },
            "x509Thumbprint": self.thumbprints(),
            "type": self.type,
        }

    def thumbprints(self) -> JsonObject:
        """Return the section `x509Thumbprint`."""
        return {
            "primaryThumbprint": self.primary_thumbprint,
            "secondaryThumbprint": self.secondary_thumbprint,
        }


@dataclass(slots=True, kw_only=True)
class Identity:
    """A device, or a module when *module_id* is set, and its twin. Changed by the hub only."""

    device_id: str
    module_id: str | None = None
    number: int = 0
    """Counts the identities that the hub ever had: the order of lists and queries."""
    is_edge: bool = False
    managed_by: str | None = None
    status: str = "enabled"
    status_reason: str | None = None
    status_updated_at: str = NEVER
    authentication: Authentication = field(default_factory=Authentication)
    generation_id: str = field(default_factory=lambda: str(secrets.randbits(59)))
    device_scope: str | None = None
    parent_scopes: tuple[str, ...] = ()
    identity_number: int = field(
        default_factory=lambda: FIRST_NUMBER + secrets.randbelow(900_000_000)
    )
    twin_changes: int = 1
    tags: JsonObject = field(default_factory=dict)
    desired_section: TwinSection = field(default_factory=TwinSection)
    reported_section: TwinSection = field(default_factory=TwinSection)
    configurations: JsonObject = field(default_factory=dict)
    is_connected: bool = False
    connection_updated_at: str = NEVER
    last_activity_at: str = NEVER

    @property
    def key(self) -> str:
        """The primary key as base64 text."""
        return self.authentication.primary_key

    @property
    def etag(self) -> str:
        """The twin's etag; it changes with tags and desired properties only."""
        return twin_etag(self.twin_changes)

    @property
    def identity_etag(self) -> str:
        """The identity's etag; it changes with each write of the identity only."""
        return number_etag(self.identity_number)

    @property
    def desired(self) -> JsonObject:
        """The desired properties."""
        return self.desired_section.value

    @property
    def desired_version(self) -> int:
        """The version of the desired properties."""
        return self.desired_section.version

    @property
    def reported(self) -> JsonObject:
        """The reported properties."""
        return self.reported_section.value

    @property
    def reported_version(self) -> int:
        """The version of the reported properties."""
        return self.reported_section.version

    @property
    def connection_state(self) -> str:
        """`Connected` or `Disconnected`."""
        return "Connected" if self.is_connected else "Disconnected"

    def condition_view(self) -> JsonObject:
        """Return what a target condition may ask for, at little cost."""
        return {
            "deviceId": self.device_id,
            "tags": self.tags,
            "properties": {"reported": self.reported},
        }

    def twin_document(self) -> JsonObject:
        """Return the twin as the REST interface shows it."""
        document: JsonObject = {"deviceId": self.device_id}
        if self.module_id is not None:
            document["moduleId"] = self.module_id
        document |= {
            "etag": self.etag,
            "deviceEtag": self.identity_etag,
            "status": self.status,
            "statusUpdateTime": self.status_updated_at,
            "connectionState": self.connection_state,
            "lastActivityTime": self.last_activity_at,
            "cloudToDeviceMessageCount": 0,
            "authenticationType": self.authentication.type,
            "x509Thumbprint": self.authentication.thumbprints(),
            "modelId": "",
            "version": self.twin_changes + 1,
        }
        # A section that holds nothing is left out.
        if self.status_reason is not None:
            document["statusReason"] = self.status_reason
        if self.tags:
            document["tags"] = self.tags
        document["properties"] = {
            "desired": self.desired_section.document(),
            "reported": self.reported_section.document(),
        }
        if self.configurations:
            document["configurations"] = self.configurations
        return document | self._device_part()

    def identity_document(self) -> JsonObject:
        """Return the identity as the REST interface shows it."""
        document: JsonObject = {"deviceId": self.device_id}
        if self.module_id is not None:
            document |= {"moduleId": self.module_id, "managedBy": self.managed_by}
        document |= {
            "generationId": self.generation_id,
            "etag": self.identity_etag,
            "connectionState": self.connection_state,
            "connectionStateUpdatedTime": self.connection_updated_at,
            "lastActivityTime": self.last_activity_at,
            "cloudToDeviceMessageCount": 0,
            "authentication": self.authentication.document(),
        }
        if self.module_id is None:
            document |= {
                "status": self.status,
                "statusReason": self.status_reason,
                "statusUpdatedTime": self.status_updated_at,
            }
        return document | self._device_part()

    def _device_part(self) -> JsonObject:
        if self.module_id is not None:
            return {}
        part: JsonObject = {"capabilities": {"iotEdge": self.is_edge}}
        if self.device_scope is not None:
            part["deviceScope"] = self.device_scope
        if self.is_edge or self.parent_scopes:
            part["parentScopes"] = list(self.parent_scopes)
        return part


@dataclass(slots=True, kw_only=True)
class DeviceRecord:
    """A device with its modules and what its deployments gave it last."""

    identity: Identity
    modules: dict[str, Identity] = field(default_factory=dict)
    targets: TargetSet | None = None

    def find(self, module: str | None) -> Identity | None:
        """Return the device itself for None, else its module if it has it."""
        return self.identity if module is None else self.modules.get(module)
