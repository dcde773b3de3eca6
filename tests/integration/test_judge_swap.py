"""Candidates beside a live model: refused without a trace, or swapped in between two parts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.judge_station import JudgeStation, flat, judge_station
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.verdict import Reason, Verdict
from taktgate.inspection import control
from taktgate.inspection.control import Drop, Happening, Load, Swap

GOOD = Tiny(version="1.0.0")
NEXT = Tiny(version="2.0.0", gain=9.0)
FRAME_LATE = {Reason.NO_FRAME, Reason.FRAME_MISMATCH}
"""Of a machine that holds a frame up for longer than its window: no swap can do that."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JudgeStation]:
    """A station with a good model live, shared: what it is offered must leave no trace."""
    with judge_station(tmp_path_factory.mktemp("station")) as station:
        station.install_tiny(GOOD, "a", confirmed=True)
        station.start_ready()
        yield station


def refusal(station: JudgeStation, slot: str, digest: str) -> str:
    """Load *digest* from *slot* and return why it was refused."""
    station.heard.events.clear()
    station.command(control.KIND_LOAD, Load(slot=slot, digest=digest, golden=True))
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
        (replace(NEXT, cut_bytes=60), "LOAD"),
        (replace(NEXT, device_class="jetson"), "INCOMPATIBLE"),
    ],
)
def test_a_bad_candidate_is_refused_by_its_own_reason_and_the_live_model_judges_on(
    station: JudgeStation, request: pytest.FixtureRequest, candidate: Tiny, reason: str
) -> None:
    live = station.heard.beats[-1].model
    assert live is not None
    pid = station.runner_pid(live.digest)
    slot = f"bad{request.node.callspec.indices['candidate']}"
    bad = station.install_tiny(candidate, slot)

    assert refusal(station, slot, bad.digest) == reason
    station.command(control.KIND_SWAP, Swap(digest=bad.digest))
    verdict = station.judged(flat(0))
    assert (verdict.verdict, verdict.model) == (Verdict.PASS, live)
    assert station.runner_pid(live.digest) == pid
    station.command(control.KIND_DROP, Drop(digest=bad.digest))


def test_a_slot_that_was_tampered_with_is_refused(station: JudgeStation) -> None:
    other = station.install_tiny(NEXT, "tampered")
    folder = station.folder / "slots/tampered"
    model = folder / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\x00")
    assert refusal(station, "tampered", other.digest) == "DIGEST"

    (folder / "manifest.sig").write_bytes(b"{}")
    assert refusal(station, "tampered", other.digest) == "SIGNATURE"
    assert refusal(station, "nowhere", other.digest) == "ARCHIVE"
    station.command(control.KIND_DROP, Drop(digest=other.digest))


def test_a_slot_that_holds_another_bundle_than_ordered_is_refused(station: JudgeStation) -> None:
    held = station.install_tiny(NEXT, "held")
    ordered = held.digest[:-4] + "0000"

    assert refusal(station, "held", ordered) == "DIGEST"
    station.command(control.KIND_DROP, Drop(digest=ordered))


def test_the_live_model_cannot_be_dropped_and_others_can(station: JudgeStation) -> None:
    live = station.heard.beats[-1].model
    assert live is not None
    other = station.install_tiny(NEXT, "other")
    station.command(control.KIND_LOAD, Load(slot="other", digest=other.digest, golden=True))
    station.wait(lambda: station.runner_pid(other.digest) is not None)
    for digest in (live.digest, other.digest):
        station.command(control.KIND_DROP, Drop(digest=digest))
    station.wait(lambda: station.runner_pid(other.digest) is None)

    assert station.runner_pid(live.digest) is not None
    assert station.judged(flat(0)).verdict is Verdict.PASS


def test_swaps_under_load_cost_no_part_and_mix_no_models(tmp_path: Path) -> None:
    with judge_station(tmp_path, window_ms=75) as station:
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
        station.wait(lambda: len(station.heard.verdicts) >= 60)

        verdicts = station.heard.verdicts
        assert len({each.trigger_id for each in verdicts}) == len(verdicts) == 60
        judged = [each for each in verdicts if each.verdict is not Verdict.NO_DECISION]
        lost = {each.reason for each in verdicts if each.verdict is Verdict.NO_DECISION}
        assert lost <= FRAME_LATE, lost
        assert len(judged) >= 40, [each.reason for each in verdicts]
        assert {each.model for each in judged} == set(models)
        for each in judged:
            expected = Verdict.FAIL if each.trigger_id % 2 else Verdict.PASS
            assert each.verdict is expected, "a verdict from another part's frame"
        assert station.happened(Happening.FIRST_PART)
