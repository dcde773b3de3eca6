"""Streams of MQTT packets to be damaged: what a module of the local edgeHub may send."""

import itertools
from dataclasses import dataclass
from random import Random

from fuzzers.mutation import ODD_TEXT, mutate_bytes, mutate_text
from taktgate.standin.azure.mqtt import codec

DEVICE, FUZZED, BYSTANDER = "fuzz", "a", "b"
EVENTS = f"devices/{DEVICE}/modules/{FUZZED}/messages/events/"
TOPICS = (
    f"{EVENTS}%24.on=out",
    f"{EVENTS}%24.on=up&kind=x&a%20b=%C3%A4",
    EVENTS,
    "$iothub/twin/GET/?$rid=1",
    "$iothub/twin/PATCH/properties/reported/?$rid=2",
    "$iothub/methods/res/200/?$rid=1",
    "$iothub/methods/res/x/?$rid=",
    "$iothub/x",
    EVENTS.replace("/a/", "/b/"),
    f"{EVENTS}%24.on=%&=&&a=%zz",
    "devices",
    "a/" * 100,
)
FILTERS = (
    f"devices/{DEVICE}/modules/{FUZZED}/inputs/#",
    "$iothub/twin/res/#",
    "#",
    "+/x",
    "",
    "$iothub/methods/POST/#",
    "$iothub/twin/PATCH/properties/desired/#",
    "$SYS/#",
)
PAYLOADS = (
    b"",
    b"{}",
    b'{"a": {"b": null}}',
    b'{"a": NaN}',
    b"[" * 2000,
    b"\xff",
    b'{"a.b": 1}',
    b"x" * 3000,
    b'{"a": "\\ud800"}',
    b'{"a": 1e999}',
    b"[]",
    b'{"$version": 1}',
    b"null",
)
WORDS = ("/", "?", "&", "=", "$rid=", "%24.on=", "#", "+", "..", "devices")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttCase:
    """Bytes as they arrive, after a good CONNECT or from the start."""

    signed_in: bool
    chunks: tuple[bytes, ...]


def make_case(random: Random) -> MqttCase:
    """Return a stream of packets, damaged or not, in random pieces."""
    if random.random() < 0.1:
        data = random.randbytes(random.randrange(1, 60))
    else:
        data = b"".join(_packet(random) for _ in range(random.randrange(1, 6)))
        for _ in range(random.choice((0, 1, 1, 2, 4))):
            data = mutate_bytes(random, data)
    return MqttCase(signed_in=random.random() < 0.8, chunks=_cut(random, data))


def _packet(random: Random) -> bytes:
    number = random.choice((1, 2, 65535, random.randrange(1, 65536)))
    match random.randrange(9):
        case 0:
            filters = random.choices(FILTERS, k=random.randrange(1, 4))
            pairs = tuple((name, random.randrange(3)) for name in filters)
            return codec.encode(codec.Subscribe(packet_id=number, filters=pairs))
        case 1:
            filters = random.choices(FILTERS, k=random.randrange(1, 4))
            return codec.encode(codec.Unsubscribe(packet_id=number, filters=tuple(filters)))
        case 2:
            return codec.encode(codec.PubAck(packet_id=number))
        case 3:
            end = codec.Disconnect() if random.random() < 0.2 else codec.PingReq()
            return codec.encode(end)
        case 4:
            name = random.choice((f"{DEVICE}/{FUZZED}", DEVICE, "x", ""))
            return codec.encode(codec.Connect(client_id=name, username="u", password="p" * 5))
        case _:
            return _publish(random, number)


def _publish(random: Random, number: int) -> bytes:
    topic = random.choice(TOPICS)
    if random.random() < 0.2:
        topic = mutate_text(random, topic, (*WORDS, *ODD_TEXT))
    payload = random.choice(PAYLOADS)
    header = topic.encode("utf-8", "surrogatepass")[:60_000]
    topic = header.decode("utf-8", "ignore")
    qos = random.choice((0, 1, 1, 1))
    packet = codec.Publish(topic=topic, payload=payload, qos=qos, packet_id=number if qos else 0)
    return codec.encode(packet)


def _cut(random: Random, data: bytes) -> tuple[bytes, ...]:
    cuts = sorted(random.choices(range(len(data) + 1), k=random.choice((0, 0, 1, 3))))
    edges = [0, *cuts, len(data)]
    return tuple(data[a:b] for a, b in itertools.pairwise(edges) if a < b)
