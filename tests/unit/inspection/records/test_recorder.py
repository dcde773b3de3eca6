"""The recorder's thread on a real folder, fed from real evidence memory."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from tests.unit.inspection.records.parts import (
    HEIGHT,
    WIDTH,
    envelope,
    known,
    note,
    pixels_of,
)
from tests.waiting import WITHIN_S

from taktgate.contracts.verdict import Verdict
from taktgate.edge.settings import RecordSettings
from taktgate.inspection.frames.evidence import EvidenceMemory
from taktgate.inspection.frames.evidence_reader import EvidenceReader
from taktgate.inspection.records.join import KnownPart
from taktgate.inspection.records.journal import read_records
from taktgate.inspection.records.record import IMAGES
from taktgate.inspection.records.recorder import QUEUE_CAPACITY, Recorder
from taktgate.inspection.records.recording import Recording


def run(recorder: Recorder, serve: Callable[[], None] = lambda: None) -> None:
    """Let the recorder's thread do all that was handed over, and end."""
    recorder.end()
    thread = Thread(target=recorder.run)
    thread.start()
    while thread.is_alive():
        serve()
        thread.join(0.005)


def make(
    folder: Path, settings: RecordSettings, complaints: list[str | None], reserve_bytes: int = 0
) -> Recorder:
    evidence = EvidenceReader(folder / "evidence.sock", patience_s=WITHIN_S)
    return Recorder(
        folder / "records",
        settings,
        evidence,
        complain=complaints.append,
        reserve_bytes=reserve_bytes,
    )


@pytest.mark.parametrize(
    ("images", "kept"), [("rejected", [False, True, True]), ("all", [True, True, True])]
)
def test_every_part_has_its_digest_and_what_was_rejected_its_image(
    tmp_path: Path, images: str, kept: list[bool]
) -> None:
    memory = EvidenceMemory(tmp_path / "evidence.sock")
    recorder = make(tmp_path, RecordSettings.model_validate({"images": images}), [])
    for sequence, verdict in enumerate((Verdict.PASS, Verdict.FAIL, Verdict.NO_DECISION), start=1):
        slot = memory.keep(sequence, memoryview(pixels_of(sequence)))
        recorder.put(
            KnownPart(
                envelope=envelope(sequence, verdict), edgehub_ns=50, note=note(sequence, slot)
            )
        )
    run(recorder, memory.serve)
    memory.close()

    records = list(read_records(tmp_path / "records"))
    assert [each.envelope.sequence for each in records] == [1, 2, 3]
    for each, is_kept in zip(records, kept, strict=True):
        pixels = pixels_of(each.envelope.sequence)
        assert each.image is not None
        assert each.image.digest == f"sha256:{hashlib.sha256(pixels).hexdigest()}"
        assert (each.lanes.local_ns, each.lanes.edgehub_ns) == (40 + each.envelope.sequence, 50)
        assert (each.image.file is not None) == is_kept
        if each.image.file is not None:
            with Image.open(tmp_path / "records" / IMAGES / each.image.file) as image:
                assert np.asarray(image).tobytes() == pixels
                assert image.size == (WIDTH, HEIGHT)


def test_a_part_without_a_note_is_recorded_as_such(tmp_path: Path) -> None:
    recorder = make(tmp_path, RecordSettings(), [])
    recorder.put(KnownPart(envelope=envelope(1), edgehub_ns=None, note=None))
    run(recorder)

    (record,) = read_records(tmp_path / "records")
    assert (record.note_lost, record.frame, record.image) == (True, None, None)


def test_pixels_that_were_overwritten_are_counted_and_the_record_is_written(tmp_path: Path) -> None:
    recorder = make(tmp_path, RecordSettings(), [])
    recorder.put(known(1))
    run(recorder)

    assert (recorder.counters.pixels_lost, recorder.counters.written) == (1, 1)


def test_a_full_queue_drops_and_counts_and_holds_nobody_up(tmp_path: Path) -> None:
    recorder = make(tmp_path, RecordSettings(), [])
    for sequence in range(1, QUEUE_CAPACITY + 4):
        recorder.put(known(sequence))

    assert recorder.counters.dropped == 3


def test_a_volume_without_room_is_left_alone_and_said_once(tmp_path: Path) -> None:
    complaints: list[str | None] = []
    recorder = make(tmp_path, RecordSettings(), complaints, reserve_bytes=1 << 62)
    for sequence in (1, 2):
        recorder.put(known(sequence))
    run(recorder)

    assert recorder.counters.refused == 2
    assert len(complaints) == 1
    assert complaints[0] is not None
    assert "kept free" in complaints[0]
    assert recorder.fault == complaints[0]


def test_a_folder_that_cannot_be_made_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"in the way")
    complaints: list[str | None] = []
    recorder = make(tmp_path, RecordSettings(), complaints)
    for sequence in (1, 2, 3):
        recorder.put(known(sequence))
    run(recorder)

    assert recorder.counters.refused == 3
    (said,) = complaints
    assert said is not None
    assert "records" in said


def test_images_never_take_more_than_their_share(tmp_path: Path) -> None:
    memory = EvidenceMemory(tmp_path / "evidence.sock")
    recorder = make(tmp_path, RecordSettings(images_mb=0), [])
    slot = memory.keep(1, memoryview(pixels_of(1)))
    recorder.put(KnownPart(envelope=envelope(1, Verdict.FAIL), edgehub_ns=None, note=note(1, slot)))
    run(recorder, memory.serve)
    memory.close()

    (record,) = read_records(tmp_path / "records")
    assert record.image is not None
    assert record.image.file is None
    assert list((tmp_path / "records" / IMAGES).iterdir()) == []


def test_a_part_whose_verdict_did_not_arrive_is_counted(tmp_path: Path) -> None:
    recording = Recording(make(tmp_path, RecordSettings(), []), lambda: 0)
    recording.verdict(envelope(1), None)
    recording.note(note(1))
    recording.note(note(2))

    assert recording.counters()["records_verdicts_lost"] == 1
