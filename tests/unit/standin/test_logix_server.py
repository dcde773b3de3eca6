import asyncio
import struct
import time
from collections.abc import Awaitable, Callable

import pytest

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.errors import ListenError
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer

REGISTER = struct.pack("<HHII8sIHH", 0x65, 4, 0, 0, b"context_", 0, 1, 0)
LIST_IDENTITY = struct.pack("<HHII8sI", 0x63, 0, 0, 0, b"context_", 0)

Scenario = Callable[[LogixServer, int], Awaitable[None]]


def serve(scenario: Scenario) -> None:
    async def run() -> None:
        server = LogixServer(TagMemory(symbols_of(TAGS)))
        _, port = await server.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(10):
                await scenario(server, port)
        finally:
            await server.close()

    asyncio.run(run())


class Peer:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def connect(cls, port: int) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, frame: bytes) -> bytes:
        self.writer.write(frame)
        header = await self.reader.readexactly(24)
        return header + await self.reader.readexactly(struct.unpack_from("<H", header, 2)[0])

    async def is_closed(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True
        finally:
            self.writer.close()


def test_rubbish_closes_only_its_own_session() -> None:
    async def scenario(_: LogixServer, port: int) -> None:
        good, bad = await Peer.connect(port), await Peer.connect(port)
        await good.ask(REGISTER)
        bad.writer.write(b"GET / HTTP/1.1\r\nHost: plc\r\n\r\n")
        assert await bad.is_closed()
        assert (await good.ask(LIST_IDENTITY))[:2] == b"\x63\0"
        good.writer.close()

    serve(scenario)


def test_frames_may_come_several_in_one_segment_and_one_in_several() -> None:
    async def scenario(_: LogixServer, port: int) -> None:
        peer = await Peer.connect(port)
        both = REGISTER + LIST_IDENTITY
        peer.writer.write(both[:30])
        await peer.writer.drain()
        assert (await peer.ask(both[30:]))[:2] == b"\x65\0"
        assert (await peer.ask(b""))[:2] == b"\x63\0"
        peer.writer.close()

    serve(scenario)


def test_delayed_replies_keep_their_order_when_the_delay_ends() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.connect(port)
        await peer.ask(LIST_IDENTITY)
        server.apply(Faults(delay_ms=80))
        started = time.monotonic()
        peer.writer.write(REGISTER)
        await asyncio.sleep(0.02)
        server.apply(HEALTHY)
        assert (await peer.ask(LIST_IDENTITY))[:2] == b"\x65\0"
        assert time.monotonic() - started >= 0.079
        assert (await peer.ask(b""))[:2] == b"\x63\0"
        peer.writer.close()

    serve(scenario)


def test_a_frozen_controller_answers_afterwards_what_it_was_asked_meanwhile() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        old = await Peer.connect(port)
        await old.ask(REGISTER)
        server.apply(Faults(is_frozen=True))
        new = await Peer.connect(port)
        asked = [asyncio.create_task(peer.ask(LIST_IDENTITY)) for peer in (old, new)]
        done, _ = await asyncio.wait(asked, timeout=0.05)
        assert not done
        server.apply(HEALTHY)
        assert [(await task)[:2] for task in asked] == [b"\x63\0"] * 2
        old.writer.close()
        new.writer.close()

    serve(scenario)


def test_a_cut_resets_connections_until_it_is_mended() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        old = await Peer.connect(port)
        await old.ask(REGISTER)
        server.apply(Faults(is_cut=True))
        assert await old.is_closed()
        assert await (await Peer.connect(port)).is_closed()
        server.apply(HEALTHY)
        new = await Peer.connect(port)
        assert (await new.ask(REGISTER))[8:12] == bytes(4)
        new.writer.close()

    serve(scenario)


def test_clients_are_bounded() -> None:
    async def scenario(_: LogixServer, port: int) -> None:
        peers = [await Peer.connect(port) for _ in range(64)]
        await peers[-1].ask(REGISTER)
        assert await (await Peer.connect(port)).is_closed()
        for peer in peers:
            peer.writer.close()

    serve(scenario)


def test_a_port_in_use_is_refused_by_its_address() -> None:
    async def scenario(_: LogixServer, port: int) -> None:
        with pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}.*in use"):
            await LogixServer(TagMemory([])).start("127.0.0.1", port)

    serve(scenario)


def test_a_delay_without_end_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="delay_ms"):
        Faults(delay_ms=float("nan"))
