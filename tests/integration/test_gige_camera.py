"""The GigE Vision adapter against Aravis' fake camera: real GVCP and GVSP over UDP on loopback."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.integration.source_station import SourceStation, source_station
from tests.integration.tiny_bundles import SIZE as TINY

from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.edge.camera_settings import GigeCameraSettings
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.inspection.frames.grabber.gige.aravis import LIBRARY
from taktgate.inspection.frames.grabber.gige.camera import GigeCamera
from taktgate.inspection.frames.grabber.port import CameraLostError, Grabbed
from taktgate.standin.gige.pictures import NUMBER_PIXELS, number_of

SIZE = 128
ADDRESS = "127.0.0.1"
ROOT = Path(__file__).parents[2]


def _has_library() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _has_library(), reason=f"{LIBRARY} is not installed")


@contextmanager
def fake_camera(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "taktgate.standin.gige", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the library complains of each client that goes
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def opened(**settings: object) -> Iterator[GigeCamera]:
    camera = GigeCamera(settings_of(**settings))
    camera.open()
    try:
        yield camera
    finally:
        camera.close()


def settings_of(**settings: object) -> GigeCameraSettings:
    features = {"Width": SIZE, "Height": SIZE, "PixelFormat": "Mono8", "AcquisitionFrameRate": 100}
    return GigeCameraSettings.model_validate(
        {"kind": "gige", "camera": ADDRESS, "features": features, **settings}
    )


def grab(camera: GigeCamera, *, limit_s: float = 10.0) -> Grabbed:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        grabbed = camera.grab(0.2)
        if grabbed is not None:
            return grabbed
    raise AssertionError(f"no frame within {limit_s} s: {camera.counters()}")


def grab_for(camera: GigeCamera, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        camera.grab(0.2)


def test_frames_come_pixel_by_pixel_in_order_and_over_the_wrap_of_their_ids(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE), np.uint8)
    Image.fromarray(image).save(tmp_path / "part.png")
    with fake_camera("--images", str(tmp_path)), opened() as camera:
        first = grab(camera)
        base, last = first.frame_id - number_of(first.pixels), first.frame_id
        before_ns = monotonic_ns()
        while last <= 65_545:  # the fake camera begins near 65400; after 65535 comes 1
            frame = grab(camera)
            assert np.array_equal(
                frame.pixels.reshape(-1)[NUMBER_PIXELS:], image.reshape(-1)[NUMBER_PIXELS:]
            )
            assert frame.frame_id - number_of(frame.pixels) == base
            assert frame.frame_id > last
            assert frame.exposure_ns <= monotonic_ns()
            last = frame.frame_id
        assert frame.exposure_ns > before_ns - SECOND


def test_a_frame_with_lost_packets_is_counted_and_never_delivered(tmp_path: Path) -> None:
    image = np.full((SIZE, SIZE), 77, np.uint8)
    Image.fromarray(image).save(tmp_path / "part.png")
    arguments = ("--images", str(tmp_path), "--lost-packets", "0.03")
    with fake_camera(*arguments), opened(packet_bytes=1000) as camera:
        numbers = []
        end = time.monotonic() + 15
        while camera.counters().get("missing_packets", 0) < 3 and time.monotonic() < end:
            frame = camera.grab(0.2)
            if frame is not None:
                assert (frame.pixels.reshape(-1)[NUMBER_PIXELS:] == 77).all()
                numbers.append(number_of(frame.pixels))
        counters = camera.counters()

    assert counters["missing_packets"] >= 3
    assert numbers
    assert numbers == sorted(set(numbers))


def test_a_software_trigger_brings_its_own_frame_and_never_that_of_another() -> None:
    with fake_camera(), opened(trigger="software", correlation="software_trigger") as camera:
        offsets = []
        for trigger_id in range(100, 160):
            sent_ns = monotonic_ns()
            camera.trigger(trigger_id)
            frame = camera.grab(0.3)
            if frame is None or frame.trigger_id is None:
                continue  # a busy machine: too late to be sure of
            assert frame.trigger_id == trigger_id
            assert sent_ns <= frame.exposure_ns <= monotonic_ns()
            offsets.append(number_of(frame.pixels) - trigger_id)
            if len(offsets) == 20:
                break
    assert len(offsets) >= 10
    assert offsets == sorted(offsets, reverse=True)  # a trigger not sent has no exposure


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_camera_that_goes_is_noticed_within_seconds(how: signal.Signals) -> None:
    """What Aravis then takes half a minute to give back, goes with the grabber's process."""
    script = (
        "import sys, time; from tests.integration.test_gige_camera import *\n"
        "camera = GigeCamera(settings_of()); camera.open(); grab(camera); print('up', flush=True)\n"
        "try: grab_for(camera, 20)\n"
        "except CameraLostError as error: print(error, flush=True)\n"
        "os._exit(0)"
    )
    with fake_camera() as process:
        watcher = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert watcher.stdout is not None
        with watcher, watcher.stdout:
            assert watcher.stdout.readline() == "up\n"
            process.send_signal(how)
            gone = time.monotonic()
            assert ADDRESS in watcher.stdout.readline()
            assert time.monotonic() - gone < 6  # 2 s on an idle machine


def test_a_camera_that_another_application_controls_is_refused_with_that_word() -> None:
    with fake_camera(), opened() as first:
        grab(first)
        with pytest.raises(CameraLostError, match="controls"):
            GigeCamera(settings_of()).open()
        grab(first)


def test_a_camera_that_is_not_there_yet_is_taken_when_it_comes() -> None:
    camera = GigeCamera(settings_of())
    with pytest.raises(CameraLostError):
        camera.open()
    with fake_camera():
        camera.open()
        grab(camera)
        camera.close()


def test_a_feature_that_the_camera_refuses_is_named() -> None:
    refused: dict[str, object] = {"Sharpness": 3, "PixelFormat": "Mono12", "Width": "wide"}
    with fake_camera():
        for name, value in refused.items():
            features = {"Width": SIZE, "Height": SIZE, name: value}
            with pytest.raises(CameraLostError, match=rf"features\.{name}"):
                GigeCamera(settings_of(features=features)).open()


def test_opening_again_and_again_keeps_neither_descriptors_nor_threads() -> None:
    def held() -> tuple[int, int]:
        own = Path("/proc/self")
        return len(list((own / "fd").iterdir())), len(list((own / "task").iterdir()))

    with fake_camera():
        counts = []
        for _ in range(6):
            with opened() as camera:
                grab(camera)
            counts.append(held())
    assert counts[-1] <= counts[2]


def test_the_exposure_is_said_to_the_millisecond_on_a_quiet_link() -> None:
    with fake_camera(), opened() as camera:
        ages_ms = []
        for _ in range(30):
            exposure_ns = grab(camera).exposure_ns
            ages_ms.append((monotonic_ns() - exposure_ns) / MILLISECOND)
    assert 0 < sorted(ages_ms)[15] < 60


def passed_soon(station: SourceStation) -> VerdictEnvelope:
    """Return the first verdict PASS: the fake's first frames are black, so each may pass.

    On a busy machine a frame may come too late for its part, which then gets no decision.
    """
    for _ in range(8):
        verdict = station.next_part()
        if verdict.verdict is Verdict.PASS:
            return verdict
    raise AssertionError(f"no part passed: {verdict}")


def test_a_judge_exposes_by_gige_vision_and_judges_again_after_the_camera_was_gone(
    tmp_path: Path,
) -> None:
    features = f"Width: {TINY}, Height: {TINY}, PixelFormat: Mono8"
    camera = f"kind: gige, camera: {ADDRESS}, trigger: software, features: {{{features}}}"
    with source_station(tmp_path, camera) as station:
        with fake_camera():
            station.start()
            station.wait(lambda: station.is_ready)
            first = passed_soon(station)
        assert station.next_part().reason is Reason.NO_FRAME
        station.wait(lambda: not station.is_ready)
        with fake_camera():
            station.wait(lambda: station.is_ready)
            passed_soon(station)

    assert first.exposure_ns is not None
    assert first.exposure_ns >= first.trigger_ns
