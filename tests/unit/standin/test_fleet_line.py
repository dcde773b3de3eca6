"""The client's side of a connection: what a hub must not say ends it."""

import asyncio
import resource
from collections.abc import Callable

import pytest

from taktgate.standin.azure.errors import TooManyFilesError
from taktgate.standin.azure.fleet.hub_line import HubLine
from taktgate.standin.azure.fleet.open_files import allow_open_files
from taktgate.standin.azure.mqtt import codec, topics


class Handler:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.notices: list[tuple[topics.Notice, bytes]] = []

    def opened(self) -> None:
        self.told.append("opened")

    def noticed(self, notice: topics.Notice, payload: bytes) -> None:
        self.notices.append((notice, payload))

    def ended(self, line: HubLine, connack: int | None) -> None:
        self.told.append(f"ended {connack}")


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.is_cut = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    def abort(self) -> None:
        self.is_cut = True

    close = abort

    def is_closing(self) -> bool:
        return self.is_cut

    def packets(self) -> list[codec.Packet]:
        return codec.Decoder().feed(self.sent)


def on_a_line(story: Callable[[HubLine, Handler, Wire], None]) -> tuple[Handler, Wire]:
    handler, wire = Handler(), Wire()

    async def tell() -> None:
        connect = codec.Connect(client_id="d/m")
        line = HubLine(handler, connect, (topics.TWIN_RESPONSES,))
        line.connection_made(wire)
        story(line, handler, wire)
        await asyncio.sleep(0)
        line.connection_lost(None)

    asyncio.run(tell())
    return handler, wire


def say(line: HubLine, *packets: codec.Packet) -> None:
    line.data_received(b"".join(map(codec.encode, packets)))


def opened(line: HubLine, *_: object) -> None:
    say(line, codec.ConnAck(code=0), codec.SubAck(packet_id=1, codes=(0,)))


def test_line_is_open_once_its_subscriptions_are_granted() -> None:
    handler, wire = on_a_line(opened)
    assert handler.told == ["opened", "ended None"]
    first, second = wire.packets()
    assert isinstance(first, codec.Connect)
    assert second == codec.Subscribe(packet_id=1, filters=((topics.TWIN_RESPONSES, 0),))


def test_refusal_tells_the_code() -> None:
    handler, wire = on_a_line(lambda line, *_: say(line, codec.ConnAck(code=5)))
    assert handler.told == ["ended 5"]
    assert len(wire.packets()) == 1


@pytest.mark.parametrize(
    "packet",
    [
        codec.SubAck(packet_id=1, codes=(codec.SUBSCRIPTION_FAILED,)),
        codec.Publish(topic="devices/d/whatever"),
        codec.PingReq(),
        codec.Subscribe(packet_id=2, filters=(("a", 0),)),
    ],
    ids=["refused", "topic", "ping", "subscribe"],
)
def test_what_a_hub_must_not_say_ends_the_line(packet: codec.Packet) -> None:
    def story(line: HubLine, *_: object) -> None:
        say(line, codec.ConnAck(code=0), packet)

    _, wire = on_a_line(story)
    assert wire.is_cut


def test_notice_with_qos_1_is_acknowledged() -> None:
    def story(line: HubLine, *_: object) -> None:
        opened(line)
        topic = topics.desired_patch_topic(4)
        say(line, codec.Publish(topic=topic, payload=b"{}", qos=1, packet_id=9))

    handler, wire = on_a_line(story)
    assert handler.notices == [(topics.DesiredChanged(version=4), b"{}")]
    assert wire.packets()[-1] == codec.PubAck(packet_id=9)


def test_fleet_beyond_the_limit_of_open_files_is_refused_clearly() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this process may open any number of files")
    with pytest.raises(TooManyFilesError, match=f"{hard} allowed; rule: fewer devices"):
        allow_open_files(hard)
