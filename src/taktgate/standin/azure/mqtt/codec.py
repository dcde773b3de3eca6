"""MQTT 3.1.1 without I/O, for both roles: `Decoder.feed` makes packets, `encode` makes bytes.

The subset is what edgeHub speaks: QoS 0 and 1. QoS 2 and its packets are a protocol error.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from taktgate.standin.azure.errors import MqttProtocolError

MAX_PACKET_BYTES = 256 * 1024 + 8 * 1024
"""edgeHub takes messages of 256 KiB; the rest is room for the topic with its properties."""
ACCEPTED, BAD_PROTOCOL, UNAVAILABLE, UNAUTHORIZED = 0, 1, 3, 5
SUBSCRIPTION_FAILED = 0x80
LAST_PACKET_ID = 0xFFFF
PUBLISH = 3
"""The packet type whose flags carry a meaning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client's first packet."""

    client_id: str
    username: str | None = None
    password: str | None = None
    keep_alive_s: int = 60
    clean_session: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnAck:
    """The server's answer to `Connect`."""

    code: int
    session_present: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """A message; `packet_id` is 0 with QoS 0."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    packet_id: int = 0
    dup: bool = False
    retain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PubAck:
    """The receipt of a QoS 1 message."""

    packet_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Topic filters with the highest QoS wanted."""

    packet_id: int
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubAck:
    """One granted QoS (or `SUBSCRIPTION_FAILED`) for each filter."""

    packet_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Topic filters to forget."""

    packet_id: int
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsubAck:
    """The receipt of `Unsubscribe`."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class PingReq:
    """A client's sign of life."""


@dataclass(frozen=True, slots=True)
class PingResp:
    """The server's answer to `PingReq`."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A client's orderly end."""


Packet: TypeAlias = (
    Connect
    | ConnAck
    | Publish
    | PubAck
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
)


class Decoder:
    """Turns a byte stream into packets. A packet's size is checked before it is buffered."""

    def __init__(self, max_packet_bytes: int = MAX_PACKET_BYTES) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that *data* completes.

        Raises:
            MqttProtocolError: The bytes are not MQTT; the stream cannot be continued.
        """
        self._buffer += data
        packets = []
        while (frame := self._next_frame()) is not None:
            packets.append(_decode(*frame))
        return packets

    def _next_frame(self) -> tuple[int, bytes] | None:
        if self._buffer:
            _check_first_byte(self._buffer[0])
        header = _remaining_length(self._buffer)
        if header is None:
            return None
        body_bytes, header_bytes = header
        if body_bytes > self._max_packet_bytes:
            raise MqttProtocolError(
                f"packet of {body_bytes} bytes; rule: at most {self._max_packet_bytes}"
            )
        end = header_bytes + body_bytes
        if len(self._buffer) < end:
            return None
        frame = self._buffer[0], bytes(self._buffer[header_bytes:end])
        del self._buffer[:end]
        return frame


def _remaining_length(buffer: bytearray) -> tuple[int, int] | None:
    value = 0
    for index in range(1, 5):
        if index >= len(buffer):
            return None
        value |= (buffer[index] & 0x7F) << (7 * (index - 1))
        if not buffer[index] & 0x80:
            return value, index + 1
    raise MqttProtocolError("remaining length takes more than four bytes")


class _Reader:
    """Reads one packet's body; reading past its end is the sender's error."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._body):
            raise MqttProtocolError("packet ends inside a field")
        piece = self._body[self._at : end]
        self._at = end
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def packet_id(self) -> int:
        value = self.number()
        if value == 0:
            raise MqttProtocolError("packet identifier is 0")
        return value

    def text(self) -> str:
        try:
            value = self.take(self.number()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise MqttProtocolError("text is not UTF-8") from error
        if "\0" in value:
            raise MqttProtocolError("text holds a null character")
        return value

    def rest(self) -> bytes:
        return self.take(len(self._body) - self._at)

    @property
    def is_at_end(self) -> bool:
        return self._at == len(self._body)


def _check_first_byte(first: int) -> None:
    """Refuse what can be no packet, without waiting for the rest of it."""
    kind, flags = first >> 4, first & 0x0F
    if kind == PUBLISH:
        if flags & 0x04:
            raise MqttProtocolError(f"QoS {(flags >> 1) & 3}; rule: edgeHub takes QoS 0 and 1")
        return
    if kind not in _DECODERS:
        raise MqttProtocolError(f"packet type {kind} is not spoken by edgeHub")
    if flags != _DECODERS[kind][0]:
        raise MqttProtocolError(f"packet type {kind} with flags {flags:#x}")


def _decode(first: int, body: bytes) -> Packet:
    kind, flags = first >> 4, first & 0x0F
    if kind == PUBLISH:
        return _decode_publish(flags, _Reader(body))
    reader = _Reader(body)
    packet = _DECODERS[kind][1](reader)
    if not reader.is_at_end:
        raise MqttProtocolError(f"packet type {kind} has bytes after its last field")
    return packet


def _decode_publish(flags: int, reader: _Reader) -> Publish:
    qos = (flags >> 1) & 0x03
    topic = reader.text()
    if not topic or "+" in topic or "/#" in topic or topic == "#":
        raise MqttProtocolError("publish to an empty topic or one with wildcards")
    packet_id = reader.packet_id() if qos else 0
    return Publish(
        topic=topic,
        payload=reader.rest(),
        qos=qos,
        packet_id=packet_id,
        dup=bool(flags & 0x08),
        retain=bool(flags & 0x01),
    )


def _decode_connect(reader: _Reader) -> Connect:
    if reader.text() != "MQTT" or reader.byte() != 4:
        raise MqttProtocolError("not MQTT 3.1.1")
    flags = reader.byte()
    if flags & 0x01:
        raise MqttProtocolError("reserved connect flag is set")
    keep_alive_s = reader.number()
    client_id = reader.text()
    if flags & 0x04:
        reader.text()
        reader.take(reader.number())
    username = reader.text() if flags & 0x80 else None
    password = reader.text() if flags & 0x40 else None
    return Connect(
        client_id=client_id,
        username=username,
        password=password,
        keep_alive_s=keep_alive_s,
        clean_session=bool(flags & 0x02),
    )


def _decode_connack(reader: _Reader) -> ConnAck:
    return ConnAck(session_present=bool(reader.byte() & 0x01), code=reader.byte())


def _decode_subscribe(reader: _Reader) -> Subscribe:
    packet_id = reader.packet_id()
    filters = []
    while not reader.is_at_end:
        filters.append((reader.text(), reader.byte()))
    if not filters or any(qos > 2 for _, qos in filters):
        raise MqttProtocolError("subscribe without a filter or with an impossible QoS")
    return Subscribe(packet_id=packet_id, filters=tuple(filters))


def _decode_suback(reader: _Reader) -> SubAck:
    return SubAck(packet_id=reader.packet_id(), codes=tuple(reader.rest()))


def _decode_unsubscribe(reader: _Reader) -> Unsubscribe:
    packet_id = reader.packet_id()
    filters = []
    while not reader.is_at_end:
        filters.append(reader.text())
    if not filters:
        raise MqttProtocolError("unsubscribe without a filter")
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters))


_DECODERS: dict[int, tuple[int, Callable[[_Reader], Packet]]] = {
    1: (0, _decode_connect),
    2: (0, _decode_connack),
    4: (0, lambda reader: PubAck(packet_id=reader.packet_id())),
    8: (2, _decode_subscribe),
    9: (0, _decode_suback),
    10: (2, _decode_unsubscribe),
    11: (0, lambda reader: UnsubAck(packet_id=reader.packet_id())),
    12: (0, lambda _: PingReq()),
    13: (0, lambda _: PingResp()),
    14: (0, lambda _: Disconnect()),
}


def encode(packet: Packet) -> bytes:
    """Return the bytes of *packet*."""
    match packet:
        case Publish():
            return _encode_publish(packet)
        case Connect():
            return _frame(0x10, _connect_body(packet))
        case ConnAck(code=code, session_present=present):
            return _frame(0x20, bytes((int(present), code)))
        case Subscribe(packet_id=packet_id, filters=filters):
            body = b"".join(_text(name) + bytes((qos,)) for name, qos in filters)
            return _frame(0x82, _number(packet_id) + body)
        case SubAck(packet_id=packet_id, codes=codes):
            return _frame(0x90, _number(packet_id) + bytes(codes))
        case Unsubscribe(packet_id=packet_id, filters=names):
            return _frame(0xA2, _number(packet_id) + b"".join(map(_text, names)))
        case _:
            return _encode_short(packet)


def _encode_short(packet: PubAck | UnsubAck | PingReq | PingResp | Disconnect) -> bytes:
    match packet:
        case PubAck(packet_id=packet_id):
            return b"\x40\x02" + _number(packet_id)
        case UnsubAck(packet_id=packet_id):
            return b"\xb0\x02" + _number(packet_id)
        case PingReq():
            return b"\xc0\x00"
        case PingResp():
            return b"\xd0\x00"
        case Disconnect():
            return b"\xe0\x00"


def _encode_publish(packet: Publish) -> bytes:
    flags = (packet.dup << 3) | (packet.qos << 1) | packet.retain
    packet_id = _number(packet.packet_id) if packet.qos else b""
    return _frame(0x30 | flags, _text(packet.topic) + packet_id + packet.payload)


def _connect_body(packet: Connect) -> bytes:
    flags = packet.clean_session << 1
    tail = _text(packet.client_id)
    if packet.username is not None:
        flags |= 0x80
        tail += _text(packet.username)
    if packet.password is not None:
        flags |= 0x40
        tail += _text(packet.password)
    return _text("MQTT") + bytes((4, flags)) + _number(packet.keep_alive_s) + tail


def _frame(first: int, body: bytes) -> bytes:
    header = bytearray((first,))
    remaining = len(body)
    while True:
        remaining, digit = divmod(remaining, 128)
        header.append(digit | (0x80 if remaining else 0))
        if not remaining:
            return bytes(header) + body


def _number(value: int) -> bytes:
    return struct.pack(">H", value)


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8")
    return _number(len(encoded)) + encoded
