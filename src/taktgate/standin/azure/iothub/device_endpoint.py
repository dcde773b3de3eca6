"""IoT Hub's MQTT endpoint for devices and modules: who connects, and which session is theirs.

Rules of learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub. The port is fixed there and in
the SDKs, so a hub's MQTT endpoint needs an address of its own.
"""

import contextlib
import logging
import ssl
from collections.abc import Iterable

from taktgate.standin.azure import sas
from taktgate.standin.azure.errors import HubRequestError, MqttProtocolError
from taktgate.standin.azure.http_serving import as_port_in_use
from taktgate.standin.azure.iothub.device_endpoint_requests import ClientRequests
from taktgate.standin.azure.iothub.device_endpoint_session import ClientSession
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.connection import CONNECT_TIMEOUT_S, MQTT_PORT, Connection
from taktgate.standin.azure.mqtt.tls import TlsServer

log = logging.getLogger(__name__)

MAX_SILENCE_S = 1767.0
"""The load balancer's limit: a client's keep-alive counts 1.5 times, up to this."""


class DeviceEndpoint:
    """Devices and modules connect here, by a SAS token for their identity; one connection each."""

    def __init__(
        self,
        hub: IotHub,
        *,
        address: str,
        hostnames: Iterable[str],
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
    ) -> None:
        """Prepare the endpoint.

        Args:
            hub: Knows the identities and their twins.
            address: The loopback address to listen on.
            hostnames: The hub's names. A client names one of them as its user and signs for it: by
                the SDK that is the `HostName` of its connection string, which it also connects to.
            connect_timeout_s: The wall's seconds that a connection may take to say who it is.
        """
        self._hub = hub
        self._address = address
        self._hostnames = frozenset(name.lower() for name in hostnames)
        self._connect_timeout_s = connect_timeout_s
        self._requests = ClientRequests(hub)
        self._sessions: dict[str, ClientSession] = {}
        self._server: TlsServer | None = None

    @property
    def address(self) -> str:
        """The address to connect to, on port 8883."""
        return self._address

    @property
    def connected(self) -> frozenset[str]:
        """The client ids that are connected now: `device` or `device/module`."""
        return frozenset(name for name, each in self._sessions.items() if each.connection)

    async def start(self, tls: ssl.SSLContext) -> None:
        """Listen for devices.

        Raises:
            PortInUseError: Another program listens on 8883 of the hub's address.
        """
        server = TlsServer(tls, self._new_connection, handshake_timeout_s=self._connect_timeout_s)
        try:
            await server.start(self._address, MQTT_PORT)
        except OSError as error:
            rule = "devices reach IoT Hub on 8883 of its address; the SDK fixes the number"
            raise as_port_in_use(error, self._address, MQTT_PORT, rule) from error
        self._server = server

    async def stop(self) -> None:
        """Stop to listen and cut what is open."""
        if self._server is not None:
            server, self._server = self._server, None
            await server.stop()

    def opened(self, connection: Connection) -> None:
        """Take note of a new connection; the server keeps them."""

    def connect(self, connection: Connection, packet: codec.Connect) -> str | None:
        """Check who connects; return the client id, or None when refused."""
        try:
            session, expiry_s = self._authenticated(packet)
        except (sas.SasRefusedError, HubRequestError) as error:
            log.warning(
                "connection refused", extra={"client_id": packet.client_id, "reason": str(error)}
            )
            connection.send(codec.ConnAck(code=codec.UNAUTHORIZED))
            return None
        link = self._hub.link(session.device)
        if not link.is_online:
            connection.drop()
            return None
        is_known = session.is_known and not packet.clean_session
        session.attach(connection, link, clean=packet.clean_session, expiry_s=expiry_s)
        self._hub.set_connected(session.device, session.module or None, True)
        connection.send(codec.ConnAck(code=codec.ACCEPTED, session_present=is_known))
        return packet.client_id

    def packet(self, connection: Connection, client_id: str, packet: codec.Packet) -> None:
        """Act on a packet of a connected client.

        Raises:
            MqttProtocolError: A client must not send this; its connection is closed.
        """
        session = self._sessions[client_id]
        if session.connection is not connection:
            return
        match packet:
            case codec.Publish():
                self._requests.act_on(session, packet)
                if packet.qos:
                    connection.send(codec.PubAck(packet_id=packet.packet_id))
            case codec.PubAck():
                pass  # twin and method messages are not sent again
            case codec.Subscribe():
                connection.send(session.subscribe(packet))
            case codec.Unsubscribe():
                connection.send(session.unsubscribe(packet))
            case _:
                raise MqttProtocolError(f"a client must not send {type(packet).__name__}")

    def lost(self, connection: Connection, client_id: str | None) -> None:
        """Forget a connection."""
        if client_id is None:
            return
        session = self._sessions[client_id]
        session.detach(connection)
        if session.connection is None:
            with contextlib.suppress(HubRequestError):  # it may have been deleted
                self._hub.set_connected(session.device, session.module or None, False)

    def _new_connection(self) -> Connection:
        return Connection(self, self._connect_timeout_s, max_silence_s=MAX_SILENCE_S)

    def _authenticated(self, packet: codec.Connect) -> tuple[ClientSession, float]:
        """Return the session of who connects, and when its token expires (seconds of the epoch)."""
        device, _, module = packet.client_id.partition("/")
        key = self._hub.module_key(device, module)
        if key is None or self._hub.identity(device).status != "enabled":
            raise sas.SasRefusedError("no such device or module, or it is disabled")
        host, _, rest = (packet.username or "").partition("/")
        if host.lower() not in self._hostnames or not rest.startswith(f"{packet.client_id}/"):
            raise sas.SasRefusedError("user name is not {hub}/{client id}/?api-version=...")
        resource = f"{host}/devices/{device}" + (f"/modules/{module}" if module else "")
        token = sas.parse(packet.password or "")
        sas.check(token, resource=resource, key=key)
        session = self._sessions.setdefault(
            packet.client_id, ClientSession(device=device, module=module)
        )
        return session, float(token.expiry_s)
