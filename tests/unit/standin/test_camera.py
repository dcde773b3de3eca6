import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.waiting import until

from taktgate.inspection.frames.frame_wire import FrameHeader, check_payload, decode_header
from taktgate.standin.camera.__main__ import parse_arguments
from taktgate.standin.camera.camera import Camera, CameraSettings
from taktgate.standin.camera.faults import Delivery, DeliveryFaults
from taktgate.standin.camera.process import CameraProcess
from taktgate.standin.camera.roll import Roll
from taktgate.standin.control.process import StandinStartError
from taktgate.standin.imagesets.port import Label, LabelledImage


class Plates:
    """Plain images: image n is filled with the number n; every third is defective."""

    name = "plates"
    licence = "MIT"
    classes = ("scratch",)
    split_method = "none"

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def __len__(self) -> int:
        return 200

    def label(self, index: int) -> Label:
        return "defective" if index % 3 == 2 else "ok"

    def item(self, index: int) -> LabelledImage:
        pixels = np.full(self.shape, index, dtype=np.uint8)
        return LabelledImage(id=f"plate-{index}", label=self.label(index), pixels=pixels)


class Receiver:
    """A client of the camera."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def frame(self) -> tuple[FrameHeader, bytes]:
        data = await self.reader.readexactly(64)
        header = decode_header(data)
        pixels = await self.reader.readexactly(header.payload_bytes)
        check_payload(header, pixels)
        return header, data + pixels


class Bench:
    """A camera with its wires in the test's hands."""

    def __init__(
        self, camera: Camera, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.reader, self.writer = reader, writer
        self.ready: dict[str, Any] = {}
        self._clients = camera._frames._clients

    async def connect(self) -> Receiver:
        host, port = self.ready["frames"].split(":")
        before = len(self._clients)
        receiver = Receiver(*await asyncio.open_connection(host, int(port)))
        await until(lambda: len(self._clients) > before)
        return receiver

    def pulse(self, payload: bytes | int) -> None:
        host, port = self.ready["trigger"].split(":")
        data = payload if isinstance(payload, bytes) else str(payload).encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.sendto(data, (host, int(port)))

    async def tell(self, command: str) -> None:
        self.writer.write(command.encode() + b"\n")
        assert (await self.event("reply"))["ok"]

    async def event(self, kind: str = "exposed") -> dict[str, Any]:
        while True:
            event: dict[str, Any] = json.loads(await self.reader.readline())
            if event["event"] == kind:
                return event


@asynccontextmanager
async def camera(directory: Path, *shape: int) -> AsyncIterator[Bench]:
    control = directory / "camera.sock"
    settings = CameraSettings(
        listen=("127.0.0.1", 0), trigger=("127.0.0.1", 0), control=control, exposure_ms=1.0
    )
    stop = asyncio.Event()
    roll = Roll(Plates(*(shape or (8, 6))), itertools.count(1))
    device = Camera(settings, roll)
    serving = asyncio.create_task(device.serve(stop))
    await until(control.exists)
    bench = Bench(device, *await asyncio.open_unix_connection(str(control)))
    bench.ready = await bench.event("ready")
    try:
        yield bench
    finally:
        bench.writer.close()
        stop.set()
        await serving


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


def test_a_pulse_becomes_one_frame_and_one_line_of_truth(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with camera(tmp_path, 8, 6, 3) as bench:
            receiver = await bench.connect()
            bench.pulse(4711)
            header, raw = await receiver.frame()
            truth = await bench.event()
            receiver.writer.close()
        assert (header.frame_id, header.width, header.height, header.channels) == (1, 6, 8, 3)
        assert raw[64:] == bytes([1]) * 144
        assert truth["exposure_ns"] == header.exposure_ns
        facts = ("frame_id", "trigger_id", "image", "label", "delivery")
        assert [truth[fact] for fact in facts] == [1, 4711, "plate-1", "ok", "sent"]

    run(scenario)


def test_the_parts_number_is_not_in_the_frame(tmp_path: Path) -> None:
    async def scenario() -> None:
        frames = []
        for directory, number in ((tmp_path / "a", 0x5A5A5A5A), (tmp_path / "b", 0x3C3C3C3C)):
            directory.mkdir()
            async with camera(directory) as bench:
                receiver = await bench.connect()
                bench.pulse(number)
                _, raw = await receiver.frame()
                receiver.writer.close()
                frames.append(bytearray(raw))
        for frame in frames:
            frame[32:40] = bytes(8)  # the exposure time
        assert frames[0] == frames[1]

    run(scenario)


@pytest.mark.parametrize("payload", [b"", b"x", b"-3", b"9" * 200, "\u0663".encode()])
def test_a_pulse_is_a_pulse_whatever_is_in_it(tmp_path: Path, payload: bytes) -> None:
    async def scenario() -> None:
        async with camera(tmp_path) as bench:
            bench.pulse(payload)
            truth = await bench.event()
        assert (truth["frame_id"], truth["trigger_id"]) == (1, None)

    run(scenario)


def test_every_pulse_counts_also_when_nobody_is_connected(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with camera(tmp_path) as bench:
            for number in range(3):
                bench.pulse(number)
                await bench.event()
            receiver = await bench.connect()
            bench.pulse(3)
            header, _ = await receiver.frame()
            receiver.writer.close()
        assert header.frame_id == 4

    run(scenario)


def test_lost_withheld_and_swapped_frames_leave_their_traces(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with camera(tmp_path) as bench:
            receiver = await bench.connect()
            deliveries = []
            for command, pulses in (
                ('{"do":"fault","drop_next":2}', 3),
                ('{"do":"fault","blind":true}', 1),
                ('{"do":"fault","clear":true}', 1),
                ('{"do":"fault","swap_next":true}', 3),
            ):
                await bench.tell(command)
                for _ in range(pulses):
                    bench.pulse(1)
                    deliveries.append((await bench.event())["delivery"])
            received = [(await receiver.frame())[0].frame_id for _ in range(5)]
            receiver.writer.close()
        assert deliveries == [
            *("dropped", "dropped", "sent"),
            "blind",
            "sent",
            *("swapped", "sent", "sent"),
        ]
        assert received == [3, 5, 7, 6, 8]

    run(scenario)


def test_a_slow_client_misses_whole_frames_and_holds_up_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with camera(tmp_path, 2000, 2000) as bench:
            slow, fast = await bench.connect(), await bench.connect()
            received = []
            for number in range(10):
                bench.pulse(number)
                received.append((await fast.frame())[0].frame_id)
            late = [(await slow.frame())[0].frame_id]
            while late[-1] < 11:
                bench.pulse(1)
                await fast.frame()
                late.append((await slow.frame())[0].frame_id)
            await bench.tell('{"do":"status"}')
            fast.writer.close()
            slow.writer.close()
        assert received == list(range(1, 11))
        assert late == sorted(late)
        assert len(late) < 11, "some were missed"

    run(scenario)


@given(st.lists(st.sampled_from(["ok", "drop", "swap", "blind", "clear"]), max_size=30))
def test_a_frame_is_sent_at_most_once_and_never_invented(steps: list[str]) -> None:
    faults: DeliveryFaults[int] = DeliveryFaults()
    sent: list[int] = []
    withheld = 0
    for number, step in enumerate(steps):
        faults.drop_next += step == "drop"
        faults.swap_next = faults.swap_next or step == "swap"
        faults.is_blind = step == "blind"
        if step == "clear":
            faults.clear()
        delivery, frames = faults.pass_on(number)
        withheld += delivery in (Delivery.DROPPED, Delivery.BLIND)
        sent.extend(frames)

    assert len(sent) == len(set(sent))
    assert len(steps) - withheld - 1 <= len(sent) <= len(steps) - withheld


def test_the_camera_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        process = CameraProcess(images="weld", control=tmp_path / "camera.sock", seed=3)
        await process.start()
        host, port = process.trigger_address.split(":")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.sendto(b"12", (host, int(port)))
        truth = await process.events.get()
        await process.fault(blind=True)
        assert await process.stop() == 0
        assert (truth["event"], truth["trigger_id"]) == ("exposed", 12)
        assert truth["label"] in ("ok", "defective")

    run(scenario)


@pytest.mark.parametrize(
    ("option", "rule"),
    [
        ("--exposure-ms=-1", "--exposure-ms: must be within 0..1000"),
        ("--listen=nowhere", "host:port"),
        ("--speed=3", "--speed=3"),
    ],
)
def test_a_wrong_option_ends_the_start_with_its_rule(
    capsys: pytest.CaptureFixture[str], option: str, rule: str
) -> None:
    address = "127.0.0.1:1"
    right = ["--images=weld", f"--listen={address}", f"--trigger={address}", "--control=c.sock"]
    with pytest.raises(SystemExit) as end:
        parse_arguments([*right, option])

    assert end.value.code == 2
    assert rule in capsys.readouterr().err


def test_images_that_cannot_be_had_end_the_start_with_their_rule(tmp_path: Path) -> None:
    async def scenario() -> None:
        process = CameraProcess(images="no-such-set", control=tmp_path / "camera.sock")
        with pytest.raises(StandinStartError, match="exit code 2") as failure:
            await process.start()
        assert "'no-such-set'" in str(failure.value)
        assert "Traceback" not in str(failure.value)

    run(scenario)


def test_an_address_in_use_ends_the_start_with_its_rule(tmp_path: Path) -> None:
    async def scenario() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            listen = f"127.0.0.1:{taken.getsockname()[1]}"
            process = CameraProcess(images="weld", control=tmp_path / "camera.sock", listen=listen)
            with pytest.raises(StandinStartError, match=f"--listen: {listen}"):
                await process.start()

    run(scenario)


def test_an_image_that_comes_twice_in_a_row_has_noise_of_its_own_like_a_live_sensors() -> None:
    async def shoot() -> list[bytes]:
        roll = Roll(Plates(8, 6), iter([7, 7, 7, 8]))
        filling = asyncio.create_task(roll.fill())
        taken = [(await roll.next()).pixels for _ in range(4)]
        await filling
        return taken

    taken = asyncio.run(shoot())

    assert len(set(taken)) == 4
    for pixels, plain in zip(taken, (7, 7, 7, 8), strict=True):
        assert np.abs(np.frombuffer(pixels, np.uint8).astype(int) - plain).max() <= 1
    assert set(taken[0]) == {7}
