"""A camera in a process of its own under a real judge: verdicts, and what its loss costs."""

import os
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.judge_station import flat, is_alive
from tests.integration.source_station import SourceStation, source_station
from tests.unit.inspection.frames.picture_files import file_of, png_that_claims
from tests.waiting import WITHIN_S, wait_until

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.camera_settings import OpenCvCameraSettings
from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.control import Happening
from taktgate.inspection.frames.camera import CameraDown, CameraEvent
from taktgate.inspection.frames.opening import open_camera
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.spawning.direct import DirectStarter

DARK, BRIGHT = 20, 235


IMAGES = (
    file_of(flat(DARK)),
    file_of(flat(BRIGHT)),
    file_of(flat(DARK))[:-30],
    png_that_claims(10_000, 10_000),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceStation]:
    folder = tmp_path_factory.mktemp("sources")
    for index, data in enumerate(IMAGES):
        (folder / f"{index}.png").write_bytes(data)
    with source_station(folder / "station", f"kind: folder, path: '{folder}'") as station:
        yield station


@pytest.fixture
def station(shared: SourceStation) -> SourceStation:
    """A station that is ready: started once for all tests that leave it running."""
    if shared.process is None or shared.process.poll() is not None:
        shared.start_ready()
    shared.wait(lambda: shared.is_ready)
    shared.heard.events.clear()
    return shared


def test_a_folder_is_judged_image_by_image_and_a_broken_one_costs_its_own_part(
    station: SourceStation,
) -> None:
    expected = [
        (Verdict.PASS, Reason.NONE),
        (Verdict.FAIL, Reason.NONE),
        *[(Verdict.NO_DECISION, Reason.NO_FRAME)] * 2,
    ]
    seen = [(each.verdict, each.reason) for each in (station.next_part() for _ in IMAGES)]
    assert seen in [expected[start:] + expected[:start] for start in range(len(IMAGES))]


def test_a_killed_camera_process_is_noticed_at_once_counted_and_replaced(
    station: SourceStation,
) -> None:
    old = station.camera_process()
    old.kill()
    station.wait(lambda: bool(station.happened(Happening.CAMERA_DOWN)))
    assert station.happened(Happening.CAMERA_DOWN)[0].message == "the camera's process ended"

    station.wait(lambda: bool(station.happened(Happening.CAMERA_UP)) and station.is_ready)
    assert station.camera_process().pid != old.pid
    assert station.next_part().verdict is Verdict.PASS


def test_a_camera_process_that_stands_still_costs_its_parts_and_is_replaced(
    station: SourceStation,
) -> None:
    """The judge answers NO_FRAME until it has noticed, 2 s later, and NO_FRAME after that."""
    old = station.camera_process()
    old.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    assert station.next_part().reason is Reason.NO_FRAME
    station.wait(lambda: bool(station.happened(Happening.CAMERA_DOWN)))
    assert 1.0 < time.monotonic() - stopped < 20.0
    (down,) = station.happened(Happening.CAMERA_DOWN)
    assert down.message == "the camera's process said nothing for 2 s"

    station.wait(lambda: bool(station.happened(Happening.CAMERA_UP)) and station.is_ready)
    assert not is_alive(old.pid)
    assert station.next_part().verdict is Verdict.PASS


def test_the_camera_process_ends_with_its_judge(station: SourceStation) -> None:
    camera = station.camera_process()
    station.kill_judge()
    wait_until(lambda: not is_alive(camera.pid))


def test_a_library_that_is_missing_is_said_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open')")
    (tmp_path / "film.avi").touch()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    settings = OpenCvCameraSettings(kind="opencv", url=str(tmp_path / "film.avi"))
    with FrameRing(slots=1) as ring:
        camera = open_camera(settings, ring, DirectStarter())
        events: list[CameraEvent] = []
        end = time.monotonic() + WITHIN_S
        while not events and time.monotonic() < end:
            select.select([camera] if camera.fileno() >= 0 else [], [], [], 0.05)
            events += camera.advance(monotonic_ns())
        camera.close()
    assert events == [
        CameraDown(
            reason="OpenCV cannot be loaded (libGL.so.1: cannot open):"
            " pip install opencv-python-headless"
        )
    ]
