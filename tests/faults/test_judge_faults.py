"""Models and cameras that go wrong on a running station: what the writer and the agent hear."""

from pathlib import Path

import numpy as np
import pytest
from tests.integration.judge_station import JudgeStation, flat, judge_station
from tests.integration.tiny_bundles import SIZE, Tiny

from taktgate.contracts.codec import encode
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.inspection.activation_file import PROVEN
from taktgate.inspection.control import Happening, Proof
from taktgate.inspection.runner.fingerprint import runtime_fingerprint
from taktgate.inspection.runner.onnx_session import CPU, RUNTIME_VERSION

ALONE = "judge: {standby: false, breaker_after: 3}\n"


def confirm(station: JudgeStation, tiny: Tiny) -> None:
    """Have *tiny* live from the start, whatever golden images would say of it."""
    model = station.install_tiny(tiny, "a", confirmed=True)
    fingerprint = runtime_fingerprint(runtime_version=RUNTIME_VERSION, provider=CPU)
    (station.folder / "state" / PROVEN).write_bytes(
        encode(Proof(digest=model.digest, fingerprint=fingerprint))
    )


def reason_of_next(station: JudgeStation, grey: int = 60) -> Reason:
    """Let one part come and return its reason."""
    return station.judged(flat(grey)).reason


@pytest.mark.parametrize(
    ("tiny", "deadline_ms", "reason"),
    [
        (Tiny(weight_is_nan=True), 400, Reason.NON_FINITE),
        (Tiny(slow_steps=16), 100, Reason.TIMEOUT),
    ],
)
def test_a_model_without_usable_answers_takes_the_station_out_of_work(
    tmp_path: Path, tiny: Tiny, deadline_ms: int, reason: Reason
) -> None:
    with judge_station(tmp_path, deadline_ms=deadline_ms, settings=ALONE) as station:
        confirm(station, tiny)
        station.start_ready()
        reasons = [reason_of_next(station) for _ in range(3)]
        station.wait(lambda: not station.is_ready)
        assert reasons == [reason] * 3
        assert station.heard.beats[-1].reason.startswith("no usable answer for 3 parts")
        assert reason_of_next(station) is Reason.NOT_READY

        station.wait(lambda: station.is_ready)
        assert reason_of_next(station) is reason, "one part is let through to try"
        station.wait(lambda: not station.is_ready)
        assert len(station.happened(Happening.BREAKER_OPEN)) == 1, "said once, not at each try"
        assert not station.happened(Happening.BREAKER_CLOSED)


def test_images_that_are_not_fit_to_be_judged_are_rejected_each_for_its_reason(
    tmp_path: Path,
) -> None:
    gate = (
        "image_gate: {dark_share_max: 0.6, saturated_share_max: 0.6, mean_min: 40,"
        " sharpness_min: 1, frozen_frames: 3}\n"
    )
    noise = np.random.default_rng(1)
    with judge_station(tmp_path, settings=gate) as station:
        confirm(station, Tiny())
        station.start_ready()

        def judged(low: int, high: int) -> tuple[Verdict, Reason]:
            verdict = station.judged(noise.integers(low, high, (SIZE, SIZE), np.uint8))
            return verdict.verdict, verdict.reason

        assert judged(60, 100) == (Verdict.PASS, Reason.NONE)
        assert judged(0, 3) == (Verdict.NO_DECISION, Reason.IMAGE_DARK)
        assert judged(252, 255) == (Verdict.NO_DECISION, Reason.IMAGE_SATURATED)
        assert judged(10, 40) == (Verdict.NO_DECISION, Reason.IMAGE_EXPOSURE)
        assert judged(80, 81) == (Verdict.NO_DECISION, Reason.IMAGE_BLURRED)

        still = noise.integers(60, 100, (SIZE, SIZE), np.uint8)
        verdicts = []
        for _ in range(3):
            verdicts.append(station.judged(still))
        assert [each.reason for each in verdicts] == [Reason.NONE] * 2 + [Reason.IMAGE_FROZEN]
        assert verdicts[2].verdict is Verdict.NO_DECISION
        assert judged(60, 100) == (Verdict.PASS, Reason.NONE)
