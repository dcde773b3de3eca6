"""MQTT: damaged packet streams, by the decoder alone and by a real edgeHub's connection.

edgeHub is one of a local cloud; its connections are made without sockets, on a transport that only
remembers. Another module stays connected all the time and must not notice anything.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from fuzzers.campaign import BrokenPromiseError
from fuzzers.mqtt_streams import BYSTANDER, DEVICE, FUZZED, MqttCase, make_case
from fuzzers.mutation import smaller_sequences
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.errors import MqttProtocolError
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.sign_in import sign_in
from taktgate.standin.azure.world.cloud import HUB_HOSTNAME, LocalCloud

ROUTES = {
    "to-b": 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/in")',
    "up": "FROM /messages/modules/a/outputs/up WHERE kind = 'x' INTO $upstream",
}


class MemoryTransport(asyncio.Transport):
    """A transport that keeps what is written and does nothing."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written: list[bytes] = []
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep *data*."""
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        """Tell whether it was closed or aborted."""
        return self._is_closing

    def close(self) -> None:
        """Be closed from now on."""
        self._is_closing = True

    def abort(self) -> None:
        """Be closed from now on."""
        self._is_closing = True

    def get_write_buffer_size(self) -> int:
        """Say that all has left."""
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no limits."""

    def pause_reading(self) -> None:
        """Go on: nothing is read here."""

    def resume_reading(self) -> None:
        """Go on: nothing is read here."""


class Client:
    """One connection to edgeHub without a socket."""

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._transport = MemoryTransport()
        self._decoder = codec.Decoder()
        protocol.connection_made(self._transport)

    @property
    def is_closed(self) -> bool:
        """Tell whether edgeHub has ended the connection."""
        return self._transport.is_closing()

    def send(self, *chunks: bytes) -> None:
        """Hand over *chunks* until the connection is closed, as asyncio does."""
        for chunk in chunks:
            if not self.is_closed:
                self._protocol.data_received(chunk)

    def read(self) -> list[codec.Packet]:
        """Return the packets that edgeHub has written."""
        written, self._transport.written = self._transport.written, []
        try:
            return self._decoder.feed(b"".join(written))
        except MqttProtocolError as error:
            raise BrokenPromiseError(f"edgeHub writes MQTT; {error}") from error

    def lose(self) -> None:
        """End the connection."""
        self._transport.close()
        self._protocol.connection_lost(None)


class LogCounter(logging.Handler):
    """Counts warnings, and keeps them from the screen."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count *record*."""
        self.count += 1


class MqttTarget:
    """Feeds the decoder and edgeHub."""

    name = "mqtt"

    def __init__(self, factory: Any, connects: dict[str, bytes], warnings: LogCounter) -> None:
        self._factory = factory
        self._connects = connects
        self._warnings = warnings
        self._bystander = self._connected(BYSTANDER)
        inputs = f"devices/{DEVICE}/modules/{BYSTANDER}/inputs/#"
        subscribe = codec.Subscribe(packet_id=1, filters=((inputs, 1),))
        self._bystander.send(codec.encode(subscribe))

    def make(self, random: Random) -> MqttCase:
        """Return a stream of packets, damaged or not, in random pieces."""
        return make_case(random)

    async def check(self, case: MqttCase) -> None:
        """Feed *case* to a decoder and to a new connection."""
        _check_decoder(case.chunks)
        self._warnings.count = 0
        client = self._connected(FUZZED) if case.signed_in else Client(self._factory())
        try:
            client.send(*case.chunks)
            client.read()
        finally:
            client.lose()
        await asyncio.sleep(0)
        if self._warnings.count > _packets_in(b"".join(case.chunks)):
            raise BrokenPromiseError(f"a bad packet is logged once; {self._warnings.count} times")
        self._check_bystander()

    def smaller(self, case: MqttCase) -> Iterable[MqttCase]:
        """Return cases in one piece, then with fewer bytes."""
        if len(case.chunks) > 1:
            yield replace(case, chunks=(b"".join(case.chunks),))
            for chunks in smaller_sequences(case.chunks):
                yield replace(case, chunks=chunks)
        else:
            for data in smaller_sequences(case.chunks[0] if case.chunks else b""):
                yield replace(case, chunks=(data,))

    def show(self, case: MqttCase) -> str:
        """Return the case as Python."""
        return repr(case)

    def _connected(self, module: str) -> Client:
        client = Client(self._factory())
        client.send(self._connects[module])
        packets = client.read()
        if client.is_closed or not isinstance(packets[0], codec.ConnAck) or packets[0].code:
            raise BrokenPromiseError(f"a good CONNECT is taken; {packets}")
        return client

    def _check_bystander(self) -> None:
        """Take what the bystander was sent, as a good client does, and ping."""
        packets = self._bystander.read()
        while packets:
            for packet in packets:
                if isinstance(packet, codec.Publish) and packet.qos:
                    self._bystander.send(codec.encode(codec.PubAck(packet_id=packet.packet_id)))
            packets = self._bystander.read()
        self._bystander.send(codec.encode(codec.PingReq()))
        if self._bystander.is_closed or codec.PingResp() not in self._bystander.read():
            raise BrokenPromiseError("another client is not harmed")


def _check_decoder(chunks: tuple[bytes, ...]) -> None:
    """Check that the stream means the same in any pieces, and that packets survive encoding."""
    whole, pieces = _decoded((b"".join(chunks),)), _decoded(chunks)
    if whole != pieces:
        raise BrokenPromiseError(f"pieces do not matter; {whole} or {pieces}")
    for packet in whole or []:
        if _decoded((codec.encode(packet),)) != [packet]:
            raise BrokenPromiseError(f"a packet is encoded as it was; {packet}")


def _packets_in(data: bytes) -> int:
    """Return how many packets *data* begins, by their lengths alone."""
    count = at = 0
    while at < len(data):
        count += 1
        size = digits = 0
        for digit in data[at + 1 : at + 5]:
            size |= (digit & 0x7F) << (7 * digits)
            digits += 1
            if digit < 0x80:
                break
        at += 1 + digits + size
    return count


def _decoded(chunks: tuple[bytes, ...]) -> list[codec.Packet] | None:
    decoder = codec.Decoder()
    try:
        return [packet for chunk in chunks for packet in decoder.feed(chunk)]
    except MqttProtocolError:
        return None


@asynccontextmanager
async def open_mqtt() -> AsyncIterator[MqttTarget]:
    """Open the target on a cloud of its own."""
    network = free_loopback_network()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        async with LocalCloud(Path(folder), address=network.address(1), hub_port=0) as cloud:
            images = ProcessImages(commands={})
            gateway = network.address(2)
            device = await cloud.add_device(DEVICE, gateway=gateway, images=images)
            desired = {"schemaVersion": "1.2", "routes": ROUTES}
            cloud.hub.change_twin(DEVICE, "$edgeHub", {"properties": {"desired": desired}})
            connects = {}
            for module in (FUZZED, BYSTANDER):
                device.link.ensure_module(module)
                connects[module] = _connect(module, device.link.module_key(module))
            with _counted_warnings() as warnings:
                yield MqttTarget(device.edgehub.new_connection, connects, warnings)


def _connect(module: str, key: bytes | None) -> bytes:
    if key is None:
        raise ValueError(f"module {module} has no key")
    return codec.encode(sign_in(HUB_HOSTNAME, f"{DEVICE}/{module}", key=key, lifetime_s=86_400))


@contextmanager
def _counted_warnings() -> Iterator[LogCounter]:
    logger, counter = logging.getLogger("taktgate"), LogCounter()
    propagates = logger.propagate
    logger.addHandler(counter)
    logger.propagate = False
    try:
        yield counter
    finally:
        logger.removeHandler(counter)
        logger.propagate = propagates
