"""A client that speaks MQTT with edgeHub over TLS, byte by byte, right or wrong."""

import socket
import ssl
from typing import TypeVar

from tests.waiting import WITHIN_S

from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.sign_in import sign_in
from taktgate.standin.azure.world.cloud import HUB_HOSTNAME
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "station-1"
P = TypeVar("P", bound=codec.Packet)


class RawClient:
    """An MQTT client that does what it is told, right or wrong."""

    def __init__(self, world: CloudThread, address: str, module: str) -> None:
        context = ssl.create_default_context(cafile=str(world.cloud.ca_file))
        plain = socket.create_connection((address, 8883), WITHIN_S)
        self._socket = context.wrap_socket(plain, server_hostname=address)
        self._decoder = codec.Decoder()
        self._received: list[codec.Packet] = []
        self.module = module

    def send(self, packet: codec.Packet) -> None:
        self._socket.sendall(codec.encode(packet))

    def send_raw(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self, kind: type[P]) -> P:
        packet = self.read_any()
        assert isinstance(packet, kind)
        return packet

    def read_any(self) -> codec.Packet:
        while not self._received:
            data = self._socket.recv(65536)
            assert data, "connection closed"
            self._received += self._decoder.feed(data)
        return self._received.pop(0)

    def is_closed_by_peer(self) -> bool:
        try:
            return self._socket.recv(1) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        self._socket.close()

    def connect(self, key: bytes, *, lifetime_s: int = 60) -> codec.ConnAck:
        client_id = f"{DEVICE}/{self.module}"
        self.send(sign_in(HUB_HOSTNAME, client_id, key=key, lifetime_s=lifetime_s))
        return self.read(codec.ConnAck)


def connected_for_moments(world: CloudThread, address: str, module: str, key: bytes) -> RawClient:
    """Return a client that is connected and whose token soon ends, however long signing in took."""
    lifetime_s = 1
    while True:
        client = RawClient(world, address, module)
        if client.connect(key, lifetime_s=lifetime_s).code == codec.ACCEPTED:
            return client
        client.close()
        lifetime_s += 1


def key_of(device: LocalDevice, module: str) -> bytes:
    key = device.link.module_key(module)
    assert key is not None
    return key
