"""The camera's adapter against a real socket whose other end does what it likes."""

import select
import socket
import time
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.refusing_port import refusing_port
from tests.waiting import WITHIN_S, wait_until

from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.inspection.frames.camera import CameraDown, CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.frame_wire import FrameHeader, encode_header
from taktgate.inspection.frames.network_camera import LAST_RETRY_NS, NetworkCamera
from taktgate.inspection.frames.ring import FrameRing


def wire(frame_id: int, pixels: bytes, *, crc32: int | None = None, width: int = 8) -> bytes:
    header = FrameHeader(
        frame_id=frame_id,
        width=width,
        height=len(pixels) // width,
        channels=1,
        payload_bytes=len(pixels),
        exposure_ns=monotonic_ns(),
        crc32=zlib.crc32(pixels) if crc32 is None else crc32,
    )
    return encode_header(header) + pixels


class Bench:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ring = FrameRing(slots=3, slot_bytes=4096)
        port = self.listener.getsockname()[1]
        self.camera = NetworkCamera(f"127.0.0.1:{port}", self.ring)
        self.peer: socket.socket | None = None

    def connect(self) -> socket.socket:
        self.camera.advance(monotonic_ns())
        self.peer, _ = self.listener.accept()
        assert any(isinstance(event, CameraUp) for event in self.collect(1))
        return self.peer

    def collect(self, count: int, *, limit_s: float = WITHIN_S) -> list[CameraEvent]:
        events: list[CameraEvent] = []
        end = monotonic_ns() + int(limit_s * SECOND)
        while len(events) < count and monotonic_ns() < end:
            writers = [self.camera] if self.camera.wants_write else []
            if self.camera.fileno() < 0:
                break
            select.select([self.camera], writers, [], 0.05)
            events += self.camera.advance(monotonic_ns())
        return events

    def close(self) -> None:
        self.camera.close()
        self.ring.close()
        self.listener.close()
        if self.peer is not None:
            self.peer.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_a_frame_lies_in_its_slot(bench: Bench) -> None:
    peer = bench.connect()
    pixels = bytes(range(64))
    peer.sendall(wire(41, pixels))

    (frame,) = bench.collect(1)
    assert isinstance(frame, Frame)
    assert (frame.frame_id, frame.width, frame.height, frame.channels) == (41, 8, 8, 1)
    assert bytes(bench.ring.memory(frame.slot)[:64]) == pixels
    assert frame.exposure_ns <= frame.received_ns <= monotonic_ns()


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(1, 383), max_size=6, unique=True).map(sorted))
def test_any_cut_of_the_stream_gives_the_same_frames(cuts: list[int]) -> None:
    bench = Bench()
    try:
        peer = bench.connect()
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = b"".join(wire(number, bytes([number]) * 64) for number in (1, 2, 3))
        events: list[CameraEvent] = []
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            peer.sendall(stream[start:end])
            events += bench.camera.advance(monotonic_ns())
        events += bench.collect(3 - len(events))
        frames = [event for event in events if isinstance(event, Frame)]
        assert [frame.frame_id for frame in frames] == [1, 2, 3]
        for frame in frames:
            assert bytes(bench.ring.memory(frame.slot)[:64]) == bytes([frame.frame_id]) * 64
    finally:
        bench.close()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wire(1, bytes(64), crc32=7), "crc32"),
        (b"GET / HTTP/1.1\r\n" + bytes(64), "magic"),
        (wire(1, bytes(8192)), "at most 4096 bytes"),
        (
            encode_header(
                FrameHeader(
                    frame_id=1,
                    width=8,
                    height=8,
                    channels=1,
                    payload_bytes=64,
                    exposure_ns=2**62,
                    crc32=zlib.crc32(bytes(64)),
                )
            )
            + bytes(64),
            "monotonic clock",
        ),
    ],
)
def test_what_is_no_frame_of_ours_ends_the_connection_with_a_reason(
    bench: Bench, data: bytes, reason: str
) -> None:
    peer = bench.connect()
    peer.sendall(data)

    (event,) = bench.collect(1)
    assert isinstance(event, CameraDown)
    assert reason in event.reason
    assert bench.camera.counters()["bad_frames"] == 1
    assert bench.ring.free == bench.ring.slots, "a half frame keeps no slot"


def test_a_camera_that_hangs_up_is_noticed_and_tried_again(bench: Bench) -> None:
    peer = bench.connect()
    peer.sendall(wire(1, bytes(64))[:80])
    bench.camera.advance(monotonic_ns())
    peer.close()

    assert isinstance(bench.collect(1)[0], CameraDown)
    assert bench.ring.free == bench.ring.slots
    wake_ns = bench.camera.wake_ns
    assert wake_ns is not None
    assert bench.camera.advance(wake_ns - 1) == []
    bench.camera.advance(wake_ns)
    bench.peer, _ = bench.listener.accept()
    assert isinstance(bench.collect(1)[0], CameraUp)


@pytest.mark.parametrize("rest", [b"", b"rubbish!" * 8, wire(2, bytes(64), crc32=7)])
def test_a_good_frame_before_an_error_is_not_lost_and_no_slot_with_it(
    bench: Bench, rest: bytes
) -> None:
    peer = bench.connect()
    peer.sendall(wire(1, bytes(64)) + rest)
    peer.close()
    time.sleep(0.05)  # so that one call sees all of it

    frame, down = bench.collect(2)
    assert isinstance(frame, Frame)
    assert isinstance(down, CameraDown)
    assert bench.ring.free == bench.ring.slots - 1
    bench.ring.release(frame.slot)


def test_a_name_that_is_unknown_holds_the_judge_up_only_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def unknown(*question: object) -> None:
        asked.append(question)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with FrameRing(slots=1, slot_bytes=4096) as ring:
        camera = NetworkCamera("camera.plant:5000", ring)
        start_ns = monotonic_ns()
        for second in range(20):
            camera.advance(start_ns + second * SECOND)

    assert len(asked) == 1


def test_a_name_is_looked_up_once_and_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    real = socket.getaddrinfo

    def counted(*question: object) -> object:
        asked.append(question)
        return real(*question)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", counted)
    for _ in range(2):
        bench.connect().close()
        assert isinstance(bench.collect(1)[0], CameraDown)
        wake_ns = bench.camera.wake_ns
        assert wake_ns is not None
        time.sleep(max(0, wake_ns - monotonic_ns()) / SECOND)

    assert len(asked) == 1


def test_a_frame_that_stops_half_way_is_given_up(bench: Bench) -> None:
    peer = bench.connect()
    peer.sendall(wire(1, bytes(64))[:80])
    select.select([bench.camera], [], [], WITHIN_S)
    now_ns = monotonic_ns()
    bench.camera.advance(now_ns)

    (event,) = bench.camera.advance(now_ns + 2 * SECOND)
    assert isinstance(event, CameraDown)
    assert "half-way" in event.reason


def test_without_a_slot_a_frame_is_read_and_dropped(bench: Bench) -> None:
    peer = bench.connect()
    slots = [bench.ring.take() for _ in range(bench.ring.slots)]
    peer.sendall(wire(1, bytes(64)))
    wait_until(lambda: bench.collect(1, limit_s=0.01) or bench.camera.counters()["no_slot"])
    assert bench.collect(1, limit_s=0.05) == []
    assert bench.camera.counters()["no_slot"] == 1

    assert slots[0] is not None
    bench.ring.release(slots[0])
    peer.sendall(wire(2, bytes(64)))
    (frame,) = bench.collect(1)
    assert isinstance(frame, Frame)
    assert frame.frame_id == 2


def test_an_absent_camera_is_tried_with_growing_pauses() -> None:
    with refusing_port() as port, FrameRing(slots=1, slot_bytes=4096) as ring:
        camera = NetworkCamera(f"127.0.0.1:{port}", ring)
        now_ns, pauses = 0, []
        for _ in range(6):
            camera.advance(now_ns)
            if camera.fileno() >= 0:
                select.select([], [camera], [], WITHIN_S)
                camera.advance(now_ns)
            assert camera.wake_ns is not None
            pauses.append(camera.wake_ns - now_ns)
            now_ns = camera.wake_ns
        camera.close()
    assert pauses == sorted(pauses)
    assert pauses[0] < SECOND
    assert pauses[-1] == LAST_RETRY_NS
