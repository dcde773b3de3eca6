"""The write log: who wrote what, in which request, and what it was before."""

import struct

from tests.unit.standin.logix_bench import (
    READ,
    WRITE,
    Peer,
    dint,
    packet,
    path,
    request,
    serve,
    set_state,
)

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.server import LogixServer
from taktgate.standin.logix.write_log import LoggedWrite, Origin, WriteLog

ROOM = 4000
SECOND = 1_000_000_000


class Clock:
    now = 77

    def __call__(self) -> int:
        return self.now


def test_writes_of_one_packet_share_the_request_and_keep_their_order() -> None:
    memory = TagMemory(symbols_of(TAGS), clock=Clock())
    router = Router(memory)
    seq = request(WRITE, path("VIS01_Result", 3, "SeqBegin"), dint(9))
    read = request(READ, path("VIS01_Cmd"), b"\x01\0")

    router.answer(set_state(1), ROOM, client="a")
    router.answer(packet(seq, read, set_state(2)), ROOM, client="a")
    router.answer(set_state(3), ROOM, client="b")

    assert [
        (write.client, write.request, write.order, write.tag, write.element)
        for write in memory.log.newest(10)
    ] == [
        ("a", 1, 0, "VIS01_Sts", 0),
        ("a", 2, 0, "VIS01_Result", 3),
        ("a", 2, 2, "VIS01_Sts", 0),
        ("b", 1, 0, "VIS01_Sts", 0),
    ]
    assert memory.log.requests == {"a": 2, "b": 1}


def test_a_write_is_kept_with_its_bytes_and_the_element_before_and_after() -> None:
    memory = TagMemory(symbols_of(TAGS), clock=Clock())
    router = Router(memory)
    memory.store("VIS01_Sts", "State", 1)

    router.answer(set_state(2), ROOM)

    (write,) = memory.writes("VIS01_Sts")
    assert (write.at_ns, write.offset, write.length) == (77, 8, 4)
    assert struct.unpack_from("<i", write.previous, 8) == (1,)
    assert struct.unpack_from("<i", write.content, 8) == (2,)
    assert write.content == memory.element("VIS01_Sts")


def test_a_write_over_several_elements_is_one_entry_for_each() -> None:
    memory = TagMemory(symbols_of(TAGS), clock=Clock())
    symbol = memory.symbol("VIS01_Result")
    assert symbol is not None
    data = symbol.data_type.wire_type + b"\x03\0" + bytes(range(132))

    Router(memory).answer(request(WRITE, path("VIS01_Result", 2), data), ROOM)

    writes = memory.log.newest(10)
    assert [(write.element, write.offset, write.length) for write in writes] == [
        (2, 0, 44),
        (3, 0, 44),
        (4, 0, 44),
    ]
    assert b"".join(write.content for write in writes) == bytes(range(132))


def test_a_fragment_is_logged_where_it_lands() -> None:
    memory = TagMemory(symbols_of(TAGS), clock=Clock())
    symbol = memory.symbol("VIS01_Result")
    assert symbol is not None
    data = symbol.data_type.wire_type + struct.pack("<HI", 3, 40) + b"\x07" * 8

    Router(memory).answer(request(0x53, path("VIS01_Result"), data), ROOM)

    assert [(w.element, w.offset, w.length) for w in memory.log.newest(9)] == [
        (0, 40, 4),
        (1, 0, 4),
    ]


def test_refused_requests_count_and_leave_no_write() -> None:
    memory = TagMemory(symbols_of(TAGS))
    Router(memory).answer(request(WRITE, path("VIS01_Cmd", "AckSeq"), dint(1)), ROOM, client="a")

    assert memory.log.newest(10) == ()
    assert memory.log.requests == {"a": 1}


def test_the_newest_writes_of_all_tags_come_in_their_order() -> None:
    memory = TagMemory(symbols_of(TAGS))
    router = Router(memory)
    for number in range(20):
        router.answer(set_state(number), ROOM)
        router.answer(request(WRITE, path("VIS01_Result", number % 8, "AgeMs"), dint(1)), ROOM)

    assert [write.number for write in memory.log.newest(7)] == list(range(34, 41))


def logged(clock: Clock, number: int) -> LoggedWrite:
    return LoggedWrite(at_ns=clock.now, content=b"", tag="T", number=number)


def test_the_log_is_bounded_in_time_in_writes_and_in_clients() -> None:
    log, clock = WriteLog(), Clock()
    log.add(logged(clock, 1))
    clock.now += 91 * SECOND
    log.add(logged(clock, 2))
    assert [write.number for write in log.of_element("T", 0, 0)] == [2]

    for number in range(40_000):
        log.add(logged(clock, number))
    assert len(log.of_element("T", 0, 0)) == 32_768

    for number in range(3_000):
        log.begin_request(f"client {number}")
    assert len(log.requests) == 1_024
    assert log.origin == Origin("client 2999", 1, 0)


def test_each_client_is_named_by_its_address() -> None:
    memory = TagMemory(symbols_of(TAGS))

    async def scenario(server: LogixServer, port: int) -> None:
        peers = [await Peer.opened(port) for _ in range(2)]
        for peer in peers:
            await peer.send(set_state(1))
            await peer.send(set_state(2))
        names = ["{}:{}".format(*peer.writer.get_extra_info("sockname")) for peer in peers]
        assert [write.client for write in server.newest_writes(4)] == [
            names[0], names[0], names[1], names[1],
        ]  # fmt: skip
        assert dict(server.requests()) == {names[0]: 2, names[1]: 2}, "connecting is no request"
        for peer in peers:
            peer.close()

    serve(scenario, memory=memory)
