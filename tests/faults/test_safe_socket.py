"""The hazards of pycomm3's socket (`plc/link/safe_socket.py`), one server for each."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from tests.waiting import wait_until

from taktgate.plc.errors import LinkDeadError, LinkRefusedError
from taktgate.plc.link.safe_socket import SafeSocket, trim_doubled_write

DEADLINE_S = 0.15
"""Of an exchange where a test waits for its end."""
PATIENCE_S = 20.0
"""Of one that ends by what comes; and what is waited for elsewhere."""
AT_ONCE_S = 5.0
"""On a busy machine, and far from `PATIENCE_S`."""
SLACK_S = 2.0
Connection = socket.socket
Behaviour = Callable[[Connection], None]
Connect = Callable[..., SafeSocket]
"""By its behaviour, and perhaps the deadline of an exchange (`deadline_s`)."""


READ = bytes.fromhex("4c02206b24010100")
"""Read one element of symbol 1."""
ANSWER = bytes.fromhex("cc000000c40007000000")
"""It is a DINT and holds 7."""


def frame(
    sequence: int,
    body: bytes = READ,
    *,
    session: int = 7,
    context: bytes = b"_pycomm_",
    connection: int = 0x1234,
    status: int = 0,
) -> bytes:
    """Return a SendUnitData frame, as pycomm3 and controllers build it."""
    data = sequence.to_bytes(2, "little") + body
    items = struct.pack("<IHHHHIHH", 0, 10, 2, 0xA1, 4, connection, 0xB1, len(data)) + data
    return struct.pack("<HHII8sI", 0x70, len(items), session, status, context, 0) + items


def answer(sequence: int, **fields: Any) -> bytes:
    """Return the reply to `frame(sequence)`."""
    return frame(sequence, ANSWER, **fields)


def reply_to(request: bytes) -> bytes:
    return answer(sequence_of(request))


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

    def connect(behaviour: Behaviour, *, deadline_s: float = PATIENCE_S) -> SafeSocket:
        threads.append(threading.Thread(target=serve, args=(behaviour,)))
        threads[-1].start()
        safe = SafeSocket(connect_timeout_s=PATIENCE_S, exchange_timeout_s=deadline_s)
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
        connection.sendall(reply_to(receive_request(connection)))


def test_a_good_controller_is_believed(connect: Connect) -> None:
    safe = connect(echo)
    assert [exchange(safe, number) for number in (1, 2, 3)] == [answer(n) for n in (1, 2, 3)]


def test_a_reply_in_pieces_is_put_together(connect: Connect) -> None:
    def in_pieces(connection: Connection) -> None:
        reply = reply_to(receive_request(connection))
        for start in range(0, len(reply), 10):
            connection.sendall(reply[start : start + 10])
            time.sleep(0.005)

    assert exchange(connect(in_pieces), 1) == answer(1)


def test_the_reply_that_is_expected_is_believed_whole_or_in_pieces(connect: Connect) -> None:
    def answer_in_pieces(connection: Connection) -> None:
        for pieces in (1, 3):
            reply = reply_to(receive_request(connection))
            size = -(-len(reply) // pieces)
            for start in range(0, len(reply), size):
                connection.sendall(reply[start : start + size])
                time.sleep(0.01)

    safe = connect(answer_in_pieces)
    for sequence in (1, 2):
        assert safe.exchange(frame(sequence), answer(sequence)) == answer(sequence)


def test_f2_an_expectation_makes_no_other_reply_believed(connect: Connect) -> None:
    def one_behind(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(answer(6))

    with pytest.raises(LinkDeadError, match="sequence count"):
        connect(one_behind).exchange(frame(7), answer(7))


def test_f2_bytes_behind_the_reply_that_is_expected_are_not_believed(connect: Connect) -> None:
    def twice(connection: Connection) -> None:
        connection.sendall(2 * reply_to(receive_request(connection)))

    with pytest.raises(LinkDeadError, match="more bytes than one reply"):
        connect(twice).exchange(frame(1), answer(1))


def test_f2_a_late_reply_is_never_taken_for_the_next_one(connect: Connect) -> None:
    is_given_up, is_sent = threading.Event(), threading.Event()

    def late_once(connection: Connection) -> None:
        request = receive_request(connection)
        is_given_up.wait(PATIENCE_S)
        with suppress(ConnectionError):
            connection.sendall(reply_to(request))
        is_sent.set()
        echo(connection)

    safe = connect(late_once, deadline_s=DEADLINE_S)
    with pytest.raises(LinkDeadError, match="deadline"):
        exchange(safe, 1)
    is_given_up.set()
    assert is_sent.wait(PATIENCE_S)
    with pytest.raises(LinkDeadError, match="session is over"):
        exchange(safe, 2)


def test_f2_the_reply_to_another_request_is_not_believed(connect: Connect) -> None:
    def one_behind(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(answer(6))

    with pytest.raises(LinkDeadError, match="sequence count"):
        exchange(connect(one_behind), 7)


def test_f2_two_replies_at_once_are_not_believed(connect: Connect) -> None:
    def twice(connection: Connection) -> None:
        connection.sendall(2 * reply_to(receive_request(connection)))

    with pytest.raises(LinkDeadError, match="more bytes than one reply"):
        exchange(connect(twice), 1)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (answer(1, session=8), "another session"),
        (answer(1, context=b"somebody"), "sender context"),
        (answer(1, status=0x64), "encapsulation status 0x64"),
        (b"\x6f" + answer(1)[1:], "another command"),
        (frame(1, b"\xcd" + ANSWER[1:]), "no reply to service 0x4C"),
        (frame(1, b"\x4c" + ANSWER[1:]), "no reply to service 0x4C"),
        (frame(1, b""), "no reply to service 0x4C"),
        (answer(1)[:2] + b"\x12" + answer(1)[3:42], "cut short"),
        (answer(1)[:30] + b"\3" + answer(1)[31:], "other items"),
        (answer(1)[:42] + b"\3" + answer(1)[43:], "another length"),
    ],
)
def test_f2_a_foreign_reply_is_not_believed(connect: Connect, reply: bytes, reason: str) -> None:
    def foreign(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(reply)

    with pytest.raises(LinkDeadError, match=reason):
        exchange(connect(foreign), 1)


def test_a_target_may_leave_the_sender_context_out_on_a_connection(connect: Connect) -> None:
    def without(connection: Connection) -> None:
        connection.sendall(answer(sequence_of(receive_request(connection)), context=bytes(8)))

    assert exchange(connect(without), 1) == answer(1, context=bytes(8))


def open_frame(reply_id: int, *, is_reply: bool = False) -> bytes:
    """Return the frame of a Forward Open that chooses *reply_id*, or of a reply to it."""
    triad = struct.pack("<IHHI", reply_id, 1, 0x1009, 5)
    message = bytes.fromhex("5402200624010a05") + bytes(4) + triad
    if is_reply:
        message = bytes.fromhex("d4000000") + bytes(4) + triad + bytes(10)
    items = struct.pack("<IHHHHHH", 0, 10, 2, 0, 0, 0xB2, len(message)) + message
    return struct.pack("<HHII8sI", 0x6F, len(items), 7, 0, b"_pycomm_", 0) + items


@pytest.mark.parametrize(("reply_id", "is_believed"), [(0x1234, True), (0x1235, False)])
def test_f2_a_reply_must_come_on_the_connection_that_was_opened(
    connect: Connect, reply_id: int, is_believed: bool
) -> None:
    def opened(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(open_frame(0x1234, is_reply=True))
        connection.sendall(answer(sequence_of(receive_request(connection)), connection=reply_id))

    safe = connect(opened)
    safe.send(open_frame(0x1234))
    safe.receive()
    if is_believed:
        assert exchange(safe, 1) == answer(1)
        return
    with pytest.raises(LinkDeadError, match="another connection"):
        exchange(safe, 1)


def test_f2_a_reply_that_came_before_its_request_is_not_believed(connect: Connect) -> None:
    first_is_read, stray_is_sent = threading.Event(), threading.Event()

    def twice(connection: Connection) -> None:
        connection.sendall(reply_to(receive_request(connection)))
        first_is_read.wait(PATIENCE_S)
        connection.sendall(open_frame(0x1234, is_reply=True))
        stray_is_sent.set()

    safe = connect(twice)
    exchange(safe, 1)
    first_is_read.set()
    assert stray_is_sent.wait(PATIENCE_S)
    with pytest.raises(LinkDeadError, match="more than one reply"):
        safe.send(open_frame(0x1234))


def test_a_request_before_the_reply_to_the_last_one_ends_the_session(connect: Connect) -> None:
    safe = connect(echo)
    safe.send(frame(1))
    with pytest.raises(LinkDeadError, match="before the reply"):
        safe.send(frame(2))
    with pytest.raises(LinkDeadError, match="session is over"):
        safe.receive()


def test_a_second_reply_to_one_request_is_not_waited_for(connect: Connect) -> None:
    safe = connect(echo)
    exchange(safe, 1)
    with pytest.raises(LinkDeadError, match="no reply is due"):
        safe.receive()


def test_a_header_that_announces_60_kb_is_refused_at_once(connect: Connect) -> None:
    done = threading.Event()

    def boast(connection: Connection) -> None:
        receive_request(connection)
        connection.sendall(struct.pack("<HHII8sI", 0x70, 60_000, 7, 0, b"_pycomm_", 0))
        done.wait(PATIENCE_S)

    started_s = time.monotonic()
    with pytest.raises(LinkDeadError, match="announces 60024 bytes"):
        exchange(connect(boast), 1)
    done.set()
    assert time.monotonic() - started_s < AT_ONCE_S


def test_f4_a_controller_that_reads_nothing_ends_the_exchange_at_its_deadline(
    connect: Connect,
) -> None:
    done = threading.Event()

    def deaf(_connection: Connection) -> None:
        done.wait(PATIENCE_S)

    safe = connect(deaf, deadline_s=DEADLINE_S)
    started_s = time.monotonic()
    with pytest.raises(LinkDeadError, match="deadline"):
        safe.send(bytes(64 * 1024 * 1024))
    done.set()
    assert DEADLINE_S * 0.9 < time.monotonic() - started_s < DEADLINE_S + SLACK_S


def test_an_adopted_connection_gets_the_options_of_one_made_here() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = socket.create_connection(listener.getsockname())
        SafeSocket(connect_timeout_s=1.0, exchange_timeout_s=1.0, connection=connection)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert not connection.getblocking()
        connection.close()


@pytest.mark.parametrize("sent_bytes", [0, 1, 24, 30])
def test_f3_a_reply_cut_off_ends_the_exchange_at_once(connect: Connect, sent_bytes: int) -> None:
    def cut(connection: Connection) -> None:
        connection.sendall(reply_to(receive_request(connection))[:sent_bytes])

    started_s = time.monotonic()
    with pytest.raises(LinkDeadError, match="cut off"):
        exchange(connect(cut), 1)
    assert time.monotonic() - started_s < AT_ONCE_S


def test_f4_a_dripped_reply_ends_at_the_deadline_of_the_exchange(connect: Connect) -> None:
    def drip(connection: Connection) -> None:
        for byte in reply_to(receive_request(connection)):
            connection.sendall(bytes([byte]))
            time.sleep(DEADLINE_S / 2)

    safe = connect(drip, deadline_s=DEADLINE_S)
    started_s = time.monotonic()
    with pytest.raises(LinkDeadError):
        exchange(safe, 1)
    assert DEADLINE_S * 0.9 < time.monotonic() - started_s < DEADLINE_S + SLACK_S


def test_f4_a_whole_opening_has_a_limit_of_its_own(connect: Connect) -> None:
    safe = connect(echo)
    safe.expires_s = time.monotonic()
    with pytest.raises(LinkDeadError, match="deadline"):
        exchange(safe, 1)


def test_f5_the_doubled_body_of_a_single_write_leaves_once(connect: Connect) -> None:
    body = bytes.fromhex("4d02206b24 01c4000100 44332211".replace(" ", ""))
    doubled = frame(3, body + (3).to_bytes(2, "little") + body)
    seen: list[bytes] = []

    def note(connection: Connection) -> None:
        seen.append(receive_request(connection))
        connection.sendall(frame(3, bytes.fromhex("cd000000")))

    safe = connect(note)
    assert safe.send(doubled) == len(doubled)
    safe.receive()
    assert seen == [frame(3, body)]


@pytest.mark.parametrize(
    "other",
    [
        frame(3, b"\x4d\x02 no copy"),
        frame(0x0A0A, b"\x0a\x0a\x0a\x0a\x0a\x0a"),
        frame(3, b""),
        struct.pack("<HHII8sI", 0x65, 4, 0, 0, b"_pycomm_", 0) + b"\1\0\0\0",
    ],
)
def test_f5_every_other_frame_leaves_as_it_is(other: bytes) -> None:
    assert trim_doubled_write(other) == other


def test_a_hung_controller_is_reset_so_that_nothing_may_still_arrive(connect: Connect) -> None:
    seen: list[BaseException] = []

    def hang(connection: Connection) -> None:
        receive_request(connection)
        connection.settimeout(PATIENCE_S)
        try:
            connection.recv(1)
        except ConnectionResetError as error:
            seen.append(error)

    with pytest.raises(LinkDeadError):
        exchange(connect(hang, deadline_s=DEADLINE_S), 1)
    assert wait_until(lambda: seen), "the connection is reset"


def test_nobody_at_the_address_is_a_refusal() -> None:
    safe = SafeSocket(connect_timeout_s=0.2, exchange_timeout_s=0.2)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # it has a port, and does not listen
        with pytest.raises(LinkRefusedError):
            safe.connect("127.0.0.1", nobody.getsockname()[1])


def test_a_socket_that_never_connected_cannot_be_used() -> None:
    with pytest.raises(LinkDeadError, match="not connected"):
        SafeSocket(connect_timeout_s=0.2, exchange_timeout_s=0.2).send(frame(1))
