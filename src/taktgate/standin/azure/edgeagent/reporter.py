"""Sends what has changed of edgeAgent's reported properties, and nothing else.

Azure/iotedge edge-agent/.../Agent.IoTHub/reporters/IoTHubReporter.cs: the state is compared with
what the hub has, and the difference is sent; offline it waits for the next occasion.
"""

import logging

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.device_link import DeviceLink
from taktgate.standin.azure.edgeagent.deployment.status import DeploymentStatus, StatusCode
from taktgate.standin.azure.edgeagent.report import SECTIONS
from taktgate.standin.azure.errors import HubRequestError, TwinLimitError, UpstreamOfflineError
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)


class Reporter:
    """Keeps the reported properties of one edgeAgent in step with the hub."""

    def __init__(self, link: DeviceLink, module: str) -> None:
        self._link = link
        self._module = module
        self._sent: JsonObject | None = None

    def report(self, properties: JsonObject) -> bool:
        """Send what is new in *properties*; return whether the hub has all of it now."""
        try:
            sent = self._known_to_hub() if self._sent is None else self._sent
            patch = twin_documents.difference(sent, properties)
            if not patch:
                self._sent = sent
                return True
            twin_documents.check_limits(properties, allow_edge_names=True)
            self._link.patch_reported(self._module, patch)
        except UpstreamOfflineError:
            return False
        except TwinLimitError as error:
            self._report_only_error(properties, error)
            return False
        except HubRequestError as error:
            log.warning("hub refused edgeAgent's report", extra={"reason": str(error)})
            return False
        self._sent = properties
        return True

    def _known_to_hub(self) -> JsonObject:
        reported = self._link.twin_properties(self._module).reported
        return {name: value for name, value in reported.items() if name in SECTIONS}

    def _report_only_error(self, properties: JsonObject, error: TwinLimitError) -> None:
        """Say at least that it could not be said, as the real reporter does."""
        status = DeploymentStatus(code=StatusCode.FAILED, description=str(error))
        patch = {
            "lastDesiredVersion": properties["lastDesiredVersion"],
            "lastDesiredStatus": status.to_wire(),
        }
        log.error("edgeAgent's report breaks a limit of twins", extra={"reason": str(error)})
        try:
            self._link.patch_reported(self._module, patch)
        except (UpstreamOfflineError, HubRequestError):
            log.warning("edgeAgent's error report could not be sent")
