"""edgeHub of one device: what listens, what outlives a restart, and `$edgeHub`'s configuration."""

import logging
import ssl
from collections.abc import Mapping
from pathlib import Path

from taktgate.standin.azure.clock import Clock, WorldClock
from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.edgehub.authentication import Authenticator
from taktgate.standin.azure.edgehub.config import EdgeHubConfig, config_report, parse_config
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.edgehub.method_server import MethodServer
from taktgate.standin.azure.edgehub.metrics_server import MetricsServer
from taktgate.standin.azure.edgehub.requests import OWN_MODULE
from taktgate.standin.azure.edgehub.router import NO_CONFIG
from taktgate.standin.azure.edgehub.run import EdgeHubRun
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings, with_environment
from taktgate.standin.azure.edgehub.twins import TwinPeriods, TwinStore
from taktgate.standin.azure.errors import ManifestError, RouteSyntaxError
from taktgate.standin.azure.http_serving import as_port_in_use
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt.connection import MQTT_PORT, Connection
from taktgate.standin.azure.mqtt.tls import TlsServer
from taktgate.standin.azure.quirks import QuirkBoard, System

log = logging.getLogger(__name__)

EDGE_AGENT = "$edgeAgent"


class EdgeHub:
    """One device's edgeHub. `stop` and `start` act as on its container: the store survives."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        hub_hostname: str,
        address: str,
        tls: ssl.SSLContext | None,
        settings: EdgeHubSettings | None = None,
        store_file: Path | None = None,
        clock: Clock | None = None,
        quirks: QuirkBoard | None = None,
    ) -> None:
        """Prepare an edgeHub.

        Args:
            link: The device's line to the hub.
            hub_hostname: The hub's name in tokens and user names.
            address: The gateway address, on which modules find it.
            tls: Its certificate; without one nothing listens, and connections come by
                `new_connection` only.
            settings: Its figures; `systemModules.edgeHub.env` of the deployment goes before them.
            store_file: Its database; without one it is in memory and survives `stop` only.
            clock: The world's time, for all that does not guard a socket.
            quirks: What goes wrong; a board of its own if not given.
        """
        self._link = link
        self._hub_hostname = hub_hostname
        self._address = address
        self._tls = tls
        self._settings = settings or EdgeHubSettings()
        self._clock = clock or WorldClock()
        self.quirks = quirks or QuirkBoard(System.EDGEHUB)
        self._database = Database(store_file)
        self._server: TlsServer | None = None
        self._periods = TwinPeriods(pull_s=self._pull_period_s)
        self.twins = TwinStore(
            link,
            self._relay_desired,
            database=self._database,
            clock=self._clock,
            periods=self._periods,
        )
        self._run = self._new_run()
        self._is_running = False
        authenticator = Authenticator(
            device=link.device, hub_hostname=hub_hostname, module_key=link.module_key
        )
        self._method_server = MethodServer(device=link.device, authenticator=authenticator)
        self._metrics_server = MetricsServer(lambda: self._run.metrics.exposition())
        link.on_online(self._on_online)

    @property
    def device(self) -> str:
        """The device's id."""
        return self._link.device

    @property
    def is_running(self) -> bool:
        """Tell whether edgeHub runs."""
        return self._is_running

    @property
    def methods_refusal(self) -> str | None:
        """Return why port 443 serves no methods between modules, or None if it does."""
        return self._method_server.refusal

    @property
    def metrics_refusal(self) -> str | None:
        """Return why port 9600 serves no metrics, or None if it does."""
        return self._metrics_server.refusal

    @property
    def config(self) -> EdgeHubConfig:
        """The configuration by which messages are routed."""
        return self._run.router.config

    @property
    def connected_modules(self) -> frozenset[str]:
        """The modules that are connected now."""
        return self._run.clients.connected

    @property
    def queue_lengths(self) -> Mapping[str, int]:
        """The messages that wait, by endpoint: a module's name or `$upstream`."""
        return self._run.queue_lengths

    async def start(self) -> None:
        """Listen for modules.

        Raises:
            PortInUseError: Another program listens on 8883 of the gateway address.
        """
        if self._is_running:
            return
        self._run = self._new_run()
        self._is_running = True
        self._link.set_here(OWN_MODULE, True)
        self._apply_config()
        if self._tls is not None:
            try:
                await self._listen(self._tls)
            except BaseException:
                await self.stop()
                raise
        self._run.start()
        log.info("edgeHub runs", extra={"device": self.device, "address": self._address})

    async def stop(self) -> None:
        """Stop to listen and drop every connection, as a stopped container does."""
        if self._is_running:
            await self._end_listening()
            await self._run.stop()
            self._is_running = False
            self._link.set_here(OWN_MODULE, False)
            self._database.close()
            log.info("edgeHub stopped", extra={"device": self.device})

    async def kill(self) -> None:
        """End as a process that is killed: what no receipt was given for may be lost."""
        if self._is_running:
            await self._run.kill()
            await self._end_listening()
            self._is_running = False
            self._link.set_here(OWN_MODULE, False)
            self._database.abandon()

    def change_certificate(self, tls: ssl.SSLContext) -> None:
        """Serve with another certificate from the next start on, as after a change of the CA."""
        self._tls = tls

    def drop_connection(self, module: str) -> bool:
        """Cut a module's connection; return whether it had one."""
        return self._run.clients.drop(module)

    def expire_sas(self, module: str) -> bool:
        """End a module's connection as the end of its token does; return whether it had one."""
        log.warning("connection ends with its token", extra={"module_name": module})
        return self._run.clients.drop(module)

    def new_connection(self) -> Connection:
        """Return a connection for a transport that did not come by a port."""
        return self._run.clients.new_connection()

    def session(self, module: str) -> ModuleSession:
        """Return the session of *module*, a new one if it was never heard of."""
        return self._run.session(module)

    def metrics_text(self) -> str:
        """Return what `:9600/metrics` serves."""
        return self._run.metrics.exposition().decode()

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call a module's direct method.

        Raises:
            HubRequestError: The module is away or too slow.
        """
        return await self._run.methods.invoke(module, call)

    def _new_run(self) -> EdgeHubRun:
        settings = self._settings_of_deployment()
        self._periods.push_s = settings.reported_sync_period_s
        return EdgeHubRun(
            link=self._link,
            hub_hostname=self._hub_hostname,
            settings=settings,
            clock=self._clock,
            quirks=self.quirks,
            database=self._database,
            twins=self.twins,
        )

    async def _listen(self, tls: ssl.SSLContext) -> None:
        settings = self._run.settings
        try:
            self._server = TlsServer(
                tls, self.new_connection, handshake_timeout_s=settings.connect_timeout_s
            )
            await self._server.start(self._address, MQTT_PORT)
        except OSError as error:
            rule = "modules reach edgeHub on 8883 of their gateway; the SDK fixes the number"
            raise as_port_in_use(error, self._address, MQTT_PORT, rule) from error
        await self._method_server.start(self._address, tls, self._run.call_from_module)
        if settings.metrics_enabled:
            await self._metrics_server.start(self._address, settings.metrics_port)

    async def _end_listening(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.stop()
        self._run.clients.stop()
        await self._method_server.stop()
        await self._metrics_server.stop()

    def _settings_of_deployment(self) -> EdgeHubSettings:
        desired = self.twins.document(EDGE_AGENT)["desired"]
        own = _dict(_dict(desired.get("systemModules")).get("edgeHub"))
        variables = {
            name: str(_dict(entry).get("value", ""))
            for name, entry in _dict(own.get("env")).items()
        }
        try:
            return with_environment(self._settings, variables)
        except ManifestError as error:
            log.error("edgeHub's environment refused", extra={"reason": str(error)})
            return self._settings

    def _pull_period_s(self) -> float:
        return max(
            self.quirks.seconds("twin-sync-period"), self._run.settings.min_twin_sync_period_s
        )

    def _relay_desired(self, module: str, patch: JsonObject, version: int) -> None:
        if not self._is_running:
            return
        if module == OWN_MODULE:
            self._apply_config()
        else:
            self._run.requests.relay_desired(self._run.session(module), patch, version)

    def _on_online(self, online: bool) -> None:
        self._run.metrics.line_changed(is_online=online)
        if online and self._is_running and self._run.router.config is NO_CONFIG:
            self._apply_config()

    def _apply_config(self) -> None:
        """Read `$edgeHub`'s desired properties; a wrong configuration changes nothing."""
        document = self.twins.document(OWN_MODULE)["desired"]
        version = document.pop("$version", 0)
        if not document:
            return
        refusal: Exception | None = None
        try:
            self._run.router.apply(parse_config(document))
        except (ManifestError, RouteSyntaxError, StoreFullError) as error:
            refusal = error
            log.error("edgeHub configuration refused", extra={"reason": str(error)})
        self.twins.patch_reported(OWN_MODULE, config_report(document, version, refusal))


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
