"""Whatever bytes come, the controller answers or drops the client; it never fails itself."""

import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.standin.logix_bench import REGISTER, packet, path, request

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.connections import ConnectionTable
from taktgate.standin.logix.encapsulation import Frame, ItemType, encode_items
from taktgate.standin.logix.errors import EncapsulationError
from taktgate.standin.logix.foreign_tags import among_foreign
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.session import Session

SYMBOLS = among_foreign(symbols_of(TAGS), 30)
CONNECTION_MANAGER = b"\x20\x06\x24\x01"

paths = st.sampled_from(
    [
        *(bytes((0x20, number, 0x24, 1)) for number in (1, 2, 6, 0x64, 0x6B, 0x6C, 0x8B, 0xAC)),
        b"\x20\x6c\x25\x00\x01\x0e",
        b"\x20\x6b\x25\x00\x11\x00",
        path("Program:MainProgram") + b"\x20\x6b\x25\x00\x00\x00",
        path("Program:MainProgram", "Pressure_0001"),
        path("Program:MainProgram"),
        path("Cell_0007", 2, "Motors", 1, "Name"),
        path("VIS01_Result", 2),
        path("VIS01_Result", 7, "Late"),
        path("VIS01_Sts", "Ready"),
        path("Text_0005"),
        b"\x91\xff",
        b"\x28\x01\x28\x02",
        b"",
    ]
)
services = st.builds(
    request,
    st.sampled_from([0x01, 0x03, 0x0A, 0x0E, 0x4C, 0x4D, 0x4E, 0x52, 0x53, 0x54, 0x55, 0x5B, 0xFF]),
    paths,
    st.binary(max_size=60),
)
packets = st.lists(services, min_size=1, max_size=4).map(lambda inner: packet(*inner))
wrapped = st.one_of(services, packets).map(
    lambda inner: request(
        0x52, CONNECTION_MANAGER, b"\x0a\x05" + struct.pack("<H", len(inner)) + inner
    )
)
commands = st.sampled_from([0, 4, 0x63, 0x65, 0x66, 0x6F, 0x70])
messages = st.one_of(st.binary(max_size=60), services, packets, wrapped)


def forward_open(serial: int, size: int) -> bytes:
    rates = (1_000_000, 0x4200_0000 | size, 1_000_000, 0x4200_0000 | size)
    fields = struct.pack("<BBIIHHIB3xIIIIB", 10, 5, 0, 7, serial, 2, 3, 7, *rates, 0xA3)
    return request(0x5B, CONNECTION_MANAGER, fields + b"\x03\x01\x00\x20\x02\x24\x01")


class Client:
    def __init__(self) -> None:
        self.memory = TagMemory(SYMBOLS)
        self.session = Session(
            Router(self.memory), host="127.0.0.1", port=44818, connections=ConnectionTable(limit=2)
        )
        (registered,) = self.session.receive(REGISTER)
        (self.id,) = struct.unpack_from("<I", registered, 4)

    def frame(self, command: int, data: bytes) -> bytes:
        return Frame(command=command, session=self.id, context=bytes(8), data=data).encode()

    def unconnected(self, message: bytes) -> bytes:
        items = [(int(ItemType.NULL_ADDRESS), b""), (int(ItemType.UNCONNECTED_DATA), message)]
        return self.frame(0x6F, encode_items(items))

    def connected(self, number: int, message: bytes) -> bytes:
        items = [
            (int(ItemType.CONNECTED_ADDRESS), struct.pack("<I", number)),
            (int(ItemType.CONNECTED_DATA), b"\x01\0" + message),
        ]
        return self.frame(0x70, encode_items(items))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(messages)
def test_every_unconnected_message_has_one_whole_reply(message: bytes) -> None:
    client = Client()

    (reply,) = client.session.receive(client.unconnected(message))

    assert len(reply) == 24 + struct.unpack_from("<H", reply, 2)[0]
    assert len(reply) - 40 <= 504
    assert reply[40] & 0x80


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(messages, st.sampled_from([32, 100, 500, 4000]))
def test_every_connected_message_has_a_reply_within_the_size_of_the_connection(
    message: bytes, size: int
) -> None:
    client = Client()
    (opened,) = client.session.receive(client.unconnected(forward_open(1, size)))
    (number,) = struct.unpack_from("<I", opened, 44)

    (reply,) = client.session.receive(client.connected(number, message))

    assert len(reply) - 44 <= size
    assert reply[46] & 0x80


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.tuples(
                st.sampled_from([0, 4, 0x63, 0x65, 0x66, 0x6F, 0x70]), st.binary(max_size=60)
            ),
        ),
        max_size=6,
    )
)
def test_a_stream_of_rubbish_is_answered_or_ends_the_session(
    pieces: list[bytes | tuple[int, bytes]],
) -> None:
    client = Client()
    before = [bytes(client.memory.bytes_of(symbol)) for symbol in client.memory.symbols]
    stream = b"".join(
        piece if isinstance(piece, bytes) else client.frame(*piece) for piece in pieces
    )
    try:
        replies = list(client.session.receive(stream))
    except EncapsulationError:
        return
    assert all(len(reply) == 24 + struct.unpack_from("<H", reply, 2)[0] for reply in replies)
    assert before == [bytes(client.memory.bytes_of(symbol)) for symbol in client.memory.symbols]
