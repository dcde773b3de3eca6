"""One IoT Edge device of the local world: its edgeHub, its edgeAgent and its line to the hub."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from taktgate.standin.azure.certificates import CertificateAuthority
from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.edgeagent.agent import OWN_MODULE, EdgeAgent, EdgeAgentSettings
from taktgate.standin.azure.edgeagent.mounts import volume_directory
from taktgate.standin.azure.edgeagent.workload import (
    API_VERSION,
    WorkloadApi,
    WorkloadSettings,
)
from taktgate.standin.azure.edgeagent.workload_crypto import CertificateIssuer
from taktgate.standin.azure.edgehub.hub import EdgeHub
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.quirks import QuirkBoard

MAX_SOCKET_PATH = 100
METRICS_PORT = EdgeHubSettings().metrics_port


@dataclass(frozen=True, slots=True, kw_only=True)
class DevicePlace:
    """Where a device is on this machine."""

    gateway: str
    hub_hostname: str
    socket_directory: Path
    tls: ssl.SSLContext
    trust_bundle: str
    issuer: CertificateIssuer | None = None
    """Makes the certificates that modules ask for."""


class LocalDevice:
    """A device that runs; made by `LocalCloud.add_device`."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        place: DevicePlace,
        agent: EdgeAgentSettings,
        edgehub: EdgeHubSettings | None,
        clock: Clock | None = None,
        agent_quirks: QuirkBoard | None = None,
    ) -> None:
        self.name = link.device
        self.link = link
        self.directory = agent.directory
        self.place = place
        self._volumes = agent.volumes
        self._workloads: dict[str, WorkloadApi] = {}
        self.edgehub = EdgeHub(
            link=link,
            hub_hostname=place.hub_hostname,
            address=place.gateway,
            tls=place.tls,
            settings=edgehub,
            clock=clock,
            store_file=agent.directory / "edgehub.db",
        )
        self.edgeagent = EdgeAgent(
            link=link,
            identities=self,
            settings=agent,
            clock=clock,
            quirks=agent_quirks,
            hub_hostname=place.hub_hostname,
        )
        link.method_target = self

    async def start(self) -> None:
        """Start edgeHub, then edgeAgent.

        Raises:
            PortInUseError: edgeHub's port is taken.
            EngineUnreachableError: Modules are to be containers and no engine answers.
        """
        await self.edgehub.start()
        try:
            await self.edgeagent.start()
        except BaseException:
            await self.edgehub.stop()
            raise

    async def stop(self) -> None:
        """End the modules, then edgeHub."""
        await self.edgeagent.stop()
        await self.edgehub.stop()
        for module in list(self._workloads):
            await self.close(module)
        self.link.method_target = None

    async def cut_power(self) -> None:
        """End everything on the device at once and without a word, as the mains do.

        The modules die by SIGKILL, all within the same moment; edgeHub keeps what it gave receipts
        for. The hub only sees that the line is gone. Disks are left as the processes left them: the
        kernel of this machine goes on.
        """
        self.link.set_online(False)
        for victim in list(self.edgeagent.modules.values()):
            await victim.kill()
        await self.edgehub.kill()
        await self.edgeagent.stop()
        for module in list(self._workloads):
            await self.close(module)

    async def restore_power(self) -> None:
        """Start the device again, from its disks.

        Raises:
            PortInUseError: edgeHub's port was taken meanwhile.
            EngineUnreachableError: Modules are to be containers and no engine answers.
        """
        self.link.set_online(True)
        await self.start()

    def set_online(self, online: bool) -> None:
        """Cut or mend the device's line to the hub."""
        self.link.set_online(online)

    async def serve_with(self, authority: CertificateAuthority) -> None:
        """Give edgeHub a certificate of *authority* and start it anew, as after a change of the CA.

        A module that starts from now on is given the new trust bundle; one that runs keeps its own.

        Raises:
            PortInUseError: edgeHub's port was taken meanwhile.
        """
        tls = authority.server_context(self.name, self.host_names)
        self.place = replace(
            self.place, tls=tls, trust_bundle=authority.trust_bundle, issuer=authority
        )
        await self.edgehub.stop()
        self.edgehub.change_certificate(tls)
        await self.edgehub.start()

    @property
    def host_names(self) -> list[str]:
        """The names by which modules may reach edgeHub."""
        return [self.place.gateway, "edgeHub", self.name]

    @property
    def metrics_url(self) -> str | None:
        """Where edgeHub serves its metrics, or None if it does not (`edgehub.metrics_refusal`)."""
        if self.edgehub.metrics_refusal is not None:
            return None
        return f"http://{self.place.gateway}:{METRICS_PORT}/metrics"

    @property
    def workload_sockets(self) -> Mapping[str, Path]:
        """The workload API's sockets that are open, by module."""
        return {module: self._socket_path(module) for module in self._workloads}

    def module_twin(self, module: str) -> JsonObject:
        """Return a module's twin as the device sees it: `{"desired", "reported"}`."""
        return self.edgehub.twins.document(module)

    def volume(self, name: str) -> Path:
        """Return the directory that stands in for a named volume or host path."""
        return self._volumes.get(name) or volume_directory(self.directory, name)

    def log_file(self, module: str) -> Path:
        """Return the file with a module's output."""
        return self.directory / "logs" / f"{module}.log"

    async def environment(self, module: str) -> dict[str, str]:
        """Open a module's workload API and return its IOTEDGE_* variables.

        Raises:
            ManifestError: The unix socket's path would be too long.
        """
        self.link.ensure_module(module)
        workload = self._workloads.get(module)
        if workload is None:
            workload = self._workloads[module] = self._new_workload(module)
            await workload.start()
        return {
            "IOTEDGE_WORKLOADURI": workload.uri,
            "IOTEDGE_GATEWAYHOSTNAME": self.place.gateway,
            "IOTEDGE_IOTHUBHOSTNAME": self.place.hub_hostname,
            "IOTEDGE_DEVICEID": self.name,
            "IOTEDGE_MODULEID": module,
            "IOTEDGE_MODULEGENERATIONID": self.link.generation_id(module),
            "IOTEDGE_APIVERSION": API_VERSION,
            "IOTEDGE_AUTHSCHEME": "sasToken",
        }

    async def close(self, module: str) -> None:
        """Close a module's workload API."""
        workload = self._workloads.pop(module, None)
        if workload is not None:
            await workload.stop()

    def release(self, module: str) -> None:
        """Give a module's identity back to the hub."""
        self.link.release_module(module)

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call a direct method of a module or of edgeAgent.

        Raises:
            HubRequestError: The module is away or too slow.
        """
        if module == OWN_MODULE:
            return await self.edgeagent.invoke(call.name, call.payload)
        return await self.edgehub.invoke(module, call)

    def _new_workload(self, module: str) -> WorkloadApi:
        key = self.link.module_key(module)
        assert key is not None
        path = self._socket_path(module)
        if len(str(path)) > MAX_SOCKET_PATH:
            raise ManifestError(f"socket path {path}; rule: at most {MAX_SOCKET_PATH} characters")
        place = self.place
        return WorkloadApi(
            WorkloadSettings(
                socket_path=path,
                module=module,
                uri=f"azureiot://{place.hub_hostname}/devices/{self.name}/modules/{module}",
                key=key,
                trust_bundle=lambda: self.place.trust_bundle,
                issuer=place.issuer,
            )
        )

    def _socket_path(self, module: str) -> Path:
        return self.place.socket_directory / f"{self.name}.{module}"
