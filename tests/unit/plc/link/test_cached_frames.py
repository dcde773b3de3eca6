"""Frames that the cached backend keeps: a patched one is one built anew, a confirmation exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.tags import COMMAND, RESULT, STATUS, CipType
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.wire import Profile, TagWrite
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.link import packets
from taktgate.plc.link.cached_frames import WriteFrame, read_message, write_frame
from taktgate.plc.link.cip import (
    confirmation_of_writes,
    type_field,
)

HANDLES = {RESULT.name: 0x1234, STATUS.name: 0x5678, COMMAND.name: 0x9ABC}
CONFIRMED = confirmation_of_writes(2)
REPLY_ID = 0x1A2B3C4D


def frame_of(message: bytes) -> bytearray:
    return bytearray(packets.connected(7, 0xA1B2C3D4, message))


def written(*values: int) -> list[TagWrite]:
    """Return writes to a result slot and to a DINT, with *values* as their first bytes."""
    result, number = (bytes((value,)) for value in values)
    return [
        TagWrite(path="VIS01_Result[3]", type=RESULT, data=result.ljust(RESULT.size, b"\0")),
        TagWrite(path="VIS01_Sts.Heartbeat", type=CipType.DINT, data=number.ljust(4, b"\0")),
    ]


def reply_of(message: bytes) -> bytearray:
    return bytearray(packets.connected(7, REPLY_ID, message))


def kept(writes: list[TagWrite]) -> WriteFrame:
    return write_frame(writes, HANDLES, frame_of, reply_of)


def contents(writes: list[TagWrite]) -> list[bytes]:
    return [write.data for write in writes]


@given(st.integers(0, 255), st.integers(0, 255))
def test_a_frame_that_was_patched_is_the_frame_built_anew(first: int, second: int) -> None:
    patched = kept(written(1, 2)).fill(contents(written(first, second)))
    assert patched == kept(written(first, second)).frame


def test_a_value_of_another_size_is_not_patched_in() -> None:
    whole, _ = contents(written(1, 2))
    with pytest.raises(ValueError, match="Heartbeat"):
        kept(written(1, 2)).fill([whole, b"\0"])


def test_values_for_other_writes_are_not_patched_in() -> None:
    whole, _ = contents(written(1, 2))
    with pytest.raises(ValueError, match="shorter"):
        kept(written(1, 2)).fill([whole])


def test_the_reply_that_is_expected_is_one_that_leaves_no_doubt() -> None:
    frame = kept(written(1, 2))
    assert packets.find_doubt(frame.frame, bytes(frame.reply), REPLY_ID) is None
    frame.check(bytes(frame.reply)[packets.MESSAGE_AT :])


def test_no_bit_of_a_confirmation_can_be_wrong() -> None:
    frame = kept(written(1, 2))
    frame.check(CONFIRMED)
    for position in range(8 * len(CONFIRMED)):
        damaged = bytearray(CONFIRMED)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(LinkDeadError):
            frame.check(bytes(damaged))


def test_a_confirmation_with_a_byte_more_or_less_is_none() -> None:
    for message in (CONFIRMED[:-1], CONFIRMED + b"\0"):
        with pytest.raises(LinkDeadError):
            kept(written(1, 2)).check(message)


def test_a_refused_write_is_named_with_its_reason() -> None:
    refused = bytes.fromhex("8a001e00 0200 0600 0a00 cd000000 cd00ff01 0721")
    with pytest.raises(LinkDeadError, match=r"Heartbeat: general error .* another type"):
        kept(written(1, 2)).check(refused)


@pytest.mark.parametrize("profile", [UdtProfile(), FlatProfile()], ids=lambda one: one.name)
def test_the_reads_of_every_profile_fit_the_smallest_connection(profile: Profile) -> None:
    reads = profile.reads(echo=True)
    sizes = {CipType.DINT: 4, CipType.REAL: 4, CipType.BOOL: 1, COMMAND: COMMAND.size}
    answers = (2 + 4 + len(type_field(read.type, HANDLES)) + sizes[read.type] for read in reads)
    longest = max(2 + len(read_message(reads)), 2 + 4 + 2 + sum(answers))
    assert longest <= packets.SMALL_BYTES
