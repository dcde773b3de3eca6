"""The modules' connections: who is let in, what is done with each packet, who has to leave."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from taktgate.standin.azure import sas
from taktgate.standin.azure.clock import Clock, Timer
from taktgate.standin.azure.edgehub.authentication import Authenticator, Credentials
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.edgehub.message_store import Receipt
from taktgate.standin.azure.edgehub.metrics import EdgeHubMetrics
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.errors import MqttProtocolError
from taktgate.standin.azure.mqtt import codec, topics
from taktgate.standin.azure.mqtt.connection import Connection
from taktgate.standin.azure.quirks import QuirkBoard

log = logging.getLogger(__name__)

NOT_AUTHENTICATED = "not_authenticated"
TOO_MANY_CLIENTS = "too_many_clients"
STORE_FULL = "store_full"


class Requests(Protocol):
    """Acts on what modules publish."""

    def act_on(self, session: ModuleSession, packet: codec.Publish, receipt: Receipt) -> None:
        """Do what *packet* asks for, then tell *receipt*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _PubAckOnceStored:
    """Acknowledges a module's message; one that cannot be stored costs it the connection."""

    packet_id: int
    connection: Connection
    quirks: QuirkBoard

    def stored(self) -> None:
        if not self.packet_id or self.quirks.strikes("withhold-puback"):
            return
        _send_late(
            self.connection,
            codec.PubAck(packet_id=self.packet_id),
            self.quirks.seconds("delay-puback"),
        )

    def refused(self, _error: StoreFullError) -> None:
        self.connection.drop()


@dataclass(slots=True, kw_only=True)
class Clients:
    """All connections of one run of edgeHub; the handler of their packets."""

    device: str
    settings: EdgeHubSettings
    authenticator: Authenticator
    session: Callable[[str], ModuleSession]
    requests: Requests
    metrics: EdgeHubMetrics
    quirks: QuirkBoard
    clock: Clock
    on_presence: Callable[[str, bool], object]
    """Called with a module and whether it is connected."""
    _connections: set[Connection] = field(default_factory=set)
    _credentials: dict[str, tuple[Connection, Credentials]] = field(default_factory=dict)
    _timer: Timer | None = None

    @property
    def connected(self) -> frozenset[str]:
        """The modules that are connected now."""
        return frozenset(self._credentials)

    def start(self) -> None:
        """Check tokens again from time to time."""
        self._timer = self.clock.call_later(
            self.settings.token_check_period_s, self._check_tokens_again
        )

    def stop(self) -> None:
        """Drop every connection."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._connections):
            connection.drop()

    def new_connection(self) -> Connection:
        """Return a connection whose module has not said who it is."""
        return Connection(
            self,
            self.settings.connect_timeout_s,
            max_silence_s=self.settings.max_silence_s,
            max_packet_bytes=self.settings.max_message_bytes,
        )

    def drop(self, module: str) -> bool:
        """Cut a module's connection; return whether it had one."""
        held = self._credentials.get(module)
        if held is None:
            return False
        held[0].drop()
        return True

    def opened(self, connection: Connection) -> None:
        """Take note of a new connection."""
        self._connections.add(connection)

    def connect(self, connection: Connection, packet: codec.Connect) -> str | None:
        """Let a module in, or answer why not; return its name, or None."""
        try:
            if self.quirks.strikes("refuse-sas"):
                raise sas.SasRefusedError("quirk refuse-sas")
            credentials = self.authenticator.authenticate(packet)
        except sas.SasRefusedError as error:
            self._refuse(connection, packet, codec.UNAUTHORIZED, NOT_AUTHENTICATED, str(error))
            return None
        module = credentials.module
        if module not in self._credentials and self._is_crowded():
            reason = f"{self.settings.max_connected_clients} clients are connected"
            self._refuse(connection, packet, codec.UNAVAILABLE, TOO_MANY_CLIENTS, reason)
            return None
        session = self.session(module)
        is_known = session.is_known and not packet.clean_session
        try:
            session.attach(connection, clean=packet.clean_session)
        except StoreFullError as error:
            self._refuse(connection, packet, codec.UNAVAILABLE, STORE_FULL, str(error))
            return None
        self._credentials[module] = (connection, credentials)
        self.metrics.connected(module)
        connection.send(codec.ConnAck(code=codec.ACCEPTED, session_present=is_known))
        session.connected()
        self.on_presence(module, True)
        return module

    def packet(self, connection: Connection, module: str, packet: codec.Packet) -> None:
        """Act on a packet of a connected module.

        Raises:
            MqttProtocolError: The module must not send this; its connection is closed.
        """
        session = self.session(module)
        if session.connection is not connection:
            return
        try:
            self._act_on(session, connection, packet)
        except StoreFullError as error:
            log.error(
                "edgeHub's store is full", extra={"module_name": module, "reason": str(error)}
            )
            connection.drop()

    def lost(self, connection: Connection, module: str | None) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        if module is None:
            return
        session = self.session(module)
        session.detach(connection)
        self.on_presence(module, session.is_connected)
        self.metrics.disconnected(module)
        if self._credentials.get(module, (None,))[0] is connection:
            del self._credentials[module]

    def _act_on(self, session: ModuleSession, connection: Connection, packet: codec.Packet) -> None:
        match packet:
            case codec.Publish(packet_id=packet_id):
                receipt = _PubAckOnceStored(
                    packet_id=packet_id, connection=connection, quirks=self.quirks
                )
                self.requests.act_on(session, packet, receipt)
            case codec.PubAck(packet_id=packet_id):
                session.acknowledge(packet_id)
            case codec.Subscribe():
                self._subscribe(session, connection, packet)
            case codec.Unsubscribe(packet_id=packet_id, filters=filters):
                for name in filters:
                    session.unsubscribe(name)
                connection.send(codec.UnsubAck(packet_id=packet_id))
            case _:
                raise MqttProtocolError(f"a module must not send {type(packet).__name__}")

    def _subscribe(
        self, session: ModuleSession, connection: Connection, packet: codec.Subscribe
    ) -> None:
        if self.quirks.strikes("withhold-suback"):
            return
        codes = []
        granted = []
        for name, qos in packet.filters:
            is_granted = topics.is_subscribable(name, device=self.device, module=session.module)
            granted += [name] if is_granted else []
            codes.append(min(qos, 1) if is_granted else codec.SUBSCRIPTION_FAILED)
        _send_late(
            connection,
            codec.SubAck(packet_id=packet.packet_id, codes=tuple(codes)),
            self.quirks.seconds("delay-suback"),
        )
        for name in granted:
            session.subscribe(name)

    def _is_crowded(self) -> bool:
        return len(self._credentials) >= self.settings.max_connected_clients

    def _refuse(
        self, connection: Connection, packet: codec.Connect, code: int, kind: str, reason: str
    ) -> None:
        extra = {"client_id": packet.client_id, "reason": reason}
        log.warning("connection refused", extra=extra)
        self.metrics.connect_failed(packet.client_id, kind)
        connection.send(codec.ConnAck(code=code))

    def _check_tokens_again(self) -> None:
        for module, (connection, credentials) in list(self._credentials.items()):
            try:
                self.authenticator.check(credentials)
            except sas.SasRefusedError as error:
                extra = {"module_name": module, "reason": str(error)}
                log.warning("connection ends with its token", extra=extra)
                connection.drop()
        self.start()


def _send_late(connection: Connection, packet: codec.Packet, delay_s: float) -> None:
    """Send a packet now, or as much later as a quirk says: on the wall's clock, as the client."""
    if delay_s:
        asyncio.get_running_loop().call_later(delay_s, connection.send, packet)
    else:
        connection.send(packet)
