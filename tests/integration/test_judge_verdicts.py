"""A judge and its runner as they run on a station: frames in, verdicts out."""

import time
from pathlib import Path

import pytest
from tests.integration.judge_station import PATIENCE_S, WELD, flat, judge_station, weld_frames
from tests.integration.tiny_bundles import Tiny

from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.control import Proof


def test_real_frames_become_verdicts_in_time_and_the_agent_gets_a_copy(tmp_path: Path) -> None:
    with judge_station(tmp_path) as station:
        model = station.install(WELD, "a", confirmed=True)
        station.start_ready()
        for pixels in weld_frames(4, defective=False) + weld_frames(4, defective=True):
            station.judged(pixels)
        station.wait(lambda: len(station.heard.copies) == 8)

        verdicts = [each.verdict for each in station.heard.verdicts]
        assert verdicts == [Verdict.PASS] * 4 + [Verdict.FAIL] * 4
        assert station.heard.copies == station.heard.verdicts
        for envelope in station.heard.verdicts:
            assert envelope.model == model
            assert envelope.received_ns is not None
            assert envelope.inference_end_ns is not None
            assert envelope.decided_ns < envelope.deadline_ns - 50 * MILLISECOND
        assert station.heard.beats[-1].model == model


def test_a_judge_is_not_ready_without_model_camera_or_line_and_says_which(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        station.start()
        station.wait(lambda: bool(station.heard.beats))
        assert station.heard.beats[-1].reason == "no model is live"
        assert station.judged(flat(0)).reason is Reason.NOT_READY
        station.close()

    with judge_station(tmp_path / "2") as station:
        station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        station.camera.hang_up()
        station.wait(lambda: not station.is_ready)
        assert station.heard.beats[-1].reason.startswith("no camera")
        station.camera.accept()
        station.wait(lambda: station.is_ready)
        end = time.monotonic() + PATIENCE_S
        while station.is_ready and time.monotonic() < end:
            station.listen(0.1)  # and send no line state
        assert station.heard.beats[-1].reason == "no line state from the PLC writer"


def test_a_restarted_judge_judges_again_after_an_edge_and_not_the_part_before(
    tmp_path: Path,
) -> None:
    with judge_station(tmp_path) as station:
        station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        assert station.judged(flat(0)).verdict is Verdict.PASS
        station.kill_judge()
        station.trigger_id += 1
        station.start_ready()
        station.camera.send(flat(0))
        station.wait_for_quiet(0.3)
        assert station.verdict(station.trigger_id) is None

        assert station.judged(flat(0)).verdict is Verdict.PASS


@pytest.mark.parametrize("content", [b"", b"{", b'{"contract":"9.0","generation":1}'])
def test_an_unreadable_activation_means_no_model_and_is_said(
    tmp_path: Path, content: bytes
) -> None:
    with judge_station(tmp_path) as station:
        (tmp_path / "state/activation.json").write_bytes(content)
        station.start()
        station.wait(lambda: bool(station.heard.beats))

        assert not station.is_ready
        station.wait(lambda: "activation cannot be read" in station.log)


@pytest.mark.parametrize(("is_same_runtime", "images"), [(True, 0), (False, 10)])
def test_golden_runs_at_boot_only_under_a_changed_runtime(
    tmp_path: Path, is_same_runtime: bool, images: int
) -> None:
    with judge_station(tmp_path) as station:
        model = station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        fingerprint = station.ready_of(model.digest).fingerprint
        assert station.ready_of(model.digest).golden_images == 10, "nothing was proven before"
        station.kill_judge()
        proof = Proof(
            digest=model.digest, fingerprint=fingerprint if is_same_runtime else "another"
        )
        (tmp_path / "state/proven.json").write_bytes(encode(proof))
        station.start_ready()

        assert station.ready_of(model.digest).golden_images == images


def test_with_the_local_lane_off_only_the_agents_lane_counts(tmp_path: Path) -> None:
    with judge_station(tmp_path, settings="lanes: {local: false}\n") as station:
        station.install_tiny(Tiny(), "a", confirmed=True)
        station.lane = Lane.EDGEHUB
        station.start()
        station.wait(lambda: station.heard.status is not None and station.heard.status.is_ready)
        station.part(flat(0))
        station.wait(lambda: bool(station.heard.copies))
        assert station.heard.copies[-1].verdict is Verdict.PASS
        assert not station.heard.verdicts
        assert not station.heard.beats

        station.lane = Lane.LOCAL
        station.part(flat(0))
        station.wait_for_quiet(0.3)
        assert len(station.heard.copies) == 1


def test_parts_that_cannot_be_judged_are_answered_with_their_reason(tmp_path: Path) -> None:
    with judge_station(tmp_path) as station:
        station.install_tiny(Tiny(), "a", confirmed=True)
        station.start_ready()
        station.trigger_id += 1
        station.line(is_edge=True, enable=False)
        station.wait(lambda: station.verdict(station.trigger_id) is not None)

        assert station.heard.verdicts[-1].reason is Reason.NOT_READY
        assert station.judged(None).reason is Reason.NO_FRAME
        assert station.judged(flat(0)[:32]).reason is Reason.MODEL_ERROR, "of another size"
        assert station.judged(flat(0)).verdict is Verdict.PASS

        # TriggerId jumps: the part after the jump has no frame that can be trusted.
        reasons = []
        for skipped in (2, 0):
            reasons.append(station.judged(flat(0), skipped=skipped).reason)
        assert reasons == [Reason.FRAME_MISMATCH, Reason.NONE]
        assert [each.reason for each in station.heard.verdicts[-4:-2]] == [Reason.SKIPPED] * 2
