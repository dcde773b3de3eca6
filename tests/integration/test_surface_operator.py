"""What a person reports by the control surface: a part that should not have passed."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.integration.surface_station import TOKEN, SurfaceStation, surface_station
from tests.integration.tiny_bundles import Tiny
from tests.unit.inspection.records.parts import MODEL, record

from taktgate.contracts.codec import decode
from taktgate.contracts.hold import HOLD_FILE, Hold
from taktgate.contracts.verdict import Verdict
from taktgate.inspection.records.bounded_folder import Bounds
from taktgate.inspection.records.journal import Journal


def keep_record(station: SurfaceStation, trigger_id: int, said: Verdict, digest: str) -> None:
    """Write the record of a part that the model *digest* judged."""
    part = record(1)
    by = replace(MODEL, digest=digest)
    envelope = replace(part.envelope, trigger_id=trigger_id, verdict=said, model=by)
    journal = Journal(station.places.records, Bounds(max_bytes=1 << 20, max_age_s=3600))
    journal.append(replace(part, envelope=envelope))
    journal.close()


def test_escape_is_held_against_the_model_that_passed_the_part(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s") as station:
        good = station.shelve(Tiny(version="1.0.0"), "a")
        station.confirm(good, "a")
        keep_record(station, 17, Verdict.PASS, good.digest)
        answer = station.order("/report-escape", {"trigger_id": 17, "defect_class": "crack"})
        assert (answer.status, answer.json["status"]) == (200, "sent back")
        assert answer.json["digest"] == good.digest
        assert [each.reason for each in station.audits] == ["ESCAPE_OR_DISAGREEMENT"]
        assert station.activator.activation.halt is not None, "there is no other model to trust"

        cleared = station.order("/clear-model", {"digest": good.digest})
        assert (cleared.status, cleared.json["status"]) == (200, "cleared")
        assert station.activator.activation.halt is None
        assert station.order("/clear-model", {"digest": good.digest}).status == 404


def test_escape_that_accuses_nobody_changes_nothing(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s") as station:
        good = station.shelve(Tiny(version="1.0.0"), "a")
        station.confirm(good, "a")
        before = station.activator.activation
        keep_record(station, 17, Verdict.FAIL, good.digest)
        keep_record(station, 18, Verdict.PASS, "sha256:" + "b" * 64)
        for trigger_id, token, status in ((17, TOKEN, 409), (18, TOKEN, 409), (19, TOKEN, 404),
                                          (18, None, 401)):  # fmt: skip
            request = {"trigger_id": trigger_id, "defect_class": "crack"}
            assert station.order("/report-escape", request, token).status == status
        assert station.activator.activation == before


def test_each_attempt_leaves_a_line_whatever_becomes_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    may = {"Authorization": f"Bearer {TOKEN}"}
    with surface_station(tmp_path / "s") as station:
        assert station.post("/clear-model", b"{}", Authorization="Bearer no").status == 401
        assert station.post("/clear-model", b"x", "text/plain", **may).status == 415
        assert station.post("/clear-model", b"x" * 5000, **may).status == 413
        assert station.post("/clear-model", b"{}", **may).status == 422
    said = [each.getMessage() for each in caplog.records if "audit" in each.getMessage()]
    assert said == ["audit: clear-model refused"] * 4


def test_hold_is_durable_before_it_is_answered_and_stands_until_it_is_lifted(
    tmp_path: Path,
) -> None:
    with surface_station(tmp_path / "s") as station:
        file = station.places.state / HOLD_FILE
        assert station.order("/release-hold", {}).status == 404
        for reason in ("changeover", "audit"):
            answer = station.order("/hold", {"reason": reason})
            assert (answer.status, answer.json) == (200, {"status": "held", "reason": reason})
            hold = decode(Hold, file.read_bytes())
            assert (hold.by, hold.reason) == ("operator", reason)
        assert station.order("/hold", {"reason": ""}).status == 422
        assert station.order("/hold", {"reason": "x"}, None).status == 401
        assert decode(Hold, file.read_bytes()).reason == "audit"
        file.write_bytes(b"{")
        assert station.order("/release-hold", {}).json == {"status": "released", "reason": None}
        assert not file.exists()


def test_hold_that_the_disk_does_not_take_is_said_to_fail(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s") as station:
        (station.places.state / HOLD_FILE).mkdir()
        answer = station.order("/hold", {"reason": "x"})
        assert answer.status == 503
        assert "STATE_WRITE" in answer.json["detail"]
