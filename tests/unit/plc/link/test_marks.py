"""The marks of a controller: read from any honest answer, refused from any other."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.verified import VerifiedContract
from taktgate.plc.errors import ContractChangedError, LinkDeadError
from taktgate.plc.link.marks import Marks, expect_unchanged, marks_in, marks_message, mode_of
from taktgate.plc.link.port import Mode

UDT, FLAT = UdtProfile(), FlatProfile()
SERIAL = 0x7A6B5C4D
NAME = b"\x041756"
IDENTITY = struct.pack("<HHHBBHI", 1, 14, 166, 33, 11, 0x3160, SERIAL) + NAME
TABLE = bytes.fromhex("0500 01000000 0500")
HANDLES = {"UDT_VIS_Result": 0x1111, "UDT_VIS_Status": 0x2222, "UDT_VIS_Cmd": 0x3333}
CONTRACT = VerifiedContract(
    address="10.0.0.1",
    profile="udt",
    serial=SERIAL,
    product_name="1756",
    table_version=TABLE,
    handles=HANDLES,
)


def good(service: int, data: bytes) -> bytes:
    return bytes((service | 0x80, 0, 0, 0)) + data


def refused(service: int, status: int) -> bytes:
    return bytes((service | 0x80, 0, status, 0))


def packet(*replies: bytes, status: int = 0) -> bytes:
    starts = [2 + 2 * len(replies) + sum(map(len, replies[:n])) for n in range(len(replies))]
    table = struct.pack(f"<{1 + len(starts)}H", len(starts), *starts)
    return bytes((0x8A, 0, status, 0)) + table + b"".join(replies)


def structure(handle: int) -> bytes:
    return good(0x4C, struct.pack("<HH", 0x02A0, handle) + bytes(44))


READS = tuple(structure(handle) for handle in HANDLES.values())
WHOLE = packet(good(0x01, IDENTITY), good(0x03, TABLE), *READS)


def test_a_controllers_marks_are_those_that_it_sent() -> None:
    assert marks_in(WHOLE, UDT) == Marks(
        vendor=1,
        product_type=14,
        serial=SERIAL,
        mode=Mode.RUN,
        table_version=TABLE,
        handles=HANDLES,
    )


def test_all_marks_fit_one_packet_of_the_smallest_connection() -> None:
    assert len(marks_message(UDT)) < 500
    assert len(WHOLE) < 500


def test_a_controller_without_class_ac_is_known_by_its_handles() -> None:
    reply = packet(good(0x01, IDENTITY), refused(0x03, 0x05), *READS, status=0x1E)
    marks = marks_in(reply, UDT)
    assert (marks.table_version, marks.handles) == (b"", HANDLES)


def test_a_flat_controller_has_no_handles_to_be_known_by() -> None:
    marks = marks_in(packet(good(0x01, IDENTITY), good(0x03, TABLE)), FLAT)
    assert marks.handles == {}


def test_a_type_that_is_gone_has_no_handle() -> None:
    reads = (READS[0], refused(0x4C, 0x04), READS[2])
    reply = packet(good(0x01, IDENTITY), good(0x03, TABLE), *reads, status=0x1E)
    assert "UDT_VIS_Status" not in marks_in(reply, UDT).handles


def test_a_controller_that_does_not_say_who_it_is_is_not_trusted() -> None:
    reply = packet(refused(0x01, 0x08), good(0x03, TABLE), *READS, status=0x1E)
    with pytest.raises(LinkDeadError, match="who it is"):
        marks_in(reply, UDT)


@given(st.binary(max_size=300))
def test_rubbish_is_a_dead_link_and_nothing_else(reply: bytes) -> None:
    with pytest.raises(LinkDeadError):
        marks_in(reply, UDT)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_an_answer_with_a_changed_byte_gives_other_marks_or_a_dead_link(at: int, by: int) -> None:
    reply = bytearray(WHOLE)
    reply[at] ^= by
    try:
        marks = marks_in(bytes(reply), UDT)
    except LinkDeadError:
        return
    assert set(marks.handles) <= set(HANDLES)


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        (0x3160, Mode.RUN),
        (0x1160, Mode.RUN),
        (0x3170, Mode.PROGRAM),
        (0x2170, Mode.PROGRAM),
        (0x0000, Mode.UNKNOWN),
        (0x3130, Mode.UNKNOWN),
    ],
)
def test_the_status_word_says_what_the_controller_does(word: int, mode: Mode) -> None:
    assert mode_of(word) is mode


def test_the_same_marks_are_the_same_controller() -> None:
    expect_unchanged(CONTRACT, marks_in(WHOLE, UDT))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"serial": 1}, "serial 7a6b5c4d, now 00000001"),
        ({"table_version": b""}, "class 0xAC"),
        ({"table_version": TABLE + b"x"}, "class 0xAC"),
        ({"handles": {**HANDLES, "UDT_VIS_Cmd": 1}}, "type UDT_VIS_Cmd"),
        ({"handles": {}}, "type UDT_VIS_Result"),
    ],
)
def test_each_other_mark_is_another_controller(change: dict[str, object], words: str) -> None:
    marks = replace(marks_in(WHOLE, UDT), **change)  # type: ignore[arg-type]
    with pytest.raises(ContractChangedError, match=words):
        expect_unchanged(CONTRACT, marks)
