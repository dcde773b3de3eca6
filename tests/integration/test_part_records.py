"""Every part leaves a record: the whole module, from the camera's pixels to the disk."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.integration.judge_station import WINDOW_MS, flat
from tests.integration.test_judge_and_agent import module_station
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.model import ModelRef
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope
from taktgate.inspection.records.journal import read_records
from taktgate.inspection.records.record import PartRecord

DARK, BRIGHT = flat(10), flat(240)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A sound part, a defective one, and one without a frame: what was said, what was kept."""

    folder: Path
    model: ModelRef
    verdicts: list[VerdictEnvelope]
    records: list[PartRecord]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("station")
    records = folder / "state/records"
    verdicts = []
    with module_station(folder, window_ms=WINDOW_MS) as station:
        model = station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_module()
        station.wait(lambda: station.is_ready)
        for pixels in (DARK, BRIGHT, None):
            verdicts.append(station.judged(pixels))
        station.wait(lambda: len(list(read_records(records))) == 3)
        return Run(
            folder=records, model=model, verdicts=verdicts, records=list(read_records(records))
        )


def test_each_part_has_one_record_with_the_verdict_that_the_writer_got(run: Run) -> None:
    assert [each.envelope for each in run.records] == run.verdicts
    assert [each.envelope.verdict for each in run.records] == [
        Verdict.PASS,
        Verdict.FAIL,
        Verdict.NO_DECISION,
    ]
    assert [each.envelope.model for each in run.records] == [run.model] * 3


def test_a_part_without_a_frame_has_a_record_that_says_so(run: Run) -> None:
    missing = run.records[2]

    assert missing.envelope.reason is Reason.NO_FRAME
    assert (missing.frame, missing.image, missing.note_lost) == (None, None, False)
    assert missing.lanes.local_ns is not None


def test_a_record_names_each_step_of_its_part_in_their_order(run: Run) -> None:
    for record in run.records[:2]:
        its, frame = record.envelope, record.frame
        assert frame is not None
        steps = (
            its.trigger_ns,
            its.exposure_ns,
            its.received_ns,
            frame.arrived_ns,
            frame.gated_ns,
            its.inference_start_ns,
            its.inference_end_ns,
            its.decided_ns,
            record.lanes.local_ns,
        )
        known = [step for step in steps if step is not None]
        assert len(known) == len(steps)
        assert known == sorted(known)


def test_each_image_has_its_digest_and_only_the_rejected_one_is_kept(run: Run) -> None:
    good, bad = (each.image for each in run.records[:2])

    assert good is not None
    assert good.digest == f"sha256:{hashlib.sha256(DARK.tobytes()).hexdigest()}"
    assert good.file is None
    assert bad is not None
    assert bad.digest == f"sha256:{hashlib.sha256(BRIGHT.tobytes()).hexdigest()}"
    assert bad.file is not None
    with Image.open(run.folder / "images" / bad.file) as image:
        assert np.array_equal(np.asarray(image), BRIGHT)
