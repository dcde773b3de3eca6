import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.standin.logix_bench import READ, WRITE, dint, packet, path, request, status_of

from taktgate.plc.contract.tags import RESULT, TAGS
from taktgate.standin.logix.data_types import Template
from taktgate.standin.logix.errors import Status
from taktgate.standin.logix.firmware import Firmware
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router

ROOM = 500
READ_MODIFY_WRITE, READ_FRAGMENTED = 0x4E, 0x52
SUCCESS, PARTIAL, GENERAL = Status.SUCCESS, Status.PARTIAL_TRANSFER, Status.GENERAL_ERROR


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(symbols_of(TAGS), clock=lambda: 77)


@pytest.fixture
def router(memory: TagMemory) -> Router:
    return Router(memory)


def handle(memory: TagMemory) -> bytes:
    symbol = memory.symbol("VIS01_Result")
    assert symbol is not None
    return symbol.data_type.wire_type


def test_a_member_is_written_and_logged_with_its_whole_element(
    router: Router, memory: TagMemory
) -> None:
    reply = router.answer(request(WRITE, path("vis01_RESULT", 3, "triggerid"), dint(4711)), ROOM)

    assert status_of(reply) == (SUCCESS, None)
    assert memory.load("VIS01_Result", "TriggerId", 3) == 4711
    (write,) = memory.writes("VIS01_Result", 3)
    assert write.at_ns == 77
    assert write.content == memory.element("VIS01_Result", 3)


def test_the_doubled_body_of_a_single_write_is_tolerated_unless_strict(memory: TagMemory) -> None:
    doubled = request(WRITE, path("VIS01_Sts", "State"), dint(2)) * 2

    assert status_of(Router(memory).answer(doubled, ROOM)) == (SUCCESS, None)
    assert status_of(Router(memory, firmware=Firmware(is_strict=True)).answer(doubled, ROOM)) == (
        Status.TOO_MUCH_DATA,
        None,
    )


@pytest.mark.parametrize(
    ("where", "data", "expected"),
    [
        (path("Nowhere"), dint(1), (Status.PATH_SEGMENT_ERROR, None)),
        (path("VIS01_Sts", "Nothing"), dint(1), (Status.PATH_SEGMENT_ERROR, None)),
        (path("VIS01_Sts", 0), dint(1), (Status.PATH_SEGMENT_ERROR, None)),
        (b"\x20\x6b\x24\x09", dint(1), (Status.PATH_DESTINATION_UNKNOWN, None)),
        (b"\x20\x77\x24\x01", dint(1), (Status.PATH_DESTINATION_UNKNOWN, None)),
        (path("VIS01_Result", 8, "State"), dint(1), (GENERAL, 0x2105)),
        (path("VIS01_Sts", "State"), b"\xca\x00\x01\x00\0\0\0\0", (GENERAL, 0x2107)),
        (path("VIS01_Sts", "State"), b"\xc4\x00\x02\x00" + bytes(8), (GENERAL, 0x2105)),
        (path("VIS01_Sts", "State"), b"\xc4\x00\x01\x00\0", (Status.NOT_ENOUGH_DATA, None)),
        (path("VIS01_Sts", "State"), b"\xc4\x00\x01", (Status.NOT_ENOUGH_DATA, None)),
        (path("VIS01_Sts"), b"\xa0\x02\x00\x00\x01\x00" + bytes(56), (GENERAL, 0x2107)),
        (path("VIS01_Cmd", "AckSeq"), dint(1), (Status.PERMISSION_DENIED, None)),
    ],
)
def test_a_wrong_write_is_refused_by_its_code_and_changes_nothing(
    router: Router, memory: TagMemory, where: bytes, data: bytes, expected: tuple[int, int | None]
) -> None:
    before = [bytes(memory.bytes_of(symbol)) for symbol in memory.symbols]

    assert status_of(router.answer(request(WRITE, where, data), ROOM)) == expected
    assert [bytes(memory.bytes_of(symbol)) for symbol in memory.symbols] == before


def test_a_bool_is_one_bit_of_its_hidden_host(router: Router, memory: TagMemory) -> None:
    where = path("VIS01_Result", 1, "Late")

    router.answer(request(WRITE, where, b"\xc1\x00\x01\x00\xff"), ROOM)

    assert memory.element("VIS01_Result", 1)[32] == 0b1000
    reply = router.answer(request(READ, where, b"\x01\x00"), ROOM)
    assert reply[4:] == b"\xc1\x00\x01"


def test_read_modify_write_sets_and_clears_the_masked_bits(
    router: Router, memory: TagMemory
) -> None:
    memory.store("VIS01_Sts", "LastSeq", 0b1100)
    masks = struct.pack("<HII", 4, 0b0001, 0xFFFF_FFFF & ~0b1000)

    router.answer(request(READ_MODIFY_WRITE, path("VIS01_Sts", "LastSeq"), masks), ROOM)

    assert memory.load("VIS01_Sts", "LastSeq") == 0b0101


def test_a_read_that_does_not_fit_comes_in_fragments(router: Router, memory: TagMemory) -> None:
    for slot in range(8):
        memory.store("VIS01_Result", "SeqBegin", slot + 1, slot)
    collected, code = b"", PARTIAL
    while code == PARTIAL:
        data = struct.pack("<HI", 8, len(collected))
        reply = router.answer(request(READ_FRAGMENTED, path("VIS01_Result"), data), 100)
        assert len(reply) <= 100
        code = Status(reply[2])
        collected += reply[8:]

    assert code == SUCCESS
    assert collected == b"".join(memory.element("VIS01_Result", slot) for slot in range(8))


def test_a_multiple_service_packet_executes_each_for_itself(
    router: Router, memory: TagMemory
) -> None:
    services = [
        request(WRITE, path("VIS01_Sts", "State"), dint(2)),
        request(WRITE, path("VIS01_Cmd", "AckSeq"), dint(9)),
        request(WRITE, path("VIS01_Sts", "QueueDepth"), dint(3)),
    ]

    reply = router.answer(packet(*services), ROOM)

    assert status_of(reply) == (Status.EMBEDDED_SERVICE_ERROR, None)
    count, *starts = struct.unpack_from("<4H", reply, 4)
    assert count == 3
    assert [reply[4 + start + 2] for start in starts] == [
        SUCCESS,
        Status.PERMISSION_DENIED,
        SUCCESS,
    ]
    assert (memory.load("VIS01_Sts", "State"), memory.load("VIS01_Sts", "QueueDepth")) == (2, 3)


def test_a_packet_inside_a_packet_is_refused(router: Router) -> None:
    inner = request(0x0A, b"\x20\x02\x24\x01", struct.pack("<HH", 1, 4))
    outer = request(0x0A, b"\x20\x02\x24\x01", struct.pack("<HH", 1, 4) + inner)

    assert router.answer(outer, ROOM)[8 + 2] == Status.SERVICE_NOT_SUPPORTED


messages = st.one_of(
    st.binary(max_size=80),
    st.builds(
        request,
        st.integers(0, 0x7F),
        st.sampled_from(
            [
                *(bytes((0x20, number, 0x24, 1)) for number in (1, 2, 6, 0x64, 0x6B, 0x8B, 0xAC)),
                b"\x20\x6c\x25\x00\x01\x01",
                path("VIS01_Result", 2),
                path("VIS01_Sts", "Ready"),
            ]
        ),
        st.binary(max_size=40),
    ),
)


@given(messages)
def test_every_message_gets_a_reply_that_fits(message: bytes) -> None:
    memory = TagMemory(symbols_of(TAGS))

    reply = Router(memory).answer(message, ROOM)

    assert 4 <= len(reply) <= ROOM
    assert reply[0] & 0x80
    assert not any(memory.bytes_of(memory.symbols[2])), "VIS01_Cmd is the PLC's own"


def test_templates_follow_the_one_tag_table() -> None:
    (template,) = [symbol.data_type for symbol in symbols_of(TAGS) if symbol.name == "VIS01_Result"]
    assert isinstance(template, Template)
    visible = [field for field in template.fields if not field.name.startswith("ZZZZZZZZZZ")]

    assert [(field.name, field.offset, field.bit) for field in visible] == [
        (member.name, member.offset, member.bit) for member in RESULT.members
    ]
    assert [field.name for field in template.fields if field not in visible] == [
        "ZZZZZZZZZZUDT_VIS_Re8"
    ]
    assert template.size_bytes == RESULT.size


def test_pylogix_and_pycomm3_get_as_much_of_a_definition_as_they_ask_for(
    memory: TagMemory,
) -> None:
    for symbol in memory.symbols:
        assert isinstance(symbol.data_type, Template)
        asked = symbol.data_type.definition_words * 4
        assert len(symbol.data_type.definition) >= asked - 21
        assert len(symbol.data_type.definition) % 4 == 0


def test_a_changed_type_has_another_handle(memory: TagMemory) -> None:
    handles = {symbol.data_type.wire_type for symbol in memory.symbols}

    assert len(handles) == len(memory.symbols)
    assert handle(memory) in handles
