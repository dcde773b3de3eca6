"""What judge and spawner say to each other survives the wire, and nothing else is understood."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.spawning.port import Program
from taktgate.inspection.spawning.wire import (
    MAX_REQUEST_BYTES,
    Answer,
    Request,
    SpawnerProtocolError,
    pack_answer,
    pack_request,
    unpack_answer,
    unpack_request,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.integers(1, 2**32 - 1)
PROGRAMS = st.builds(
    Program,
    module=TEXT,
    arguments=st.lists(TEXT, max_size=3).map(tuple),
    variables=st.dictionaries(TEXT, TEXT, max_size=3),
)
VALUES = st.integers(1, 2**31 - 1)


@given(st.builds(Request, number=NUMBERS, program=PROGRAMS))
def test_a_request_arrives_as_it_was_sent(request: Request) -> None:
    assert unpack_request(pack_request(request)) == request


@given(
    st.builds(Answer, number=NUMBERS, pid=VALUES) | st.builds(Answer, number=NUMBERS, errno=VALUES)
)
def test_an_answer_arrives_as_it_was_sent(answer: Answer) -> None:
    assert unpack_answer(pack_answer(answer)) == answer


@given(st.binary(max_size=32))
def test_rubbish_is_no_message(data: bytes) -> None:
    for unpack in (unpack_request, unpack_answer):
        with contextlib.suppress(SpawnerProtocolError):
            unpack(data)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b"[]",
        b'{"number":"1","module":"m","arguments":[],"variables":{}}',
        b'{"number":1,"module":2,"arguments":[],"variables":{}}',
        b'{"number":1,"module":"m","arguments":[3],"variables":{}}',
        b'{"number":1,"module":"m","arguments":[],"variables":{"A":null}}',
        b'{"number":1,"module":"m","arguments":["\\u0000"],"variables":{}}',
    ],
)
def test_a_request_of_the_wrong_form_is_refused(data: bytes) -> None:
    with pytest.raises(SpawnerProtocolError):
        unpack_request(data)


def test_a_request_that_the_spawner_could_not_take_in_whole_is_not_sent() -> None:
    program = Program(module="m", arguments=("x" * MAX_REQUEST_BYTES,))
    with pytest.raises(SpawnerProtocolError, match="too long"):
        pack_request(Request(number=1, program=program))


def test_no_process_has_the_id_0() -> None:
    """kill(2) would take it for the whole group."""
    with pytest.raises(SpawnerProtocolError):
        unpack_answer(pack_answer(Answer(number=1, pid=0)))
