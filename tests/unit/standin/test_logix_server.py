"""The controller's server and its clients: who is served, who is dropped, and when."""

import asyncio
import socket
import struct
from contextlib import suppress

import pytest
from tests.unit.standin.logix_bench import (
    LIST_IDENTITY,
    READ,
    REGISTER,
    Peer,
    packet,
    path,
    request,
    serve,
    set_state,
    status_of,
)
from tests.waiting import WITHIN_S

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.errors import DownloadError, ListenError
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.identity import Mode
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import LogixServer
from taktgate.standin.logix.thread import LogixThread


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


def test_clients_are_bounded() -> None:
    async def scenario(_: LogixServer, port: int) -> None:
        peers = [await Peer.connect(port) for _ in range(128)]
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


def test_a_reset_drops_everyone_and_listens_on() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peers = [await Peer.opened(port) for _ in range(3)]
        server.reset()
        assert [await peer.is_reset() for peer in peers] == [True] * 3
        (await Peer.opened(port)).close()

    serve(scenario)


def test_without_power_nobody_is_served_and_with_it_the_tags_are_as_before() -> None:
    memory = TagMemory(symbols_of(TAGS))

    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        await peer.send(set_state(2))
        server.power_off()
        assert await peer.is_reset()
        assert await (await Peer.connect(port)).is_closed()
        server.power_on()
        (await Peer.opened(port)).close()
        assert memory.load("VIS01_Sts", "State") == 2

    serve(scenario, memory=memory)


def test_a_forgotten_connection_is_silence_and_a_forgotten_session_invalid() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.forget(sessions=False)
        peer.writer.write(peer.connected(set_state(1)))
        assert await peer.is_silent()
        server.forget()
        reply = await peer.ask(peer.connected(set_state(1)))
        assert struct.unpack_from("<I", reply, 8)[0] == 0x64
        assert await peer.register() == 0, "it may come back on the same connection"
        assert status_of(await peer.forward_open()) == (0, None)
        peer.close()

    serve(scenario)


def test_the_connections_of_a_client_that_vanishes_are_free_again() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        for _ in range(5):
            peer = await Peer.connect(port)
            await peer.register()
            while status_of(await peer.forward_open()) != (0, None):
                pass  # the controller has yet to hear that the one before is gone
            peer.writer.transport.abort()
            await peer.writer.wait_closed()

    serve(scenario, firmware=Firmware(max_connections=1))


def test_a_silent_client_is_closed_after_the_inactivity_timeout_and_a_busy_one_is_not() -> None:
    async def scenario(_: LogixServer, port: int) -> None:
        silent, busy = await Peer.connect(port), await Peer.connect(port)
        closing = asyncio.create_task(silent.is_closed())
        while not closing.done():
            await busy.ask(LIST_IDENTITY)
            await asyncio.sleep(0.01)
        assert closing.result()
        await busy.ask(LIST_IDENTITY)
        busy.close()

    serve(scenario, firmware=Firmware(inactivity_s=1.0))


def test_a_client_that_does_not_take_its_replies_is_not_served_and_holds_up_nobody() -> None:
    ring = request(READ, path("VIS01_Result"), b"\x08\0")
    asked = 5_000

    async def scenario(server: LogixServer, port: int) -> None:
        slow, quick = await Peer.opened(port), await Peer.opened(port)
        slow.reader._transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(asked):
            slow.writer.write(slow.connected(packet(*[ring] * 10)))
        executed, before = 0, -1
        while not executed or executed != before:
            await asyncio.sleep(0.1)
            executed, before = max(server.requests().values()), executed
        assert 0 < executed < asked, "17 MB of replies are more than the buffers take"
        assert status_of(await quick.send(set_state(1))) == (0, None)
        slow.writer.transport.abort()
        quick.close()

    serve(scenario)


@pytest.mark.parametrize(
    ("mode", "word"),
    [
        (Mode.RUN, 0x1160),
        (Mode.PROGRAM, 0x2170),
        (Mode.REMOTE_RUN, 0x3160),
        (Mode.REMOTE_PROGRAM, 0x3170),
    ],
)
def test_the_identity_tells_where_the_key_stands(mode: Mode, word: int) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.set_mode(mode)
        reply = await peer.send(b"\x01\x02\x20\x01\x24\x01")
        assert struct.unpack_from("<H", reply, 4 + 8)[0] == word
        listed = await peer.ask(LIST_IDENTITY)
        assert struct.unpack_from("<H", listed, 24 + 2 + 4 + 2 + 16 + 8)[0] == word
        assert status_of(await peer.send(set_state(1))) == (0, None), "tags are written on"
        peer.close()

    serve(scenario)


@pytest.mark.parametrize(
    ("field", "value"), [("max_clients", 0), ("max_connections", 1001), ("inactivity_s", 0.0)]
)
def test_a_firmware_out_of_its_range_is_refused_by_its_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Firmware(**{field: value})  # type: ignore[arg-type]


def test_what_fails_on_the_servers_thread_fails_at_its_caller() -> None:
    with (
        LogixThread(TagMemory(symbols_of(TAGS))) as controller,
        pytest.raises(DownloadError, match="tag"),
    ):
        controller.download(Download(change=Change.DELETE, tag="Nowhere"))


@pytest.mark.parametrize("turns", range(6))
def test_a_client_that_comes_while_the_controller_goes_is_dropped_too(turns: int) -> None:
    async def scenario() -> bytes:
        server = LogixServer(TagMemory(symbols_of(TAGS)))
        address = await server.start("127.0.0.1", 0)
        with socket.create_connection(address, timeout=WITHIN_S) as client:
            for _ in range(turns):
                await asyncio.sleep(0)
            await server.close()
            with suppress(ConnectionResetError):
                return await asyncio.to_thread(client.recv, 1)
        return b""

    assert asyncio.run(scenario()) == b""
