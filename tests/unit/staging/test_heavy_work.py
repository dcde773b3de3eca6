"""Unpacking and verifying give way: to a judge at its limit, and to a newer order."""

from collections.abc import Callable
from pathlib import Path

import pytest

from taktgate.bundle.archive import unpack
from taktgate.bundle.signing import TrustedKeys
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.errors import SupersededError
from taktgate.staging.fetch.pace import CALM_S, Pace
from taktgate.staging.judge_sight import JudgeSight, JudgeSign
from taktgate.staging.slots.gate import StationGate
from taktgate.standin.staging import MemoryRegistry, StagerRig

ROOT = Path(__file__).parents[3]
WELL = JudgeSight(sign=JudgeSign.HEARD, share=0.5)


class Line:
    """A station whose judge is late from the moment when unpacking or verifying begins."""

    def __init__(
        self, folder: Path, registry: MemoryRegistry, keys: TrustedKeys, *, late_s: float
    ) -> None:
        self.now_s = 0.0
        self._late_s = late_s
        self._began_s: float | None = None
        self.seen: list[tuple[StagingPhase, str | None]] = []
        pace = Pace(look=self._look, clock=lambda: self.now_s, sleep=self._sleep)
        self.rig = StagerRig(folder, registry=registry, keys=keys, pace=pace)

    def _sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def _look(self) -> JudgeSight:
        if self.rig.journal.record.phase is StagingPhase.VERIFYING and self._began_s is None:
            self._began_s = self.now_s
        is_late = self._began_s is not None and self.now_s < self._began_s + self._late_s
        return JudgeSight(sign=JudgeSign.HEARD, late=1 + int(self.now_s)) if is_late else WELL

    def stage(self, check: Callable[[], None] = lambda: None) -> None:
        def seeing() -> None:
            report = self.rig.desk.report()
            self.seen.append((report.phase, report.hold))
            # Virtual work: as if each step had taken a while, so that the pulse is looked at.
            self.now_s += 0.6
            check()

        self.rig.order("1.0.0")
        self.rig.work(check=seeing)


def test_unpacking_and_verifying_wait_for_a_late_judge_and_say_so_once(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    line = Line(tmp_path, registry, keys, late_s=20)
    line.stage()
    assert line.rig.announced_verifies()
    paused = {hold for phase, hold in line.seen if phase is StagingPhase.VERIFYING and hold}
    assert len(paused) == 1, "a reason that changes twice a second would be news each time"
    assert paused.pop().startswith("paused: the judge was late")
    assert line.now_s > 20 + CALM_S
    assert line.rig.desk.report().hold is None


def test_a_bundle_that_was_found_is_verified_at_the_same_pace(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    first = Line(tmp_path, registry, keys, late_s=0)
    first.stage()
    first.rig.order("2.0.0", "o2")
    first.rig.work()
    line = Line(tmp_path, registry, keys, late_s=20)
    line.stage()
    assert {phase for phase, _ in line.seen} == {StagingPhase.VERIFYING, StagingPhase.TESTING}
    assert any(hold for phase, hold in line.seen if phase is StagingPhase.VERIFYING)


@pytest.mark.parametrize("at", range(1, 8))
def test_a_newer_order_ends_unpacking_and_verifying_and_leaves_no_half_bundle(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys, at: int
) -> None:
    line = Line(tmp_path, registry, keys, late_s=0)
    calls = 0

    def superseded() -> None:
        nonlocal calls
        if line.rig.journal.record.phase is StagingPhase.VERIFYING:
            calls += 1
            if calls == at:
                raise SupersededError("the twin asks for something else by now")

    line.stage(superseded)
    assert calls == at
    assert line.rig.announced() is None
    line.rig.order("2.0.0", "o2")
    line.rig.work()
    assert line.rig.announced_verifies()
    assert [entry.name for entry in line.rig.slots_root.glob(".*")] == []


def test_the_gate_of_a_station_tells_of_all_that_it_reads(tmp_path: Path) -> None:
    unpack(ROOT / "src/taktgate/standin/samples/weld-seam/weld-seam-1.0.0.bundle", tmp_path)
    told: list[int] = []
    gate = StationGate(config=ROOT / "config", device_class="cpu")
    manifest = gate.verify(tmp_path, heed=told.append).manifest
    assert sum(told) == sum(its.size_bytes for its in manifest.files)
