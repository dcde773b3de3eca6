"""Messages between infer service and decoder, cut anywhere."""

import socket
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import WITHIN_S

from taktgate.contracts.codec import ContractError
from taktgate.inspection.surface.decoder_wire import Fault, Read, Shape, receive, send

reads = st.one_of(
    st.builds(
        Shape,
        width=st.integers(1, 9000),
        height=st.integers(1, 9000),
        channels=st.sampled_from((1, 3)),
        correlation_id=st.none() | st.text(max_size=128),
    ).map(lambda shape: Read(shape=shape)),
    st.builds(Fault, status=st.integers(400, 599), field=st.text(), rule=st.text()).map(
        lambda fault: Read(fault=fault)
    ),
)


@given(messages=st.lists(st.tuples(reads, st.binary(max_size=3000)), max_size=4))
def test_messages_arrive_as_they_were_sent(messages: list[tuple[Read, bytes]]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for stream in (ours, theirs):
            stream.settimeout(WITHIN_S)
        sender = threading.Thread(target=_send_all, args=(ours, messages))
        sender.start()
        assert [receive(theirs, Read) for _ in messages] == messages
        sender.join()


@given(cut=st.integers(0, 40))
def test_message_that_breaks_off_is_an_end(cut: int) -> None:
    ours, theirs, whole = *socket.socketpair(), _whole_message()
    with theirs:
        theirs.settimeout(WITHIN_S)
        with ours:
            ours.sendall(whole[:cut])
        with pytest.raises(EOFError):
            receive(theirs, Read)


@given(data=st.binary(min_size=8, max_size=64))
def test_nonsense_is_refused_and_takes_no_memory(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.settimeout(WITHIN_S)
        with ours:
            ours.sendall(data)
        with pytest.raises((EOFError, ContractError)):
            receive(theirs, Read)


def _send_all(stream: socket.socket, messages: list[tuple[Read, bytes]]) -> None:
    for head, body in messages:
        send(stream, head, body)


def _whole_message() -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, Read(shape=Shape(width=1, height=1, channels=1)), b"x")
        return theirs.recv(4096)
