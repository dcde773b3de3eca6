"""TLS below MQTT: whatever way the encrypted bytes are cut, the plain ones arrive as they were."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.waiting import WITHIN_S, until

from taktgate.standin.azure.certificates import create_authority
from taktgate.standin.azure.mqtt.tls import TlsLayer, TlsServer, connect_tls

NAME = "127.0.0.1"
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> Contexts:
    authority = create_authority(tmp_path_factory.mktemp("ca"))
    client = ssl.create_default_context(cafile=str(authority.ca_file))
    return authority.server_context("hub", [NAME]), client


class Ear(asyncio.Protocol):
    """Takes down what it hears."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.transport: asyncio.Transport | None = None
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True


class Wire(asyncio.Transport):
    """Keeps what is written until it is carried over."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.is_closed


def carry(wire: Wire, other: TlsLayer, sizes: Iterator[int]) -> bool:
    """Carry what was sent to the other end in pieces; return whether there was something."""
    data = bytes(wire.sent)
    wire.sent.clear()
    at = 0
    while at < len(data):
        size = next(sizes)
        other.data_received(data[at : at + size])
        at += size
    return bool(data)


@settings(max_examples=25)
@given(st.lists(st.binary(max_size=40_000), max_size=4), st.lists(st.integers(1, 9000), min_size=1))
def test_any_cut_of_the_stream_gives_the_same_bytes(
    contexts: Contexts, messages: list[bytes], sizes: list[int]
) -> None:
    async def story() -> None:
        ears, wires = (Ear(), Ear()), (Wire(), Wire())
        server = TlsLayer(contexts[0], ears[0])
        client = TlsLayer(contexts[1], ears[1], server_hostname=NAME)
        server.connection_made(wires[0])
        client.connection_made(wires[1])
        cuts = iter(sizes * 100_000)

        def settle() -> None:
            while carry(wires[1], server, cuts) or carry(wires[0], client, cuts):
                pass

        settle()
        for message in messages:
            for ear in ears:
                assert ear.transport is not None
                ear.transport.write(message)
        settle()
        assert [ear.heard for ear in ears] == [b"".join(messages)] * 2

    asyncio.run(story())


def with_server(
    contexts: Contexts,
    story: Callable[[int, list[Ear]], Awaitable[None]],
    *,
    handshake_timeout_s: float = WITHIN_S,
) -> None:
    async def tell() -> None:
        ears: list[Ear] = []

        def new_ear() -> Ear:
            ears.append(Ear())
            return ears[-1]

        server = TlsServer(contexts[0], new_ear, handshake_timeout_s=handshake_timeout_s)
        port = await server.start(NAME, 0)
        async with asyncio.timeout(2 * WITHIN_S):
            await story(port, ears)
            await server.stop()

    asyncio.run(tell())


def test_goodbye_reaches_the_other_side_after_all_that_was_sent(contexts: Contexts) -> None:
    async def story(port: int, ears: list[Ear]) -> None:
        client = Ear()
        await connect_tls(contexts[1], client, NAME, port)
        await until(lambda: client.transport)
        assert client.transport is not None
        client.transport.write(b"x" * 20_000_000)
        client.transport.close()
        await until(lambda: ears[0].is_lost)
        assert len(ears[0].heard) == 20_000_000

    with_server(contexts, story)


def test_client_that_does_not_trust_the_server_hears_of_the_end(contexts: Contexts) -> None:
    async def story(port: int, ears: list[Ear]) -> None:
        client = Ear()
        await connect_tls(ssl.create_default_context(), client, NAME, port)
        await until(lambda: client.is_lost and ears[0].is_lost)
        assert client.transport is None

    with_server(contexts, story)


def test_handshake_that_does_not_come_is_cut(contexts: Contexts) -> None:
    async def story(port: int, ears: list[Ear]) -> None:
        reader, writer = await asyncio.open_connection(NAME, port)
        assert await reader.read() == b""
        writer.close()
        await until(lambda: ears[0].is_lost)

    with_server(contexts, story, handshake_timeout_s=0.1)


def test_stop_ends_connections_that_are_shaking_hands(contexts: Contexts) -> None:
    async def story(port: int, ears: list[Ear]) -> None:
        _, writer = await asyncio.open_connection(NAME, port)
        await until(lambda: ears)
        writer.close()

    with_server(contexts, story)
