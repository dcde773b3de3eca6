"""The durable copy of the last good deployment, with which edgeAgent starts offline.

Azure/iotedge edge-agent/.../Agent.Core/configsources/FileBackupConfigSource.cs: written only for a
configuration without an error, read when none can be got.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

from taktgate.edge import files
from taktgate.standin.azure.edgeagent.manifest import Deployment, parse_deployment
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

FILE_NAME = "backup.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionedDeployment:
    """A deployment and the version of the desired properties that hold it."""

    version: int
    desired: JsonObject
    deployment: Deployment


class DeploymentBackup:
    """One device's backup file."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._saved_version: int | None = None

    def save(self, config: VersionedDeployment) -> None:
        """Keep *config*; a disk that refuses is logged and costs only the backup."""
        if config.version == self._saved_version:
            return
        content = {"version": config.version, "desired": config.desired}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # It may hold passwords of registries; edgeAgent encrypts its own.
            files.publish(self._path, json.dumps(content).encode(), mode=0o600)
        except OSError as error:
            log.error("deployment not backed up", extra={"reason": str(error)})
            return
        self._saved_version = config.version

    def load(self) -> VersionedDeployment | None:
        """Return what was saved last, or None if there is nothing that can be read."""
        try:
            content = json.loads(self._path.read_bytes())
            version, desired = content["version"], content["desired"]
            deployment = parse_deployment(desired)
            return VersionedDeployment(version=int(version), desired=desired, deployment=deployment)
        except FileNotFoundError:
            return None
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            AttributeError,
            ManifestError,
        ) as error:
            log.error("deployment backup is unreadable", extra={"reason": str(error)})
            return None
