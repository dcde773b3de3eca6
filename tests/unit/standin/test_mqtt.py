"""The MQTT codec: any cut of the stream gives the same packets, and nothing but packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure.errors import MqttProtocolError
from taktgate.standin.azure.mqtt import codec
from taktgate.standin.azure.mqtt.payloads import parse_json

TEXT = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0+#"), min_size=1, max_size=40
)
PACKET_IDS = st.integers(1, 0xFFFF)
PUBLISHES = st.builds(
    lambda topic, payload, packet_id, dup: codec.Publish(
        topic=topic,
        payload=payload,
        qos=1 if packet_id else 0,
        packet_id=packet_id,
        dup=dup and packet_id > 0,
    ),
    TEXT,
    st.binary(max_size=300),
    st.integers(0, 0xFFFF),
    st.booleans(),
)
PACKETS = st.one_of(
    PUBLISHES,
    st.builds(
        codec.Connect,
        client_id=TEXT,
        username=st.none() | TEXT,
        password=st.none() | TEXT,
        keep_alive_s=st.integers(0, 0xFFFF),
        clean_session=st.booleans(),
    ),
    st.builds(codec.ConnAck, code=st.integers(0, 5), session_present=st.booleans()),
    st.builds(codec.PubAck, packet_id=PACKET_IDS),
    st.builds(
        codec.Subscribe,
        packet_id=PACKET_IDS,
        filters=st.lists(st.tuples(TEXT, st.integers(0, 2)), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(
        codec.SubAck,
        packet_id=PACKET_IDS,
        codes=st.lists(st.sampled_from([0, 1, 0x80]), max_size=4).map(tuple),
    ),
    st.builds(
        codec.Unsubscribe,
        packet_id=PACKET_IDS,
        filters=st.lists(TEXT, min_size=1, max_size=4).map(tuple),
    ),
    st.builds(codec.UnsubAck, packet_id=PACKET_IDS),
    st.just(codec.PingReq()),
    st.just(codec.PingResp()),
    st.just(codec.Disconnect()),
)


@given(st.lists(PACKETS, max_size=5), st.data())
def test_any_cut_of_the_stream_gives_the_same_packets(
    packets: list[codec.Packet], data: st.DataObject
) -> None:
    stream = b"".join(map(codec.encode, packets))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    decoder = codec.Decoder()
    decoded = [packet for piece in pieces for packet in decoder.feed(piece)]
    assert decoded == packets


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_protocol_error(data: bytes) -> None:
    try:
        packets = codec.Decoder().feed(data)
    except MqttProtocolError:
        return
    assert len(packets) <= len(data) // 2


def test_connect_of_the_sdk_is_read() -> None:
    captured = bytes.fromhex("101a00044d51545404c0003c0003442f4d0004757365720003736173")
    assert codec.Decoder().feed(captured) == [
        codec.Connect(client_id="D/M", username="user", password="sas", keep_alive_s=60)
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00", "packet type 0"),
        (b"\x34", "QoS 2"),
        (b"\x50\x02\x00\x01", "packet type 5"),
        (b"\x80", "flags"),
        (b"\x40\x02\x00\x00", "identifier is 0"),
        (b"\x40\x03\x00\x01\x00", "bytes after"),
        (b"\x30\x03\x00\x05a", "ends inside"),
        (b"\x30\x04\x00\x02\xff\xff", "UTF-8"),
        (b"\x30\x03\x00\x01#", "wildcards"),
        (b"\x30\xff\xff\xff\xff", "more than four"),
        (b"\x30\x80\x80\x80\x01", "rule: at most"),
        (b"\x10\x06\x00\x04MQIs", "not MQTT"),
    ],
)
def test_wrong_bytes_are_refused_with_their_reason(data: bytes, reason: str) -> None:
    with pytest.raises(MqttProtocolError, match=reason):
        codec.Decoder().feed(data)


@pytest.mark.parametrize("payload", [b"", b" \n", b"null"])
def test_no_payload_is_null(payload: bytes) -> None:
    assert parse_json(payload) is None


@pytest.mark.parametrize(
    "payload", [b"{", b"\xff", b"NaN", b"[-Infinity]", b"1e999", b'"\\ud800"', b"[" * 10**5]
)
def test_payload_that_is_not_json_is_a_protocol_error(payload: bytes) -> None:
    with pytest.raises(MqttProtocolError, match="not JSON"):
        parse_json(payload)
