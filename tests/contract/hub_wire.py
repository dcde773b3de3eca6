"""A client that speaks MQTT with IoT Hub itself over TLS, right or wrong."""

import socket
import ssl
from dataclasses import replace

from tests.waiting import WITHIN_S

from taktgate.standin.azure import sas
from taktgate.standin.azure.device_link import ITSELF
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.connection import MQTT_PORT
from taktgate.standin.azure.mqtt.sign_in import sign_in
from taktgate.standin.azure.world.cloud_thread import CloudThread

DEVICE, MODULE = "meter-1", "reader"
TIMEOUT_S = WITHIN_S


def with_clients(world: CloudThread) -> CloudThread:
    """Let a device and a module of it be known to the hub."""
    world.call(world.cloud.hub.put_device, DEVICE, {})
    world.call(world.cloud.hub.put_module, DEVICE, MODULE, {})
    return world


class Peer:
    """A client that says what it likes, over real TLS."""

    def __init__(self, world: CloudThread) -> None:
        context = ssl.create_default_context(cafile=str(world.cloud.ca_file))
        address = world.cloud.device_endpoint.address
        self._plain = socket.create_connection((address, MQTT_PORT), timeout=TIMEOUT_S)
        self._tls = context.wrap_socket(self._plain, server_hostname=address)
        self._decoder = codec.Decoder()
        self._received: list[codec.Packet] = []

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._tls.close()

    def send(self, *packets: codec.Packet | bytes) -> None:
        for packet in packets:
            self._tls.sendall(packet if isinstance(packet, bytes) else codec.encode(packet))

    def receive(self) -> codec.Packet | None:
        """Return the next packet, None at the connection's end."""
        while not self._received:
            try:
                data = self._tls.recv(65536)
            except (ConnectionError, ssl.SSLError):
                data = b""
            if not data:
                return None
            self._received += self._decoder.feed(data)
        return self._received.pop(0)


def raw_client(
    world: CloudThread,
    *,
    device: str = DEVICE,
    key: bytes | None = None,
    hostname: str | None = None,
    resource: str | None = None,
    lifetime_s: int = 60,
    clean: bool = True,
) -> Peer:
    """Return a client that has sent CONNECT."""
    host = hostname or world.cloud.device_endpoint.address
    key = key or world.cloud.hub.module_key(device, ITSELF)
    assert key is not None
    peer = Peer(world)
    connect = replace(sign_in(host, device, key=key, lifetime_s=lifetime_s), clean_session=clean)
    if resource is not None:
        connect = replace(connect, password=sas.make(resource, key=key, lifetime_s=lifetime_s))
    peer.send(connect)
    return peer


def connected_for_moments(world: CloudThread) -> Peer:
    """Return a client that is connected and whose token soon ends, however long signing in took."""
    lifetime_s = 1
    while True:
        peer = raw_client(world, lifetime_s=lifetime_s)
        if peer.receive() == codec.ConnAck(code=codec.ACCEPTED, session_present=False):
            return peer
        peer.close()
        lifetime_s += 1
