import json
import re
from dataclasses import replace

from taktgate.contracts.activation import Activation, Rollback, SlotRef, Trial
from taktgate.contracts.codec import encode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import (
    MAX_COURSE,
    PhaseStart,
    Progress,
    RegistryTrust,
    SlotsDisk,
    StagerReported,
    StagingPhase,
)
from taktgate.staging.errors import UnreachableError
from taktgate.staging.hold import MAX_TEXT_BYTES
from taktgate.staging.reporting import Reporter
from taktgate.staging.typed import fitted, typed
from taktgate.standin.hub import RecordingHub
from taktgate.standin.staging import StagerRig

IDLE = StagerReported(contract="1.2", code="t", phase=StagingPhase.FETCHING)
ROOM = SlotsDisk(slots=1, usedMb=1, quotaMb=100, freeMb=64)
LONGEST = ModelRef(name="n" * 64, version="v" * 64, digest="sha256:" + "f" * 64)


def test_progress_alone_is_told_every_ten_seconds_and_news_after_one() -> None:
    hub, now_s = RecordingHub(), 0.0
    reporter = Reporter(hub, clock=lambda: now_s)
    moments: list[float] = []
    for tenth in range(400):
        now_s = tenth / 10
        progress = Progress(fetchedBytes=tenth, totalBytes=400)
        reporter.tell(replace(IDLE, progress=progress, disk=replace(ROOM, usedMb=tenth)), None)
        if len(hub.reported) > len(moments):
            moments.append(now_s)
    assert moments == [0.0, 10.0, 20.0, 30.0]
    now_s = 31.5
    reporter.tell(replace(IDLE, phase=StagingPhase.VERIFYING), None)
    assert len(hub.reported) == 5
    assert hub.reported[-1]["stager"]["progress"] is None


def test_the_longest_report_stays_below_four_kilobytes_with_names_that_a_hub_takes() -> None:
    shouting = typed(UnreachableError("é" * 2000), None)
    longest = StagerReported(
        contract="1.2",
        code="1.2.3.dev4+local",
        phase=StagingPhase.CONFIRMED,
        order="o" * 128,
        course=MAX_COURSE
        * (PhaseStart(phase=StagingPhase.CONFIRMED, at="2026-11-22T00:00:00+00:00"),),
        staged=LONGEST,
        slot="s" * 64,
        progress=Progress(fetchedBytes=10**12, totalBytes=10**12),
        hold=fitted("é" * 400, MAX_TEXT_BYTES),
        live=LONGEST,
        candidate=LONGEST,
        lastKnownGood=LONGEST,
        previous=LONGEST,
        registry=RegistryTrust(root=10**9, timestamp=10**9, expires="2026-11-22T00:00:00+00:00"),
        disk=SlotsDisk(slots=10**6, usedMb=10**9, quotaMb=10**9, freeMb=10**9),
        lastError=replace(shouting, order="o" * 128, retryAt="2026-11-22T00:00:00+00:00"),
    )
    content = encode(longest)
    assert len(content) < 4096
    for name in re.findall(r'"([^"]*)":', content.decode()):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name)
    assert json.loads(content)["lastError"]["message"].startswith("é")


def test_what_is_quoted_in_an_error_makes_one_printable_line() -> None:
    assert fitted("a\n\x00b\ud800", 100) == "a  b "
    assert len(fitted("é" * 500, 501).encode()) == 500


def test_the_report_says_what_inferences_record_says(rig: StagerRig) -> None:
    def ref(digit: str) -> SlotRef:
        model = ModelRef(name="m", version=digit, digest="sha256:" + digit * 64)
        return SlotRef(model=model, order="o", slot="slot-" + digit * 16)

    good, before, candidate = ref("1"), ref("2"), ref("3")
    calm = Activation(contract="1.2", generation=1, last_known_good=good, previous_good=before)
    halt = Rollback(digest=good.model.digest, order="o", reason="X", figures={}, message="", at="")
    for activation, live, on_trial in (
        (calm, good.model, None),
        (
            replace(calm, trial=Trial(candidate=candidate, attempts=1)),
            candidate.model,
            candidate.model,
        ),
        (replace(calm, halt=halt), None, None),
    ):
        rig.activate(activation)
        rig.work(seconds=1)
        report = rig.desk.report()
        assert (report.live, report.candidate) == (live, on_trial)
        assert (report.lastKnownGood, report.previous) == (good.model, before.model)
    (rig.state_root / "activation.json").write_bytes(b"{")
    rig.work(seconds=1)
    report = rig.desk.report()
    assert (report.live, report.lastKnownGood) == (None, None)
    assert report.lastError is not None
    assert report.lastError.reason == "ACTIVATION"


def test_a_download_is_reported_while_it_runs_and_not_after(rig: StagerRig) -> None:
    seen = []

    def look() -> None:
        seen.append(rig.desk.report().progress)

    rig.order("1.0.0")
    rig.work(check=look)
    fetched = [each.fetchedBytes for each in seen if each is not None]
    assert fetched == sorted(fetched)
    assert len(fetched) == 4
    assert seen[3] is not None
    assert seen[3].fetchedBytes == seen[3].totalBytes
    report = rig.desk.report()
    assert (report.phase, report.progress) == (StagingPhase.STAGED, None)
    assert report.disk is not None
    assert (report.disk.slots, report.disk.quotaMb) == (1, 4096)
