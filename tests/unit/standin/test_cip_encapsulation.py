from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.logix.encapsulation import (
    HEADER_BYTES,
    MAX_DATA_BYTES,
    Frame,
    FrameParser,
    ItemType,
    address_and_data,
    encode_items,
)
from taktgate.standin.logix.errors import EncapsulationError

frames = st.builds(
    Frame,
    command=st.integers(0, 0xFFFF),
    session=st.integers(0, 0xFFFF_FFFF),
    context=st.binary(min_size=8, max_size=8),
    data=st.binary(max_size=200),
)


@given(st.lists(frames, max_size=6), st.lists(st.integers(0, 2000), max_size=8))
def test_any_cut_of_the_stream_gives_the_same_frames(sent: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(frame.encode() for frame in sent)
    borders = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    parser = FrameParser()

    received = [
        frame for start, end in pairwise(borders) for frame in parser.feed(stream[start:end])
    ]

    assert received == sent


@given(st.lists(frames, max_size=3), st.integers(0, 300))
def test_a_bad_header_ends_the_stream_after_the_same_frames_at_any_cut(
    sent: list[Frame], cut: int
) -> None:
    bad = Frame(command=0x70, session=1, context=bytes(8), data=b"", status=1).encode()
    stream = b"".join(frame.encode() for frame in sent) + bad + b"whatever"
    parser = FrameParser()
    received: list[Frame] = []
    parts = chain.from_iterable(parser.feed(part) for part in (stream[:cut], stream[cut:]))

    with pytest.raises(EncapsulationError, match="must be 0 in a request"):
        received.extend(parts)

    assert received == sent


def test_a_length_over_the_limit_is_refused_before_it_is_buffered() -> None:
    header = bytearray(Frame(command=0x70, session=1, context=bytes(8), data=b"").encode())
    header[2:4] = (MAX_DATA_BYTES + 1).to_bytes(2, "little")

    with pytest.raises(EncapsulationError, match="length"):
        list(FrameParser().feed(bytes(header)))

    assert len(header) == HEADER_BYTES


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_items_come_out_as_they_went_in(address: bytes, payload: bytes) -> None:
    data = encode_items([(ItemType.CONNECTED_ADDRESS, address), (ItemType.CONNECTED_DATA, payload)])

    assert address_and_data(
        data, address=ItemType.CONNECTED_ADDRESS, payload=ItemType.CONNECTED_DATA
    ) == (address, payload)


@given(st.binary(max_size=60))
def test_items_are_found_whole_or_refused(data: bytes) -> None:
    try:
        address, payload = address_and_data(
            data, address=ItemType.NULL_ADDRESS, payload=ItemType.UNCONNECTED_DATA
        )
    except EncapsulationError:
        return
    assert address in data
    assert payload in data
