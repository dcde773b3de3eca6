"""Protocol buffers are read without trust: what an encoder wrote, or a refusal."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle import protobuf
from taktgate.bundle.protobuf import Field, ProtobufError, fields
from taktgate.standin.onnx_file import field, varint_field

NUMBERS = st.integers(1, 2**29 - 1)
WRITTEN = st.lists(
    st.one_of(
        st.tuples(NUMBERS, st.binary(max_size=200)).map(lambda its: (*its, field(*its))),
        st.tuples(NUMBERS, st.integers(0, 2**64 - 1)).map(lambda its: (*its, varint_field(*its))),
        st.binary(min_size=4, max_size=4).map(lambda data: (1, None, b"\x0d" + data)),
        st.binary(min_size=8, max_size=8).map(lambda data: (1, None, b"\x09" + data)),
    ),
    max_size=8,
)


@given(WRITTEN)
def test_what_an_encoder_wrote_is_read_field_by_field(
    written: list[tuple[int, object, bytes]],
) -> None:
    message = b"".join(raw for *_, raw in written)
    found: list[tuple[int, object, object]] = list(fields(message))
    assert found == written


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused_or_walked_to_their_end(content: bytes) -> None:
    try:
        walked = b"".join(each.raw for each in fields(content))
    except ProtobufError:
        return
    assert walked == content


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\x02\x00", "field 0"),
        (b"\x08", "number is cut off"),
        (b"\x08\x80", "number is cut off"),
        (b"\x08" + b"\x80" * 10 + b"\x01", "too long"),
        (b"\x0a\x02x", "field 1 is cut off"),
        (b"\x0a" + b"\xff" * 9 + b"\x7f", "field 1 is cut off"),
        (b"\x0d\x00\x00\x00", "field 1 is cut off"),
        (b"\x09" + bytes(7), "field 1 is cut off"),
        (b"\x0b", "wire type 3"),
        (b"\x0f", "wire type 7"),
    ],
)
def test_what_is_no_message_is_refused_by_name(message: bytes, reason: str) -> None:
    with pytest.raises(ProtobufError, match=reason):
        list(fields(message))


def test_a_message_of_too_many_fields_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "FIELDS_LIMIT", 3)
    assert len(list(fields(varint_field(1, 1) * 3))) == 3
    with pytest.raises(ProtobufError, match="at most 3 fields"):
        list(fields(varint_field(1, 1) * 4))


@pytest.mark.parametrize(
    ("message", "ask"),
    [
        (varint_field(1, 1), Field.content),
        (b"\x0d" + bytes(4), Field.content),
        (field(1, b"1"), Field.whole),
        (b"\x0d" + bytes(4), Field.whole),
    ],
)
def test_a_field_of_another_kind_than_asked_for_is_refused(
    message: bytes, ask: Callable[[Field], object]
) -> None:
    (its,) = fields(message)
    with pytest.raises(ProtobufError, match="field 1 must be"):
        ask(its)
