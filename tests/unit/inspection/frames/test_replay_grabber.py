"""Recorded parts, shown again: written by the station's own recorder, read by the replay."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.inspection.records.parts import record

from taktgate.edge.camera_settings import ReplayCameraSettings
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.control import FrameNote
from taktgate.inspection.frames.grabber.port import CameraLostError
from taktgate.inspection.frames.grabber.replay import LONGEST_PAUSE_NS, ReplayGrabber
from taktgate.inspection.records.bounded_folder import Bounds
from taktgate.inspection.records.images import ImageRing
from taktgate.inspection.records.journal import Journal
from taktgate.inspection.records.record import KeptImage

BOUNDS = Bounds(max_bytes=1 << 24, max_age_s=1e9)
PIXELS = np.arange(8 * 6 * 3, dtype=np.uint8).reshape(6, 8, 3)
NOTE = FrameNote(frame_id=1, width=8, height=6, channels=3)


def record_parts(
    folder: Path, trigger_times_ns: Sequence[int], *, without_image: Sequence[int] = ()
) -> None:
    """Record one part for each time, each an image of its own."""
    images, journal = ImageRing(folder / "images", BOUNDS), Journal(folder, BOUNDS)
    for index, trigger_ns in enumerate(trigger_times_ns):
        pixels = (PIXELS + index).tobytes()
        file = None
        if index not in without_image:
            file = images.keep(f"2026-{index:04d}", pixels, NOTE)
        digest = f"sha256:{hashlib.sha256(pixels).hexdigest()}"
        part = record(index + 1)
        journal.append(
            replace(
                part,
                envelope=replace(part.envelope, trigger_ns=trigger_ns),
                image=KeptImage(digest=digest, file=file),
            )
        )
    journal.close()


def replaying(folder: Path, **settings: object) -> ReplayGrabber:
    grabber = ReplayGrabber(
        ReplayCameraSettings.model_validate({"kind": "replay", "path": str(folder), **settings})
    )
    grabber.open()
    return grabber


def shown(grabber: ReplayGrabber) -> tuple[int, int | None] | None:
    """Return the number of the image that comes, from 0, and its part."""
    grabbed = grabber.grab(1.0)
    if grabbed is None:
        return None
    index = int(grabbed.pixels[0, 0, 0])
    assert np.array_equal(grabbed.pixels, PIXELS + index)
    return index, grabbed.trigger_id


def test_parts_come_in_their_order_for_the_judges_triggers(tmp_path: Path) -> None:
    record_parts(tmp_path, [10, 20, 30])
    grabber = replaying(tmp_path, correlation="software_trigger")
    for part in (501, 502, 503):
        grabber.trigger(part)
    assert [shown(grabber) for _ in range(3)] == [(0, 501), (1, 502), (2, 503)]
    with pytest.raises(CameraLostError, match="all recorded parts have been shown"):
        grabber.grab(0.0)
    with pytest.raises(CameraLostError, match="all recorded parts have been shown"):
        grabber.open()


def test_parts_come_at_the_pace_at_which_they_were_recorded_times_speed(tmp_path: Path) -> None:
    start = 50 * SECOND
    record_parts(tmp_path, [start, start + SECOND, start + 4 * SECOND])
    grabber = replaying(tmp_path, speed=100.0)
    times: list[int] = []
    while len(times) < 3:
        grabbed = grabber.grab(1.0)
        times += [] if grabbed is None else [grabbed.exposure_ns]
    assert [later - times[0] for later in times] == [0, 10 * MILLISECOND, 40 * MILLISECOND]


def test_a_break_of_the_line_is_not_sat_through(tmp_path: Path) -> None:
    record_parts(tmp_path, [0, 9000 * SECOND])
    grabber = replaying(tmp_path)
    first = grabber.grab(0.0)
    assert first is not None
    assert grabber._exposures.next(0.0) is None
    assert grabber._exposures._due_ns == first.exposure_ns + LONGEST_PAUSE_NS  # type: ignore[union-attr]


def test_parts_whose_image_was_not_kept_are_passed_over_and_counted(tmp_path: Path) -> None:
    record_parts(tmp_path, [10, 20, 30, 40], without_image=[0, 2])
    grabber = replaying(tmp_path, correlation="software_trigger")
    grabber.trigger(1)
    grabber.trigger(2)
    assert [shown(grabber), shown(grabber)] == [(1, 1), (3, 2)]
    assert grabber.counters()["without_image"] == 2


def test_an_image_that_is_not_the_recorded_one_is_not_shown(tmp_path: Path) -> None:
    record_parts(tmp_path, [10, 20, 30])
    images = sorted((tmp_path / "images").iterdir())
    images[0].write_bytes(images[1].read_bytes())
    images[1].unlink()
    grabber = replaying(tmp_path, correlation="software_trigger")
    for part in range(3):
        grabber.trigger(part)
    assert [shown(grabber) for _ in range(3)] == [None, None, (2, 2)]
    assert grabber.counters()["damaged"] == 2


def test_a_record_cannot_name_a_file_outside_the_images(tmp_path: Path) -> None:
    record_parts(tmp_path, [10])
    (journal,) = tmp_path.glob("parts-*.jsonl")
    (image,) = (tmp_path / "images").iterdir()
    image.rename(tmp_path / "secret.png")
    journal.write_text(journal.read_text().replace(image.name, "../secret.png"))
    grabber = replaying(tmp_path, correlation="software_trigger")
    grabber.trigger(1)
    assert grabber.grab(1.0) is None
    assert grabber.counters()["damaged"] == 1


@pytest.mark.parametrize(("name", "why"), [("gone", "no such folder"), ("", "no record of a part")])
def test_nothing_to_replay_says_what_is_wrong(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(CameraLostError, match=why):
        replaying(tmp_path / name)
