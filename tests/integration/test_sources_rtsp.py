"""RTSP from a real server, GStreamer's, through OpenCV in a real camera process."""

import functools
import itertools
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tests.unit.inspection.frames.picture_files import file_of

from taktgate.edge.camera_settings import OpenCvCameraSettings
from taktgate.edge.clock import SECOND, monotonic_ns
from taktgate.inspection.frames.camera import CameraDown, CameraEvent, CameraUp, Frame
from taktgate.inspection.frames.opening import open_camera
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.spawning.direct import DirectStarter

SERVER = Path(__file__).parents[2] / "src/taktgate/standin/camera/rtsp_server.py"
PYTHON = "/usr/bin/python3"
LEVELS = range(40, 240, 20)
"""Brightness of the images, in their order."""
LIMIT_NS = 30 * SECOND


@functools.cache
def gstreamer_fault() -> str:
    """Return why GStreamer's RTSP server cannot run here, "" when it can."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    try:
        done = subprocess.run([PYTHON, "-c", probe], capture_output=True, text=True, timeout=30)
    except OSError as error:
        return f"{PYTHON}: {error.strerror}"
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


pytestmark = pytest.mark.skipif(
    bool(gstreamer_fault()),
    reason=f"no GStreamer RTSP server ({gstreamer_fault()}): scripts/bootstrap as root installs it",
)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    for index, level in enumerate(LEVELS):
        pixels = np.full((240, 320, 3), level, np.uint8)
        (folder / f"{index:04d}.jpg").write_bytes(file_of(pixels, "JPEG"))
    return folder


@contextmanager
def server(images: Path, *, port: str = "0", codec: str = "jpeg") -> Iterator[tuple[str, int]]:
    """Give the address and the process id of a server that streams *images*."""
    command = [PYTHON, str(SERVER), "--images", str(images), "--codec", codec, "--fps", "10"]
    with subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            word, url = process.stdout.readline().split()
            assert word == "ready"
            yield url, process.pid
        finally:
            process.kill()


class Watcher:
    """What the judge's loop does with a camera, and nothing else."""

    def __init__(self, url: str) -> None:
        self.ring = FrameRing()
        settings = OpenCvCameraSettings(kind="opencv", url=url, channels=1)
        self.camera = open_camera(settings, self.ring, DirectStarter())
        self.events: list[CameraEvent] = []
        self.levels: list[int] = []

    def watch_until(self, condition: Callable[[], bool]) -> None:
        end_ns = monotonic_ns() + LIMIT_NS
        while not condition():
            assert monotonic_ns() < end_ns, f"in vain: {self.events[-3:]}"
            select.select([self.camera] if self.camera.fileno() >= 0 else [], [], [], 0.05)
            for event in self.camera.advance(monotonic_ns()):
                self.events.append(event)
                if isinstance(event, Frame):
                    pixels = self.ring.memory(event.slot)[: event.width * event.height]
                    self.levels.append(int(np.asarray(pixels).mean()))
                    self.ring.release(event.slot)

    def frames(self) -> list[Frame]:
        return [event for event in self.events if isinstance(event, Frame)]

    def last_state(self) -> CameraEvent | None:
        states = [each for each in self.events if not isinstance(each, Frame)]
        return states[-1] if states else None

    def close(self) -> None:
        self.camera.close()
        self.ring.close()


@contextmanager
def watching(url: str) -> Iterator[Watcher]:
    watcher = Watcher(url)
    try:
        yield watcher
    finally:
        watcher.close()


def test_the_images_of_a_stream_come_in_their_order_and_are_the_servers(images: Path) -> None:
    with server(images, codec="h264") as (url, _), watching(url) as watcher:
        watcher.watch_until(lambda: len(watcher.frames()) >= 6)
    shown = [round((level - LEVELS[0]) / LEVELS.step) for level in watcher.levels]
    counted = [frame.frame_id for frame in watcher.frames()]
    assert counted[0] == 1
    for (image, following), (number, next_number) in zip(
        itertools.pairwise(shown), itertools.pairwise(counted), strict=True
    ):
        assert (following - image) % len(LEVELS) == (next_number - number) % len(LEVELS)
    assert all(frame.exposure_ns < frame.received_ns for frame in watcher.frames())
    assert watcher.frames()[0].width == 320


def test_a_stream_that_stands_still_or_ends_is_lost_and_found_again(images: Path) -> None:
    with server(images) as (url, pid), watching(url) as watcher:
        watcher.watch_until(lambda: len(watcher.frames()) >= 3)
        os.kill(pid, signal.SIGSTOP)
        stopped_ns = monotonic_ns()
        watcher.watch_until(lambda: isinstance(watcher.last_state(), CameraDown))
        lost_after_ns = monotonic_ns() - stopped_ns
        reason = watcher.last_state()
        os.kill(pid, signal.SIGKILL)
        count = len(watcher.frames())
        with server(images, port=url.rpartition(":")[2].partition("/")[0]):
            watcher.watch_until(lambda: len(watcher.frames()) >= count + 3)
    assert reason == CameraDown(reason=f"{url}: no image within 1000 ms")
    assert lost_after_ns < 6 * SECOND
    assert isinstance(watcher.last_state(), CameraUp)
    counters = watcher.camera.counters()
    assert (counters["connects"], counters["starts"]) == (2, 1)
