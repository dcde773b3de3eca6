"""Devices and modules of the hub with their twins."""

import base64
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime

from taktgate.standin.azure.iothub.device_management import ModuleTarget
from taktgate.standin.azure.json_types import JsonObject


def new_key() -> str:
    """Return a new symmetric key as base64 text."""
    return base64.b64encode(secrets.token_bytes(32)).decode("ascii")


@dataclass(slots=True, kw_only=True)
class Identity:
    """A device, or a module when *module_id* is set, and its twin. Changed by the hub only."""

    device_id: str
    module_id: str | None = None
    is_edge: bool = False
    managed_by: str = ""
    status: str = "enabled"
    key: str = field(default_factory=new_key)
    generation_id: str = field(default_factory=lambda: str(secrets.randbits(59)))
    tags: JsonObject = field(default_factory=dict)
    desired: JsonObject = field(default_factory=dict)
    desired_version: int = 1
    reported: JsonObject = field(default_factory=dict)
    reported_version: int = 1
    is_connected: bool = False
    configurations: JsonObject = field(default_factory=dict)
    version: int = 1
    updated_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    @property
    def etag(self) -> str:
        """The etag of the twin and the identity."""
        return f"AAAAAAAA{self.version:04d}"

    @property
    def connection_state(self) -> str:
        """Azure's word for whether the client is connected."""
        return "Connected" if self.is_connected else "Disconnected"

    def touch(self) -> None:
        """Count a change."""
        self.version += 1
        self.updated_at = datetime.now(UTC).isoformat()

    def twin_document(self) -> JsonObject:
        """Return the twin as the REST interface shows it."""
        stamp = {"$lastUpdated": self.updated_at}
        document: JsonObject = {
            "deviceId": self.device_id,
            "etag": self.etag,
            "deviceEtag": self.etag,
            "status": self.status,
            "connectionState": self.connection_state,
            "lastActivityTime": self.updated_at,
            "authenticationType": "sas",
            "version": self.version,
            "tags": self.tags,
            "configurations": self.configurations,
            "capabilities": {"iotEdge": self.is_edge},
            "properties": {
                "desired": {
                    **self.desired,
                    "$metadata": stamp,
                    "$version": self.desired_version,
                },
                "reported": {
                    **self.reported,
                    "$metadata": stamp,
                    "$version": self.reported_version,
                },
            },
        }
        if self.module_id is not None:
            document["moduleId"] = self.module_id
            del document["capabilities"]
        return document

    def identity_document(self) -> JsonObject:
        """Return the identity as the REST interface shows it."""
        document: JsonObject = {
            "deviceId": self.device_id,
            "generationId": self.generation_id,
            "etag": self.etag,
            "connectionState": self.connection_state,
            "authentication": {
                "type": "sas",
                "symmetricKey": {"primaryKey": self.key, "secondaryKey": self.key},
            },
        }
        if self.module_id is None:
            document |= {"status": self.status, "capabilities": {"iotEdge": self.is_edge}}
        else:
            document |= {"moduleId": self.module_id, "managedBy": self.managed_by}
        return document


@dataclass(slots=True, kw_only=True)
class DeviceRecord:
    """A device with its modules and the deployment content it was given last."""

    identity: Identity
    modules: dict[str, Identity] = field(default_factory=dict)
    targets: dict[str, ModuleTarget] | None = None
