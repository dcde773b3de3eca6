"""Each fault of the controller, as a client's socket sees it."""

import asyncio
import time

import pytest
from tests.unit.standin.logix_bench import (
    LIST_IDENTITY,
    REGISTER,
    WRITE,
    Peer,
    dint,
    path,
    request,
    sequence_of,
    serve,
    set_state,
    status_of,
)
from tests.waiting import until

from taktgate.plc.contract.tags import RESULT, TAGS
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.reply_path import ReplyPath
from taktgate.standin.logix.server import LogixServer


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS))


def state(memory: TagMemory) -> int:
    return int(memory.load("VIS01_Sts", "State"))


def has_heard(server: LogixServer, *, since_s: float) -> bool:
    """Tell whether something that a client has sent since then has come."""
    return any(link.heard_s > since_s for link in server._links)


def test_delayed_replies_keep_their_order_when_the_delay_ends() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.connect(port)
        await peer.ask(LIST_IDENTITY)
        server.apply(Faults(delay_ms=80))
        started = time.monotonic()
        peer.writer.write(REGISTER)
        await until(lambda: has_heard(server, since_s=started))
        server.apply(HEALTHY)
        assert (await peer.ask(LIST_IDENTITY))[:2] == b"\x65\0"
        assert time.monotonic() - started >= 0.079
        assert (await peer.ask(b""))[:2] == b"\x63\0"
        peer.close()

    serve(scenario)


def test_a_delayed_request_is_executed_at_once(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(delay_ms=60_000))
        peer.writer.write(peer.connected(set_state(3)))
        await until(lambda: state(memory) == 3)
        assert await peer.is_silent()
        peer.close()

    serve(scenario, memory=memory)


def test_a_frozen_controller_answers_afterwards_what_it_was_asked_meanwhile(
    memory: TagMemory,
) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        old = await Peer.opened(port)
        server.apply(Faults(is_frozen=True))
        new = await Peer.connect(port)
        old.writer.write(old.connected(set_state(3)))
        new.writer.write(LIST_IDENTITY)
        assert await old.is_silent()
        assert await new.is_silent()
        assert state(memory) == 0
        server.apply(HEALTHY)
        assert (await old.next_frame())[:2] == b"\x70\0"
        assert (await new.next_frame())[:2] == b"\x63\0"
        assert state(memory) == 3
        old.close()
        new.close()

    serve(scenario, memory=memory)


def test_a_cut_resets_connections_until_it_is_mended() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        old = await Peer.connect(port)
        await old.ask(REGISTER)
        server.apply(Faults(is_cut=True))
        assert await old.is_reset()
        assert await (await Peer.connect(port)).is_closed()
        server.apply(HEALTHY)
        new = await Peer.connect(port)
        assert await new.register() == 0
        new.close()

    serve(scenario)


def test_what_a_blackhole_swallowed_is_never_executed_and_never_answered(
    memory: TagMemory,
) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(is_blackhole=True))
        swallowed = peer.connected(set_state(3))
        started = time.monotonic()
        peer.writer.write(swallowed + swallowed[:50])
        await until(lambda: has_heard(server, since_s=started))
        assert await peer.is_silent()
        server.apply(HEALTHY)
        assert await peer.is_silent()
        assert state(memory) == 0
        peer.writer.write(swallowed[50:])
        assert await peer.next_frame(), "a frame that ends afterwards is a whole one"
        assert state(memory) == 3
        peer.close()

    serve(scenario, memory=memory)


def test_a_new_client_of_a_blackhole_is_connected_and_hears_nothing() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        server.apply(Faults(is_blackhole=True))
        peer = await Peer.connect(port)
        peer.writer.write(REGISTER)
        assert await peer.is_silent()
        peer.close()

    serve(scenario)


def test_each_nth_reply_is_dropped_although_its_request_was_executed(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(drop_every=3))
        answered = []
        for number in range(1, 10):
            peer.writer.write(peer.connected(set_state(number)))
        for _ in range(6):
            answered.append(sequence_of(await peer.next_frame()))
        assert answered == [1, 2, 4, 5, 7, 8]
        assert await peer.is_silent()
        assert state(memory) == 9
        peer.close()

    serve(scenario, memory=memory)


@pytest.mark.parametrize("kept", [0, 1, 24, 47])
def test_a_reply_is_cut_after_so_many_bytes_and_ends_with_a_fin(
    memory: TagMemory, kept: int
) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(cut_after_bytes=kept))
        peer.writer.write(peer.connected(set_state(3)))
        assert len(await peer.reader.read()) == kept, "read() ends at the FIN, not by a reset"
        assert state(memory) == 3
        peer.close()

    serve(scenario, memory=memory)


def test_a_reply_within_the_cut_is_whole() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        server.apply(Faults(cut_after_bytes=28))
        peer = await Peer.connect(port)
        assert await peer.register() == 0
        peer.close()

    serve(scenario)


def test_a_reply_drips_byte_by_byte_and_the_next_one_waits_for_it() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.connect(port)
        server.apply(Faults(drip_ms=4))
        started = time.monotonic()
        peer.writer.write(REGISTER + LIST_IDENTITY)
        pieces = [await peer.reader.read(4096) for _ in range(3)]
        assert max(map(len, pieces)) < 28, "not in one piece"
        rest = 28 - sum(map(len, pieces))
        await peer.reader.readexactly(rest)
        assert time.monotonic() - started >= 27 * 0.004 - 0.001
        server.apply(HEALTHY)
        assert (await peer.next_frame())[:2] == b"\x63\0"
        peer.close()

    serve(scenario)


def test_a_reply_is_sent_twice_but_its_request_executed_once(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(is_duplicating=True))
        first = await peer.ask(peer.connected(set_state(3)))
        assert await peer.next_frame() == first
        assert len(memory.writes("VIS01_Sts")) == 1
        peer.close()

    serve(scenario, memory=memory)


def test_a_reply_waits_for_the_next_and_leaves_after_it() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(is_reordering=True))
        peer.writer.write(peer.connected(set_state(1)))
        assert await peer.is_silent()
        peer.writer.write(peer.connected(set_state(2)))
        assert [sequence_of(await peer.next_frame()) for _ in range(2)] == [2, 1]
        peer.writer.write(peer.connected(set_state(3)))
        assert await peer.is_silent()
        server.apply(HEALTHY)
        assert sequence_of(await peer.next_frame()) == 3, "the end of the fault lets it go"
        peer.close()

    serve(scenario)


def test_faults_of_replies_add_up() -> None:
    replies = ReplyPath()
    faults = Faults(drop_every=3, is_duplicating=True, is_reordering=True)

    left = [replies.leave(bytes((number,)), faults) for number in range(1, 6)]

    assert left == [(), (b"\2", b"\2", b"\1", b"\1"), (), (), (b"\5", b"\5", b"\4", b"\4")]


def test_sessions_and_connections_are_refused_as_if_all_were_in_use() -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        old = await Peer.connect(port)
        await old.register()
        server.apply(Faults(is_refusing_sessions=True))
        new = await Peer.connect(port)
        assert await new.register() == 0x02
        assert status_of(await old.forward_open()) == (0x01, 0x0113)
        server.apply(HEALTHY)
        assert await new.register() == 0
        assert status_of(await old.forward_open()) == (0, None)
        old.close()
        new.close()

    serve(scenario)


RESULT_PATH = path("VIS01_Result", 5)


def whole_result(memory: TagMemory, filling: bytes) -> bytes:
    symbol = memory.symbol("VIS01_Result")
    assert symbol is not None
    return request(
        WRITE, RESULT_PATH, symbol.data_type.wire_type + b"\x01\0" + filling * RESULT.size
    )


def test_a_result_is_torn_between_its_halves_for_so_long(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        other = await Peer.opened(port)
        server.apply(Faults(torn_ms=40))
        whole = b"\x07" * RESULT.size
        await peer.send(whole_result(memory, b"\x07"))
        await other.send(set_state(1))
        await until(lambda: memory.element("VIS01_Result", 5) == whole)
        first, second = memory.writes("VIS01_Result", 5)
        half = RESULT.size // 8 * 4  # a controller never tears a DINT
        torn = whole[:half] + bytes(RESULT.size - half)
        assert second.at_ns - first.at_ns >= 39_000_000
        assert (first.content, second.previous) == (torn, torn)
        assert (first.client, first.request, first.order) == (
            second.client,
            second.request,
            second.order,
        )
        peer.close()
        other.close()

    serve(scenario, memory=memory)


def test_to_clients_a_torn_result_looks_whole(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(torn_ms=60_000))
        await peer.send(whole_result(memory, b"\x07"))
        await peer.send(set_state(2))
        assert memory.load("VIS01_Result", "SeqEnd", 5) == 0, "other tags do not mend it"
        reply = await peer.send(request(0x4C, RESULT_PATH, b"\x01\0"))
        assert reply[8:] == b"\x07" * RESULT.size
        await peer.send(whole_result(memory, b"\x08"))
        await peer.send(whole_result(memory, b"\x09"))
        await peer.send(request(0x4C, RESULT_PATH, b"\x01\0"))
        assert memory.element("VIS01_Result", 5) == b"\x09" * RESULT.size
        peer.close()

    serve(scenario, memory=memory)


def test_only_results_are_torn_and_never_inside_a_dint(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(torn_ms=60_000))
        await peer.send(set_state(0x01020304))
        await peer.send(request(WRITE, RESULT_PATH + path("SeqEnd"), dint(0x01020304)))
        assert state(memory) == 0x01020304
        assert memory.load("VIS01_Result", "SeqEnd", 5) == 0x01020304
        peer.close()

    serve(scenario, memory=memory)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("delay_ms", float("nan")),
        ("delay_ms", -1.0),
        ("drip_ms", 60_001.0),
        ("torn_ms", float("inf")),
        ("drop_every", -1),
        ("cut_after_bytes", -1),
    ],
)
def test_a_fault_out_of_its_range_is_refused_by_its_name(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Faults(**{field: value})  # type: ignore[arg-type]


def test_a_client_is_not_read_while_too_many_of_its_replies_wait(memory: TagMemory) -> None:
    async def scenario(server: LogixServer, port: int) -> None:
        peer = await Peer.opened(port)
        server.apply(Faults(delay_ms=1000))
        for number in range(1, 4_001):
            peer.writer.write(peer.connected(set_state(number)))
        await until(lambda: state(memory))
        for _ in range(100):
            await asyncio.sleep(0)  # a turn of the loop in which it could read on
        assert state(memory) < 4_000, "what was read in one piece, not everything"
        server.apply(HEALTHY)
        frames = [sequence_of(await peer.next_frame()) for _ in range(4_000)]
        assert frames == list(range(1, 4_001))
        peer.close()

    serve(scenario, memory=memory)
