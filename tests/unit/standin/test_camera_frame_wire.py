import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.frames.frame_wire import (
    HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    FrameHeader,
    FrameWireError,
    check_payload,
    decode_header,
    encode_header,
)


def header(width: int = 4, height: int = 2, channels: int = 1, frame_id: int = 7) -> FrameHeader:
    return FrameHeader(
        frame_id=frame_id,
        width=width,
        height=height,
        channels=channels,
        payload_bytes=width * height * channels,
        exposure_ns=123_456_789_012_345,
        crc32=zlib.crc32(bytes(width * height * channels)),
    )


@given(
    st.builds(
        header,
        width=st.integers(1, 400),
        height=st.integers(1, 400),
        channels=st.sampled_from([1, 3]),
        frame_id=st.integers(0, 2**64 - 1),
    )
)
def test_a_header_comes_out_as_it_went_in(sent: FrameHeader) -> None:
    data = encode_header(sent)

    assert len(data) == HEADER_BYTES
    assert decode_header(data) == sent


def test_the_layout_is_the_documented_one() -> None:
    assert encode_header(header()).hex() == (
        "544b4731"
        "0100"
        "0000"
        "0700000000000000"
        "04000000"
        "02000000"
        "01000000"
        "08000000"
        "79df0d8648700000"
        "69df2265" + "00" * 20
    )


@pytest.mark.parametrize(
    ("offset", "value", "field"),
    [
        (0, b"TKG2", "magic"),
        (4, b"\x02\x00", "version"),
        (16, b"\0\0\0\0", "width"),
        (20, b"\0\0\0\0", "height"),
        (24, b"\x02\0\0\0", "channels"),
        (28, b"\x09\0\0\0", "payload_bytes"),
    ],
)
def test_a_wrong_header_is_refused_by_field_and_rule(offset: int, value: bytes, field: str) -> None:
    data = bytearray(encode_header(header()))
    data[offset : offset + len(value)] = value

    with pytest.raises(FrameWireError) as refusal:
        decode_header(bytes(data))

    assert refusal.value.field == field
    assert refusal.value.rule


@pytest.mark.parametrize("size", [0, HEADER_BYTES - 1, HEADER_BYTES + 1])
def test_a_header_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(FrameWireError, match="must be 64 bytes"):
        decode_header(bytes(size))


def test_a_payload_over_the_limit_is_refused_before_anything_is_received() -> None:
    with pytest.raises(FrameWireError, match=f"at most {MAX_PAYLOAD_BYTES}"):
        header(width=MAX_PAYLOAD_BYTES // 2, height=3)


@given(st.binary(min_size=HEADER_BYTES, max_size=HEADER_BYTES))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    with pytest.raises(FrameWireError):
        decode_header(data)


def test_a_payload_is_checked_by_length_and_checksum() -> None:
    sent = header()
    check_payload(sent, bytes(8))

    with pytest.raises(FrameWireError, match="announced 8, got 7"):
        check_payload(sent, bytes(7))
    with pytest.raises(FrameWireError, match="crc32"):
        check_payload(sent, bytes(7) + b"\1")


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(FrameWireError, match="does not fit"):
        encode_header(replace(header(), frame_id=2**64))
