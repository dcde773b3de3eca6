"""The hazards of pycomm3's socket (`plc/link/safe_socket.py`), one server for each."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from taktgate.plc.errors import LinkDeadError, LinkRefusedError
from taktgate.plc.link.safe_socket import SafeSocket, trim_doubled_write

DEADLINE_S = 0.15
Connection = socket.socket
Behaviour = Callable[[Connection], None]
Connect = Callable[[Behaviour], SafeSocket]


def frame(
    sequence: int, body: bytes = b"", *, session: int = 7, context: bytes = b"_pycomm_"
) -> bytes:
    """Return a SendUnitData frame, as pycomm3 and controllers build it."""
    data = sequence.to_bytes(2, "little") + body
    items = struct.pack("<IHHHHIHH", 0, 10, 2, 0xA1, 4, 0x1234, 0xB1, len(data)) + data
    return struct.pack("<HHII8sI", 0x70, len(items), session, 0, context, 0) + items


def receive_request(connection: Connection) -> bytes:
    header = connection.recv(24, socket.MSG_WAITALL)
    return header + connection.recv(int.from_bytes(header[2:4], "little"), socket.MSG_WAITALL)


def sequence_of(request: bytes) -> int:
    return int.from_bytes(request[44:46], "little")


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Start a server that behaves as told, once, and return a socket connected to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    opened: list[SafeSocket] = []

    def serve(behaviour: Behaviour) -> None:
        connection, _ = listener.accept()
        with connection, suppress(ConnectionError):
            behaviour(connection)

    def connect(behaviour: Behaviour) -> SafeSocket:
        threads.append(threading.Thread(target=serve, args=(behaviour,)))
        threads[-1].start()
        safe = SafeSocket(connect_timeout_s=1.0, exchange_timeout_s=DEADLINE_S)
        opened.append(safe)
        safe.connect("127.0.0.1", listener.getsockname()[1])
        return safe

    yield connect
    for safe in opened:
        safe.abort("test is over")
    for thread in threads:
        thread.join()
    listener.close()


def exchange(safe: SafeSocket, sequence: int) -> bytes:
    safe.send(frame(sequence))
    return safe.receive()


def echo(connection: Connection) -> None:
    while True:
        connection.sendall(receive_request(connection))


def test_a_good_controller_is_believed(connect: Connect) -> None:
    safe = connect(echo)
    assert [exchange(safe, number) for number in (1, 2, 3)] == [frame(n) for n in (1, 2, 3)]


def test_a_reply_in_pieces_is_put_together(connect: Connect) -> None:
    def in_pieces(connection: Connection) -> None:
        request = receive_request(connection)
        for start in range(0, len(request), 10):
            connection.sendall(request[start : start + 10])
            time.sleep(0.005)

    assert exchange(connect(in_pieces), 1) == frame(1)


def test_f2_a_late_reply_is_never_taken_for_the_next_one(connect: Connect) -> None:
    def late_once(connection: Connection) -> None:
        request = receive_request(connection)
        time.sleep(2 * DEADLINE_S)
        connection.sendall(request)
        echo(connection)

    safe = connect(late_once)
    with pytest.raises(LinkDeadError, match="no whole reply"):
        exchange(safe, 1)
    time.sleep(2 * DEADLINE_S)
    with pytest.raises(LinkDeadError, match="session is over"):
        exchange(safe, 2)


def test_f2_the_reply_to_another_request_is_not_believed(connect: Connect) -> None:
    def one_behind(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(frame(6))

    with pytest.raises(LinkDeadError, match="sequence count"):
        exchange(connect(one_behind), 7)


def test_f2_two_replies_at_once_are_not_believed(connect: Connect) -> None:
    def twice(connection: Connection) -> None:
        request = receive_request(connection)
        connection.sendall(request + request)

    with pytest.raises(LinkDeadError, match="more bytes than one reply"):
        exchange(connect(twice), 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (frame(1, session=8), "another session"),
        (frame(1, context=b"somebody"), "sender context"),
        (b"\x6f" + frame(1)[1:], "another command"),
    ],
)
def test_f2_a_foreign_reply_is_not_believed(connect: Connect, reply: bytes, reason: str) -> None:
    def foreign(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(reply)

    with pytest.raises(LinkDeadError, match=reason):
        exchange(connect(foreign), 1)


@pytest.mark.parametrize("sent_bytes", [0, 1, 24, 30])
def test_f3_a_reply_cut_off_ends_the_exchange_at_once(connect: Connect, sent_bytes: int) -> None:
    def cut(connection: Connection) -> None:
        request = receive_request(connection)
        connection.sendall(request[:sent_bytes])

    started_s = time.monotonic()
    with pytest.raises(LinkDeadError, match="cut off"):
        exchange(connect(cut), 1)
    assert time.monotonic() - started_s < 1.0


def test_f4_a_dripped_reply_ends_at_the_deadline_of_the_exchange(connect: Connect) -> None:
    def drip(connection: Connection) -> None:
        for byte in receive_request(connection):
            connection.sendall(bytes([byte]))
            time.sleep(DEADLINE_S / 3)

    safe = connect(drip)
    started_s = time.monotonic()
    with pytest.raises(LinkDeadError):
        exchange(safe, 1)
    assert DEADLINE_S * 0.9 < time.monotonic() - started_s < DEADLINE_S + 0.5


def test_f4_a_whole_opening_has_a_limit_of_its_own(connect: Connect) -> None:
    safe = connect(echo)
    safe.expires_s = time.monotonic()
    with pytest.raises(LinkDeadError, match="deadline"):
        exchange(safe, 1)


def test_f5_the_doubled_body_of_a_single_write_leaves_once(connect: Connect) -> None:
    body = bytes.fromhex("4d02206b24 01c4000100 44332211".replace(" ", ""))
    doubled = frame(3, body + (3).to_bytes(2, "little") + body)
    safe = connect(echo)
    assert safe.send(doubled) == len(doubled)
    assert safe.receive() == frame(3, body)


@pytest.mark.parametrize(
    "other",
    [
        frame(3, b"\x4d\x02 no copy"),
        frame(0x0A0A, b"\x0a\x0a\x0a\x0a\x0a\x0a"),
        frame(3),
        struct.pack("<HHII8sI", 0x65, 4, 0, 0, b"_pycomm_", 0) + b"\1\0\0\0",
    ],
)
def test_f5_every_other_frame_leaves_as_it_is(other: bytes) -> None:
    assert trim_doubled_write(other) == other


def test_a_hung_controller_is_reset_so_that_nothing_may_still_arrive(connect: Connect) -> None:
    seen: list[BaseException] = []

    def hang(connection: Connection) -> None:
        receive_request(connection)
        connection.settimeout(2.0)
        try:
            connection.recv(1)
        except ConnectionResetError as error:
            seen.append(error)

    with pytest.raises(LinkDeadError):
        exchange(connect(hang), 1)
    deadline_s = time.monotonic() + 2.0
    while not seen and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert seen, "the connection was not reset"


def test_nobody_at_the_address_is_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    safe = SafeSocket(connect_timeout_s=0.2, exchange_timeout_s=0.2)
    with pytest.raises(LinkRefusedError):
        safe.connect("127.0.0.1", port)


def test_a_socket_that_never_connected_cannot_be_used() -> None:
    with pytest.raises(LinkDeadError, match="not connected"):
        SafeSocket(connect_timeout_s=0.2, exchange_timeout_s=0.2).send(frame(1))
