"""The probe finds a controller that answers, and costs neither time nor sockets when none does."""

import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.open_descriptors import descriptors
from tests.refusing_port import refusing_port
from tests.waiting import WITHIN_S

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.plc.opening.probe import EVERY_NS, LIMIT_NS, Probe, is_answer

HOST = "127.0.0.1"
ANSWER = bytes.fromhex("6300 0400 00000000 00000000") + b"taktgate" + bytes(4) + b"card"


class Peer:
    """A controller's port, played by hand."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(WITHIN_S)
        self.port = self._listener.getsockname()[1]

    def accept(self) -> socket.socket:
        connection, _ = self._listener.accept()
        connection.settimeout(WITHIN_S)
        return connection

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    yield peer
    peer.close()


def look_until(probe: Probe, now_ns: int) -> socket.socket | None:
    """Look at *now_ns* again and again until something comes, as ticks do."""
    until_s = time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        found = probe.look(HOST, now_ns)
        if found is not None or probe.error:
            return found
        time.sleep(0.001)
    return None


def test_a_connection_that_was_answered_is_handed_over_as_it_is(peer: Peer) -> None:
    probe = Probe(peer.port)
    assert probe.look(HOST, 0) is None
    with peer.accept() as controller:
        probe.look(HOST, 0)
        assert controller.recv(100)[:2] == b"\x63\x00"
        controller.sendall(ANSWER)
        found = look_until(probe, 0)
        assert found is not None
        with found:
            controller.sendall(b"more")
            found.settimeout(WITHIN_S)
            assert found.recv(100) == b"more"


def test_a_refused_connection_is_tried_again_100_ms_after_it_began() -> None:
    with refusing_port() as port:
        probe = Probe(port)
        assert look_until(probe, 0) is None
        assert probe.error
        probe.error = ""
        probe.look(HOST, EVERY_NS - 1)
        assert not probe.error
        look_until(probe, EVERY_NS)
        assert probe.error
    assert EVERY_NS == 100 * MILLISECOND


def test_a_controller_that_takes_the_connection_and_hangs_is_given_up_after_250_ms(
    peer: Peer,
) -> None:
    probe = Probe(peer.port)
    probe.look(HOST, 0)
    with peer.accept() as controller:
        probe.look(HOST, 0)
        assert probe.look(HOST, LIMIT_NS - 1) is None
        assert not probe.error
        assert probe.look(HOST, LIMIT_NS) is None
        assert "no answer" in probe.error
        controller.recv(100)
        with pytest.raises(ConnectionResetError):
            controller.recv(100)
    assert LIMIT_NS == 250 * MILLISECOND


def test_nothing_waits_for_an_address_that_nobody_has() -> None:
    """Of TEST-NET-1: here it is dropped or refused, and neither may hold the loop up."""
    probe = Probe(44818)
    started_s = time.monotonic()
    for tick in range(100):
        assert probe.look("192.0.2.1", tick * 10 * MILLISECOND) is None
    assert time.monotonic() - started_s < 1.0
    probe.stop()


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ANSWER + b"x",
        ANSWER.replace(b"taktgate", b"somebody"),
        b"",
    ],
    ids=["no controller", "more than an answer", "another's answer", "end"],
)
def test_what_is_no_answer_is_no_controller(peer: Peer, bytes_sent: bytes) -> None:
    probe = Probe(peer.port)
    probe.look(HOST, 0)
    with peer.accept() as controller:
        probe.look(HOST, 0)
        controller.recv(100)
        controller.sendall(bytes_sent)
        controller.shutdown(socket.SHUT_WR)
        assert look_until(probe, 0) is None
        assert probe.error


def test_a_thousand_probes_leave_no_descriptor_behind(peer: Peer) -> None:
    with refusing_port() as port:
        probe, before = Probe(port), descriptors()
        for number in range(1000):
            probe.look(HOST, number * SECOND)
        probe.stop()
        assert descriptors() <= before


@given(st.integers(0, len(ANSWER) - 1))
def test_an_answer_in_pieces_is_waited_for(cut: int) -> None:
    assert is_answer(ANSWER[:cut]) is False
    assert is_answer(ANSWER) is True


def test_more_than_an_answer_is_none() -> None:
    with pytest.raises(OSError, match="longer"):
        is_answer(ANSWER + b"x")


@given(st.binary(min_size=24, max_size=2000))
def test_other_bytes_are_never_an_answer(received: bytes) -> None:
    if received[12:20] == b"taktgate":
        return
    with pytest.raises(OSError, match=r"EtherNet/IP|longer"):
        is_answer(received)
