import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.connections import ConnectionTable
from taktgate.standin.logix.encapsulation import Frame, ItemType, encode_items
from taktgate.standin.logix.errors import EncapsulationError, Extended, Status
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.session import Session

CONTEXT = b"_tests__"
CLIENT_ID = 0x1234_5678
MULTIPLIER = 7
SET_STATE = b"\x4d\x0a\x91\x09VIS01_Sts\0\x91\x05State\0\xc4\x00\x01\x00"


class Client:
    """Speaks to a session as a client would; keeps its ids."""

    def __init__(self, connections: ConnectionTable | None = None) -> None:
        self.memory = TagMemory(symbols_of(TAGS))
        self.session = Session(
            Router(self.memory), host="127.0.0.1", port=44818, connections=connections
        )
        self.id = 0
        self.connection = 0

    def send(self, command: int, data: bytes, *, session: int | None = None) -> bytes | None:
        frame = Frame(
            command=command,
            session=self.id if session is None else session,
            context=CONTEXT,
            data=data,
        )
        replies = list(self.session.receive(frame.encode()))
        assert len(replies) <= 1
        return replies[0] if replies else None

    def register(self) -> None:
        reply = self.send(0x65, b"\x01\x00\x00\x00")
        assert reply is not None
        self.id = struct.unpack_from("<I", reply, 4)[0]

    def unconnected(self, message: bytes) -> bytes:
        items = [(int(ItemType.NULL_ADDRESS), b""), (int(ItemType.UNCONNECTED_DATA), message)]
        reply = self.send(0x6F, encode_items(items))
        assert reply is not None
        return reply[40:]

    def forward_open(
        self, *, size: int = 4000, large: bool = True, serial: int = 1, rpi_us: int = 2_113_537
    ) -> bytes:
        service, width = (0x5B, "I") if large else (0x54, "H")
        layout = f"<BBIIHHIB3xI{width}I{width}B"
        parameters = size | (0x4200 << 16 if large else 0x4200)
        rates = (rpi_us, parameters, rpi_us, parameters)
        fields = (10, 5, 0, CLIENT_ID, serial, 2, 3, MULTIPLIER, *rates, 0xA3)
        message = bytes((service, 2, 0x20, 0x06, 0x24, 0x01)) + struct.pack(layout, *fields)
        reply = self.unconnected(message + b"\x03\x01\x00\x20\x02\x24\x01")
        if reply[2] == 0:
            self.connection = struct.unpack_from("<I", reply, 4)[0]
        return reply

    def forward_close(self) -> bytes:
        message = b"\x4e\x02\x20\x06\x24\x01" + struct.pack("<BBHHI", 10, 5, 1, 2, 3)
        return self.unconnected(message + b"\x03\x00\x01\x00\x20\x02\x24\x01")

    def connected(
        self, sequence: int, message: bytes, *, connection: int | None = None
    ) -> bytes | None:
        address = struct.pack("<I", self.connection if connection is None else connection)
        items = [
            (int(ItemType.CONNECTED_ADDRESS), address),
            (int(ItemType.CONNECTED_DATA), struct.pack("<H", sequence) + message),
        ]
        return self.send(0x70, encode_items(items))


@pytest.fixture
def client() -> Client:
    client = Client()
    client.register()
    return client


def test_a_repeated_sequence_count_gets_the_stored_reply_and_is_not_executed(
    client: Client,
) -> None:
    client.forward_open()
    first = client.connected(7, SET_STATE + struct.pack("<i", 1))

    again = client.connected(7, SET_STATE + struct.pack("<i", 2))

    assert again == first
    assert client.memory.load("VIS01_Sts", "State") == 1
    client.connected(8, SET_STATE + struct.pack("<i", 3))
    assert client.memory.load("VIS01_Sts", "State") == 3


def test_a_reply_carries_the_clients_connection_id_context_and_sequence(client: Client) -> None:
    client.forward_open()

    reply = client.connected(9, SET_STATE + struct.pack("<i", 1))

    assert reply is not None
    assert reply[12:20] == CONTEXT
    assert struct.unpack_from("<I", reply, 36)[0] == CLIENT_ID
    assert struct.unpack_from("<H", reply, 44)[0] == 9
    assert reply[46:50] == bytes((0x4D | 0x80, 0, 0, 0))


def test_a_request_on_an_unknown_connection_is_dropped(client: Client) -> None:
    assert client.connected(1, SET_STATE + bytes(4), connection=99) is None


def test_a_closed_connection_is_unknown_and_cannot_be_closed_twice(client: Client) -> None:
    client.forward_open()

    assert client.forward_close()[2] == Status.SUCCESS
    assert client.connected(1, SET_STATE + bytes(4)) is None
    again = client.forward_close()
    assert (again[2], struct.unpack_from("<H", again, 4)[0]) == (
        Status.CONNECTION_FAILURE,
        Extended.CONNECTION_NOT_FOUND,
    )


@pytest.mark.parametrize(
    ("size", "large", "status"),
    [
        (500, False, 0),
        (4000, True, 0),
        (4002, True, 0),
        (4003, True, 1),
        (31, True, 1),
        (0, True, 1),
    ],
)
def test_connection_sizes_are_granted_up_to_the_limit(
    client: Client, size: int, large: bool, status: int
) -> None:
    assert client.forward_open(size=size, large=large)[2] == status


def refusal(reply: bytes) -> tuple[int, int]:
    return reply[2], struct.unpack_from("<H", reply, 4)[0]


def test_connections_are_bounded_over_all_sessions() -> None:
    connections = ConnectionTable(limit=3)
    clients = [Client(connections) for _ in range(4)]
    for client in clients:
        client.register()

    replies = [client.forward_open(serial=n) for n, client in enumerate(clients)]

    assert [reply[2] for reply in replies[:3]] == [0, 0, 0]
    assert refusal(replies[3]) == (Status.CONNECTION_FAILURE, Extended.OUT_OF_CONNECTIONS)
    clients[0].session.end()
    assert clients[3].forward_open(serial=9)[2] == 0, "a client that is gone gives its own back"


def test_a_triad_in_use_is_refused(client: Client) -> None:
    client.forward_open()

    assert refusal(client.forward_open()) == (
        Status.CONNECTION_FAILURE,
        Extended.CONNECTION_IN_USE,
    )


def test_a_controller_without_large_connections_refuses_the_service_and_grants_small() -> None:
    client = Client(ConnectionTable(grants_large=False))
    client.register()

    assert client.forward_open(large=True)[2] == Status.SERVICE_NOT_SUPPORTED
    assert client.forward_open(size=500, large=False)[2] == Status.SUCCESS


def test_a_connection_unused_for_its_rpi_times_the_multiplier_is_closed() -> None:
    now = 100.0
    client = Client(ConnectionTable(clock=lambda: now))
    client.register()
    client.forward_open(rpi_us=100_000)
    lasts_s = 0.1 * (4 << MULTIPLIER)

    for _ in range(2):
        now += lasts_s - 0.01
        assert client.connected(int(now), SET_STATE + bytes(4)) is not None, "each use prolongs it"
    now += lasts_s + 0.01
    assert client.connected(9, SET_STATE + bytes(4)) is None
    assert client.forward_open()[2] == Status.SUCCESS, "its triad is free again"


def test_connections_that_timed_out_do_not_count() -> None:
    now = 100.0
    client = Client(ConnectionTable(limit=1, clock=lambda: now))
    client.register()
    client.forward_open(rpi_us=100_000)
    assert client.forward_open(serial=2)[2] == Status.CONNECTION_FAILURE

    now += 0.1 * (4 << MULTIPLIER) + 0.01

    assert client.forward_open(serial=2)[2] == Status.SUCCESS


def test_a_connection_of_another_session_is_unknown() -> None:
    connections = ConnectionTable()
    owner, other = Client(connections), Client(connections)
    for client in (owner, other):
        client.register()
    owner.forward_open()

    assert other.connected(1, SET_STATE + bytes(4), connection=owner.connection) is None


def test_a_forgotten_session_is_invalid_and_a_forgotten_connection_is_silence(
    client: Client,
) -> None:
    client.forward_open()
    client.session.end()
    assert client.connected(1, SET_STATE + bytes(4)) is None

    client.session.forget()
    reply = client.connected(1, SET_STATE + bytes(4))
    assert reply is not None
    assert struct.unpack_from("<I", reply, 8)[0] == 0x64


def test_a_registration_of_another_length_is_refused() -> None:
    reply = Client().send(0x65, b"\x01\x00")

    assert reply is not None
    assert struct.unpack_from("<I", reply, 8)[0] == 0x65


def unconnected_send(slot: int) -> bytes:
    inner = b"\x01\x02\x20\x01\x24\x01"
    wrapped = b"\x52\x02\x20\x06\x24\x01\x0a\x05" + struct.pack("<H", len(inner)) + inner
    return wrapped + bytes((1, 0, 1, slot))


def test_an_unconnected_send_to_the_controllers_slot_is_unwrapped(client: Client) -> None:
    reply = client.unconnected(unconnected_send(0))

    assert reply[:4] == b"\x81\0\0\0"
    assert reply[4:6] == b"\x01\0", "vendor 1"


def test_an_unconnected_send_to_an_empty_slot_is_refused(client: Client) -> None:
    reply = client.unconnected(unconnected_send(7))

    assert reply[:6] == b"\xd2\0\x01\x01\x12\x03"


def test_nothing_is_executed_without_a_session_or_in_a_foreign_one() -> None:
    client = Client()
    for session in (0, 99):
        reply = client.send(0x6F, b"", session=session)
        assert reply is not None
        assert struct.unpack_from("<I", reply, 8)[0] == 0x64


def test_a_nop_has_no_reply_and_the_session_goes_on(client: Client) -> None:
    assert client.send(0x00, b"whatever") is None
    assert client.forward_open()[2] == 0


def test_cip_over_tcp_is_the_service_that_is_listed() -> None:
    reply = Client().send(0x04, b"")

    assert reply is not None
    count, kind, length, version, flags = struct.unpack_from("<HHHHH", reply, 24)
    assert (count, kind, length, version, flags) == (1, 0x0100, 20, 1, 0x20)


def test_an_unknown_command_is_refused_and_the_session_goes_on(client: Client) -> None:
    reply = client.send(0x99, b"")

    assert reply is not None
    assert struct.unpack_from("<I", reply, 8)[0] == 1
    assert client.forward_open()[2] == 0


def test_unregistering_ends_the_session_without_a_reply(client: Client) -> None:
    assert client.send(0x66, b"") is None
    assert client.session.is_over


@given(st.sampled_from([0x6F, 0x70]), st.binary(max_size=40))
def test_malformed_items_end_the_session_or_are_answered(command: int, data: bytes) -> None:
    client = Client()
    client.register()
    try:
        reply = client.send(command, data)
    except EncapsulationError:
        return
    assert reply is None or len(reply) >= 24
