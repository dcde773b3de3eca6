"""Candidates beside a live model: refused without a trace, or swapped in between two parts."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.judge_station import JudgeStation, flat, judge_station
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.verdict import Verdict
from taktgate.inspection import control
from taktgate.inspection.control import Drop, Happening, Load, Swap

GOOD = Tiny(version="1.0.0")
NEXT = Tiny(version="2.0.0", gain=9.0)


def refusal(station: JudgeStation, digest: str) -> str:
    """Load *digest* from slot b and return why it was refused."""
    station.command(control.KIND_LOAD, Load(slot="b", digest=digest, golden=True))
    station.wait(lambda: bool(station.happened(Happening.REFUSED)))
    (event,) = station.happened(Happening.REFUSED)
    assert event.digest == digest
    return event.reason


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (replace(NEXT, weight_is_nan=True), "NON_FINITE"),
        (replace(NEXT, score_output="score"), "OUTPUTS"),
        (replace(NEXT, classes=3), "OUTPUTS"),
        (replace(NEXT, golden_shift=0.1), "GOLDEN"),
        (replace(NEXT, gain=-8.0, golden_shift=0.5), "GOLDEN"),
        (replace(NEXT, cut_bytes=60), "LOAD"),
        (replace(NEXT, device_class="jetson"), "INCOMPATIBLE"),
    ],
)
def test_a_bad_candidate_is_refused_by_its_own_reason_and_the_live_model_judges_on(
    tmp_path: Path, candidate: Tiny, reason: str
) -> None:
    with judge_station(tmp_path) as station:
        live = station.install_tiny(GOOD, "a", confirmed=True)
        bad = station.install_tiny(candidate, "b")
        station.start_ready()
        pid = station.runner_pid(live.digest)

        assert refusal(station, bad.digest) == reason
        station.command(control.KIND_SWAP, Swap(digest=bad.digest))
        verdict = station.judged(flat(0))
        assert (verdict.verdict, verdict.model) == (Verdict.PASS, live)
        assert station.runner_pid(live.digest) == pid


def test_a_slot_that_was_tampered_with_is_refused(tmp_path: Path) -> None:
    with judge_station(tmp_path) as station:
        station.install_tiny(GOOD, "a", confirmed=True)
        other = station.install_tiny(NEXT, "b")
        station.start_ready()
        model = tmp_path / "slots/b/model.onnx"
        model.write_bytes(model.read_bytes()[:-1] + b"\x00")
        assert refusal(station, other.digest) == "DIGEST"

        station.heard.events.clear()
        station.command(control.KIND_DROP, Drop(digest=other.digest))
        (tmp_path / "slots/b/manifest.sig").write_bytes(b"{}")
        assert refusal(station, other.digest) == "SIGNATURE"


def test_swaps_under_load_cost_no_part_and_mix_no_models(tmp_path: Path) -> None:
    with judge_station(tmp_path, window_ms=60) as station:
        models = [
            station.install_tiny(GOOD, "a", confirmed=True),
            station.install_tiny(NEXT, "b"),
        ]
        station.start_ready()
        station.command(control.KIND_LOAD, Load(slot="b", digest=models[1].digest, golden=True))
        station.wait(lambda: station.runner_pid(models[1].digest) is not None)
        for number in range(60):
            if number % 3 == 0:
                wanted = models[number // 3 % 2].digest
                station.command(control.KIND_SWAP, Swap(digest=wanted))
            station.part(flat(0 if number % 2 else 255))
            time.sleep(0.08)
            station.listen(0)
        station.wait(lambda: len(station.heard.verdicts) >= 60)

        verdicts = station.heard.verdicts
        assert len({each.trigger_id for each in verdicts}) == len(verdicts) == 60
        judged = [each for each in verdicts if each.verdict is not Verdict.NO_DECISION]
        assert len(judged) >= 57, [each.reason for each in verdicts]
        assert {each.model for each in judged} == set(models)
        for each in judged:
            expected = Verdict.FAIL if each.trigger_id % 2 else Verdict.PASS
            assert each.verdict is expected, "a verdict from another part's frame"
        assert station.happened(Happening.FIRST_PART)


def test_the_live_model_cannot_be_dropped_and_others_can(tmp_path: Path) -> None:
    with judge_station(tmp_path) as station:
        live = station.install_tiny(GOOD, "a", confirmed=True)
        other = station.install_tiny(NEXT, "b")
        station.start_ready()
        station.command(control.KIND_LOAD, Load(slot="b", digest=other.digest, golden=True))
        station.wait(lambda: station.runner_pid(other.digest) is not None)
        for digest in (live.digest, other.digest):
            station.command(control.KIND_DROP, Drop(digest=digest))
        status = station.heard.status
        station.wait(lambda: station.heard.status is not status)
        station.wait(lambda: station.runner_pid(other.digest) is None)

        assert station.runner_pid(live.digest) is not None
        assert station.judged(flat(0)).verdict is Verdict.PASS
