"""Where edgeAgent gets its deployment from: the hub, and offline its own backup.

Azure/iotedge edge-agent/.../Agent.IoTHub/EdgeAgentConnection.cs, configsources/
FileBackupConfigSource.cs.
"""

import logging

from taktgate.standin.azure.device_link import DeviceLink
from taktgate.standin.azure.edgeagent.deployment.backup import DeploymentBackup, VersionedDeployment
from taktgate.standin.azure.edgeagent.deployment.options import AgentOptions, agent_options
from taktgate.standin.azure.edgeagent.deployment.status import DeploymentStatus, refused
from taktgate.standin.azure.edgeagent.errors import EmptyConfigError
from taktgate.standin.azure.edgeagent.logs.journal import Journal
from taktgate.standin.azure.edgeagent.manifest import parse_deployment
from taktgate.standin.azure.edgeagent.restart_policy import BackOff
from taktgate.standin.azure.errors import (
    HubRequestError,
    ManifestError,
    UpstreamOfflineError,
)
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)


class DeploymentSource:
    """Knows the last good deployment, and whether a newer one was refused."""

    def __init__(
        self,
        link: DeviceLink,
        module: str,
        *,
        backup: DeploymentBackup,
        back_off: BackOff,
        journal: Journal,
    ) -> None:
        self._link = link
        self._module = module
        self._backup = backup
        self._back_off = back_off
        self._journal = journal
        self._seen: tuple[int, JsonObject] | None = None
        self.good: VersionedDeployment | None = None
        self.options = AgentOptions(back_off=back_off)
        self.refusal: DeploymentStatus | None = None

    def restore(self) -> None:
        """Take the backup, if there is one."""
        saved = self._backup.load()
        if saved is not None:
            self._accept(saved)

    def refresh(self) -> None:
        """Look at what the hub wants now; offline nothing changes.

        A deployment that is refused leaves the last good one in force.
        """
        try:
            twin = self._link.twin_properties(self._module)
        except UpstreamOfflineError:
            return
        except HubRequestError as error:
            log.error("hub has no twin of edgeAgent", extra={"reason": str(error)})
            return
        if (twin.desired_version, twin.desired) == self._seen:
            return
        self._seen = twin.desired_version, twin.desired
        try:
            config = VersionedDeployment(
                version=twin.desired_version,
                desired=twin.desired,
                deployment=parse_deployment(twin.desired),
            )
            self._accept(config)
        except ManifestError as error:
            self.refusal = refused(error)
            self._say_refused(twin.desired_version, error)
            return
        self.refusal = None
        self._backup.save(config)

    def _accept(self, config: VersionedDeployment) -> None:
        self.options = agent_options(config.deployment, back_off=self._back_off)
        self.good = config

    def _say_refused(self, version: int, error: ManifestError) -> None:
        if isinstance(error, EmptyConfigError):
            # A device that nobody has given a deployment yet is no fault.
            log.info("device has no deployment", extra={"device": self._link.device})
            return
        facts = {"device": self._link.device, "reason": str(error)}
        log.error("deployment refused", extra=facts)
        self._journal.complain(f"Deployment {version} refused: {error}")
