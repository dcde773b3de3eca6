"""edgeHub of one device: authentication, routing, twins and methods for its modules."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from taktgate.standin.azure import sas
from taktgate.standin.azure.clock import Clock, WorldClock
from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.edgehub.config import EdgeHubConfig, parse_config
from taktgate.standin.azure.edgehub.method_server import MethodServer
from taktgate.standin.azure.edgehub.methods import MethodCalls
from taktgate.standin.azure.edgehub.queue import MessageQueue
from taktgate.standin.azure.edgehub.requests import ModuleRequests
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.edgehub.twins import TwinStore
from taktgate.standin.azure.edgehub.upstream import UpstreamQueue
from taktgate.standin.azure.errors import ManifestError, MqttProtocolError, RouteSyntaxError
from taktgate.standin.azure.http_serving import as_port_in_use
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.connection import Connection
from taktgate.standin.azure.quirks import QuirkBoard, System

log = logging.getLogger(__name__)

MQTT_PORT = 8883
OWN_MODULE = "$edgeHub"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeHubSettings:
    """Limits of one edgeHub; the defaults are edgeHub's own where it has them."""

    ack_timeout_s: float = 30.0
    connect_timeout_s: float = 60.0
    queue_capacity: int = 10_000


class EdgeHub:
    """One device's edgeHub. `stop` and `start` act as on its container: the store survives."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        hub_hostname: str,
        address: str,
        tls: ssl.SSLContext,
        settings: EdgeHubSettings | None = None,
        clock: Clock | None = None,
        quirks: QuirkBoard | None = None,
    ) -> None:
        self._link = link
        self._hub_hostname = hub_hostname
        self._address = address
        self._tls = tls
        self._settings = settings or EdgeHubSettings()
        self._now = (clock or WorldClock()).now
        self.quirks = quirks or QuirkBoard(System.EDGEHUB)
        self._sessions: dict[str, ModuleSession] = {}
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self.config = EdgeHubConfig()
        self.upstream = UpstreamQueue(link, self._settings.queue_capacity)
        self.methods = MethodCalls(self, link.device)
        self.twins = TwinStore(link, self._relay_desired)
        self._requests = ModuleRequests(self)
        self._method_server = MethodServer(
            device=link.device,
            hub_hostname=hub_hostname,
            methods=self.methods,
            module_key=link.module_key,
        )
        link.on_desired(self._on_desired)
        link.on_online(self._on_online)

    @property
    def device(self) -> str:
        """The device's id."""
        return self._link.device

    @property
    def is_running(self) -> bool:
        """Tell whether edgeHub listens."""
        return self._server is not None

    @property
    def methods_refusal(self) -> str | None:
        """Return why port 443 serves no methods between modules, or None if it does."""
        return self._method_server.refusal

    @property
    def connected_modules(self) -> frozenset[str]:
        """The modules that are connected now."""
        return frozenset(name for name, each in self._sessions.items() if each.is_connected)

    @property
    def queue_lengths(self) -> Mapping[str, int]:
        """The messages that wait, by endpoint: a module's name or `$upstream`."""
        modules = {name: len(each.queue) for name, each in self._sessions.items()}
        return {**modules, "$upstream": len(self.upstream.queue)}

    async def start(self) -> None:
        """Listen for modules.

        Raises:
            PortInUseError: Another program listens on 8883 of the gateway address.
        """
        if self._server is not None:
            return
        self._apply_config()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: Connection(self, self._settings.connect_timeout_s),
                self._address,
                MQTT_PORT,
                ssl=self._tls,
                ssl_handshake_timeout=self._settings.connect_timeout_s,
            )
        except OSError as error:
            rule = "modules reach edgeHub on 8883 of their gateway; the SDK fixes the number"
            raise as_port_in_use(error, self._address, MQTT_PORT, rule) from error
        await self._method_server.start(self._address, self._tls)
        log.info("edgeHub listens", extra={"device": self.device, "address": self._address})

    async def stop(self) -> None:
        """Stop to listen and drop every connection, as a stopped container does."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        for connection in list(self._connections):
            connection.drop()
        await self._method_server.stop()
        await server.wait_closed()
        log.info("edgeHub stopped", extra={"device": self.device})

    def change_certificate(self, tls: ssl.SSLContext) -> None:
        """Serve with another certificate from the next start on, as after a change of the CA."""
        self._tls = tls

    def drop_connection(self, module: str) -> bool:
        """Cut a module's connection; return whether it had one."""
        connection = self.session(module).connection
        if connection is not None:
            connection.drop()
        return connection is not None

    def expire_sas(self, module: str) -> bool:
        """End a module's connection as the end of its token does; return whether it had one."""
        return self.drop_connection(module)

    def session(self, module: str) -> ModuleSession:
        """Return the session of *module*, a new one if it was never heard of."""
        known = self._sessions.get(module)
        if known is None:
            known = self._sessions[module] = ModuleSession(
                device=self.device,
                module=module,
                queue=MessageQueue(self._settings.queue_capacity, self._now),
                ack_timeout_s=self._settings.ack_timeout_s,
            )
        return known

    async def invoke(self, module: str, call: MethodRequest) -> MethodResult:
        """Call a module's direct method.

        Raises:
            HubRequestError: The module is away or too slow.
        """
        return await self.methods.invoke(module, call)

    def opened(self, connection: Connection) -> None:
        """Take note of a new connection."""
        self._connections.add(connection)

    def connect(self, connection: Connection, packet: codec.Connect) -> str | None:
        """Check who connects; return the module's name, or None when refused."""
        try:
            module = self._authenticated(packet)
        except sas.SasRefusedError as error:
            log.warning(
                "connection refused", extra={"client_id": packet.client_id, "reason": str(error)}
            )
            connection.send(codec.ConnAck(code=codec.UNAUTHORIZED))
            return None
        session = self.session(module)
        is_known = session.is_known and not packet.clean_session
        session.attach(connection, clean=packet.clean_session)
        connection.send(codec.ConnAck(code=codec.ACCEPTED, session_present=is_known))
        session.connected()
        return module

    def packet(self, connection: Connection, module: str, packet: codec.Packet) -> None:
        """Act on a packet of a connected module.

        Raises:
            MqttProtocolError: The module must not send this; its connection is closed.
        """
        session = self.session(module)
        if session.connection is not connection:
            return
        match packet:
            case codec.Publish():
                self._requests.act_on(session, packet)
                if packet.qos:
                    connection.send(codec.PubAck(packet_id=packet.packet_id))
            case codec.PubAck(packet_id=packet_id):
                session.acknowledge(packet_id)
            case codec.Subscribe():
                connection.send(self._subscribed(session, packet))
                session.pump()
            case codec.Unsubscribe(packet_id=packet_id, filters=filters):
                for name in filters:
                    session.unsubscribe(name)
                connection.send(codec.UnsubAck(packet_id=packet_id))
            case _:
                raise MqttProtocolError(f"a module must not send {type(packet).__name__}")

    def lost(self, connection: Connection, module: str | None) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if module is not None:
            self.session(module).detach(connection)

    def _subscribed(self, session: ModuleSession, packet: codec.Subscribe) -> codec.SubAck:
        codes = []
        for name, qos in packet.filters:
            is_granted = topics.is_subscribable(name, device=self.device, module=session.module)
            if is_granted:
                session.subscribe(name)
            codes.append(min(qos, 1) if is_granted else codec.SUBSCRIPTION_FAILED)
        return codec.SubAck(packet_id=packet.packet_id, codes=tuple(codes))

    def _authenticated(self, packet: codec.Connect) -> str:
        device, _, module = packet.client_id.partition("/")
        key = self._link.module_key(module) if device == self.device else None
        if key is None:
            raise sas.SasRefusedError("no such module on this device")
        user = f"{self._hub_hostname}/{packet.client_id}/".lower()
        if packet.username is None or not packet.username.lower().startswith(user):
            raise sas.SasRefusedError("user name does not fit the client id")
        resource = f"{self._hub_hostname}/devices/{device}/modules/{module}"
        sas.check(sas.parse(packet.password or ""), resource=resource, key=key)
        return module

    def _relay_desired(self, module: str, patch: JsonObject, version: int) -> None:
        self._requests.relay_desired(self.session(module), patch, version)

    def _on_desired(self, module: str, _patch: JsonObject, _version: int) -> None:
        if module == OWN_MODULE:
            self._apply_config()

    def _on_online(self, online: bool) -> None:
        if online:
            self._apply_config()

    def _apply_config(self) -> None:
        """Read `$edgeHub`'s desired properties; a wrong configuration changes nothing."""
        document = self.twins.document(OWN_MODULE)["desired"]
        version = document.pop("$version", 0)
        if not document:
            return
        code, description = 200, ""
        try:
            self.config = parse_config(document)
        except (ManifestError, RouteSyntaxError) as error:
            code, description = 400, str(error)
            log.error("edgeHub configuration refused", extra={"reason": description})
        self.twins.patch_reported(
            OWN_MODULE,
            {
                "schemaVersion": document.get("schemaVersion"),
                "lastDesiredVersion": version,
                "lastDesiredStatus": {"code": code, "description": description},
            },
        )
