"""CIP messages and their answers: golden bytes, an outside judge, and every bit flipped.

Golden bytes: dumps of pycomm3 1.2.16 on the wire, and 1756-PM020's examples.
"""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycomm3.packets.util import tag_request_path

from taktgate.plc.contract.tags import COMMAND, RESULT, STATUS, CipType, DataType
from taktgate.plc.contract.wire import ReadValue, TagRead
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.link.cip import (
    Answer,
    Service,
    check_writes,
    parse_answers,
    parse_packet,
    read_tag,
    several,
    tag_path,
    type_field,
    value_in,
    values_in,
    write_tag,
)
from taktgate.standin.logix.epath import Logical, Name, Number, parse_path

HANDLES = {RESULT.name: 0x1234, STATUS.name: 0x5678, COMMAND.name: 0x9ABC}


@pytest.mark.parametrize(
    "path",
    ["D1", "VIS01_Result[3]", "VIS01_Result[255]", "VIS01_Result[256]", "VIS01_Sts.Heartbeat"],
)
def test_a_tag_is_named_as_pycomm3_names_it(path: str) -> None:
    judged = tag_request_path(path, {"instance_id": None}, False)  # type: ignore[no-untyped-call]
    assert bytes((len(tag_path(path)) // 2,)) + tag_path(path) == judged


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,38}", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=4), st.integers(0, 0xFFFF))
def test_every_path_is_read_back_by_a_controller(names: list[str], index: int) -> None:
    text = ".".join([f"{names[0]}[{index}]", *names[1:]])
    wanted = [Name(names[0].lower()), Number(Logical.ELEMENT, index)]
    assert parse_path(tag_path(text)) == (*wanted, *(Name(name.lower()) for name in names[1:]))


@pytest.mark.parametrize("path", ["", "A.", "A[", "A[x]", "A[-1]", "1A", "A B", "Ä"])
def test_what_names_no_tag_is_our_bug(path: str) -> None:
    with pytest.raises(ValueError, match="names and indices"):
        tag_path(path)


def test_three_writes_in_a_packet_are_the_bytes_that_pycomm3_sends() -> None:
    message = several([write_tag(f"D{n}", b"\xc4\x00", bytes((0x11, n, 0, 0))) for n in (1, 2, 3)])
    assert message == bytes.fromhex(
        "0a02 20022401 0300 0800 1600 2400"
        "4d02 91024431 c4000100 11010000"
        "4d02 91024432 c4000100 11020000"
        "4d02 91024433 c4000100 11030000"
    )


def test_one_request_needs_no_packet() -> None:
    assert several([read_tag("D1")]) == bytes.fromhex("4c02 91024431 0100")


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (CipType.DINT, "c400"),
        (CipType.REAL, "ca00"),
        (CipType.BOOL, "c100"),
        (RESULT, "a0023412"),
    ],
)
def test_type_fields_are_those_of_the_manual(kind: DataType, field: str) -> None:
    assert type_field(kind, HANDLES) == bytes.fromhex(field)


def test_a_structure_without_a_handle_cannot_be_named() -> None:
    with pytest.raises(ValueError, match="UDT_VIS_Result"):
        type_field(RESULT, {})


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "no reply to service 0x0A"),
        (bytes.fromhex("8a000800"), "service not supported"),
        (bytes.fromhex("8a000000"), "another number of replies"),
        (bytes.fromhex("8a000000 0100 0400 cd000000"), "another number of replies"),
        (bytes.fromhex("8a000000 0200 0600 0b00 cd000000 cd000000"), "not in order"),
        (bytes.fromhex("8a000000 0200 0a00 0600 cd000000 cd000000"), "not in order"),
        (bytes.fromhex("8a000000 0200 0500 0a00 cd000000 cd000000"), "not in order"),
        (bytes.fromhex("8a000000 0200 0600 0a00 cd000000 cc000000"), "service 0x4D"),
        (bytes.fromhex("8a000000 0200 0600 0a00 cd000005 cd000000"), "runs over its end"),
        (bytes.fromhex("8a001e00 0200 0600 0a00 cd000000 cd000000"), "shows none"),
        (bytes.fromhex("8a000000 0200 0600 0a00 cd000000 cd00000000"), "something behind it"),
        (bytes.fromhex("8a000000 0200 0600 0a00 cd000000 cd0000010000"), "something behind it"),
        (bytes.fromhex("cd000000"), "no reply to service 0x0A"),
    ],
)
def test_a_packets_reply_must_answer_each_service(message: bytes, words: str) -> None:
    with pytest.raises(LinkDeadError, match=words):
        check_writes(message, ["D1", "D2"])


@st.composite
def answers(draw: st.DrawFn) -> tuple[int, Answer]:
    """A service and what it came to: success has no extended status, a write no data."""
    service = int(draw(st.sampled_from([Service.READ_TAG, Service.WRITE_TAG])))
    status = draw(st.sampled_from([0, 0, 4, 0xFF]))
    if status:
        extended = tuple(draw(st.lists(st.integers(0, 0xFFFF), max_size=2)))
        return service, Answer(status=status, extended=extended)
    return service, Answer(
        status=0, data=draw(st.binary(max_size=12)) if service == Service.READ_TAG else b""
    )


def encoded(service: int, answer: Answer) -> bytes:
    words = len(answer.extended)
    head = bytes((service | 0x80, 0, answer.status, words))
    return head + struct.pack(f"<{words}H", *answer.extended) + answer.data


@given(st.lists(answers(), min_size=2, max_size=6))
def test_what_a_controller_answers_is_what_is_read(pairs: list[tuple[int, Answer]]) -> None:
    replies = [encoded(*pair) for pair in pairs]
    starts = [2 + 2 * len(replies)]
    for reply in replies[:-1]:
        starts.append(starts[-1] + len(reply))
    status = 0 if all(answer.is_good for _, answer in pairs) else 0x1E
    table = struct.pack(f"<{len(starts) + 1}H", len(starts), *starts)
    message = bytes((0x8A, 0, status, 0)) + table + b"".join(replies)
    services = [service for service, _ in pairs]
    assert parse_packet(message, services) == [answer for _, answer in pairs]
    for end in range(len(message) - len(replies[-1]) + 4):
        with pytest.raises(LinkDeadError):
            parse_packet(message[:end], services)


@given(st.binary(max_size=80), st.lists(st.sampled_from([0x4C, 0x4D]), min_size=1, max_size=4))
def test_rubbish_is_doubted_and_never_a_crash(message: bytes, services: list[int]) -> None:
    try:
        found = parse_answers(message, services)
    except LinkDeadError:
        return
    assert len(found) == len(services)
    assert message[0] in {0x8A, 0xCC, 0xCD}


def test_a_refusal_says_in_words_what_it_is() -> None:
    assert str(Answer(status=0xFF, extended=(0x2107,))) == (
        "general error (0xFF), another type (0x2107)"
    )


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (CipType.DINT, "c400 feffffff", -2),
        (CipType.REAL, "ca00 0000803e", 0.25),
        (CipType.BOOL, "c100 00", False),
        (CipType.BOOL, "c100 01", True),
        (CipType.BOOL, "c100 ff", True),
        (CipType.BOOL, "c100 01 00", True),
    ],
)
def test_a_value_is_what_its_bytes_say(kind: CipType, data: str, value: object) -> None:
    found = value_in(bytes.fromhex(data), kind, type_field(kind, HANDLES))
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (CipType.DINT, "ca00 00000000"),
        (CipType.DINT, "c400 000000"),
        (CipType.DINT, "c400 0000000000"),
        (CipType.DINT, ""),
        (CipType.BOOL, "c100 02"),
        (CipType.BOOL, "c100 01 01"),
        (CipType.BOOL, "c100 01 00 00"),
        (COMMAND, "a002 0000" + "00" * 24),
        (COMMAND, "a002 bc9a" + "00" * 23),
        (COMMAND, "c400 bc9a" + "00" * 24),
    ],
)
def test_a_value_of_another_type_or_size_is_not_believed(kind: DataType, data: str) -> None:
    with pytest.raises(LinkDeadError):
        value_in(bytes.fromhex(data), kind, type_field(kind, HANDLES))


READS = (
    TagRead(path="VIS01_Cmd", type=COMMAND),
    TagRead(path="VIS01_Sts.BootId", type=CipType.DINT),
)
READ_REPLY = bytes.fromhex(
    "8a000000 0200 0600 2600 cc000000 a002bc9a" + "00" * 24 + "cc000000 c400 4d000000"
)
_VALUES = {*range(18, 42), *range(48, 52)}


def values(message: bytes) -> list[ReadValue]:
    return values_in(message, READS, HANDLES)


def test_a_read_gives_the_values_in_order() -> None:
    command, boot_id = values(READ_REPLY)
    assert isinstance(command, dict)
    assert (command["TriggerId"], boot_id) == (0, 77)


def test_only_the_values_of_a_reads_reply_are_free() -> None:
    for position in set(range(len(READ_REPLY))) - _VALUES:
        for bit in range(8):
            damaged = bytearray(READ_REPLY)
            damaged[position] ^= 1 << bit
            with pytest.raises(LinkDeadError):
                values(bytes(damaged))


def test_a_refused_read_is_named_with_its_reason() -> None:
    refused = READ_REPLY[:2] + b"\x1e" + READ_REPLY[3:42] + bytes.fromhex("cc000500")
    with pytest.raises(LinkDeadError, match=r"BootId: no such object"):
        values(refused)
