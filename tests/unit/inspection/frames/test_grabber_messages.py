"""What a camera's process and the judge say to each other: any bytes are read or refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.errors import CameraProtocolError
from taktgate.inspection.frames.grabber import messages
from taktgate.inspection.frames.grabber.messages import Announced

SLOT_BYTES = 4096
numbers = st.integers(0, (1 << 63) - 1)


@given(
    slot=st.integers(0, messages.SLOTS - 1),
    width=st.integers(1, 64),
    height=st.integers(1, 21),
    channels=st.sampled_from([1, 3]),
    frame_id=numbers,
    exposure_ns=numbers,
    trigger_id=st.none() | st.integers(-(1 << 63), (1 << 63) - 1),
)
def test_a_frame_is_read_as_it_was_announced(**facts: int) -> None:
    announced = Announced(**facts)
    data = messages.pack_frame(announced)
    assert messages.unpack_frame(data, slot_bytes=SLOT_BYTES) == announced


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({"slot": messages.SLOTS}, "slot must be below"),
        ({"channels": 4}, "channels must be 1 or 3"),
        ({"width": 0}, "a frame must be 1 to 4096 bytes, got 0"),
        ({"width": 4097, "height": 1}, "a frame must be 1 to 4096 bytes, got 4097"),
        ({"width": 0xFFFFFFFF, "height": 0xFFFFFFFF}, "a frame must be 1 to 4096 bytes"),
    ],
)
def test_a_frame_that_cannot_be_is_refused_with_the_rule(facts: dict[str, int], rule: str) -> None:
    sound = {"slot": 0, "width": 8, "height": 8, "channels": 1, "frame_id": 1, "exposure_ns": 1}
    announced = Announced(**{**sound, **facts}, trigger_id=None)
    with pytest.raises(CameraProtocolError, match=rule):
        messages.unpack_frame(messages.pack_frame(announced), slot_bytes=SLOT_BYTES)


@given(st.binary(max_size=64))
def test_bytes_that_are_no_message_raise_the_protocol_error_alone(data: bytes) -> None:
    for read in (messages.unpack_trigger, messages.unpack_give_back, messages.unpack_beat):
        with contextlib.suppress(CameraProtocolError):
            read(data)
    with contextlib.suppress(CameraProtocolError):
        messages.unpack_frame(data, slot_bytes=SLOT_BYTES)
    messages.unpack_down(data)


@pytest.mark.parametrize(
    "counters",
    [
        b"[]",
        b"[" * 9000,
        b'{"a": -1}',
        b'{"a": 1.5}',
        b'{"a": true}',
        b'{"a": 9223372036854775808}',
        b'{"": 1}',
        b'{"frames}": 1}',
        b'{"' + b"a" * 41 + b'": 1}',
        b"{" + b",".join(b'"c%d": 1' % n for n in range(33)) + b"}",
        b"\xff",
    ],
)
def test_counters_that_would_end_up_in_the_metrics_are_checked(counters: bytes) -> None:
    with pytest.raises(CameraProtocolError):
        messages.unpack_beat(messages.BEAT + counters)


def test_a_reason_fits_into_one_message_whatever_a_library_says() -> None:
    data = messages.pack_down("é\udc80" * 10_000)
    assert len(data) < messages.MAX_MESSAGE_BYTES
    assert len(messages.unpack_down(data)) <= messages.MAX_REASON
