from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.signing import TrustedKeys
from taktgate.contracts.activation import Activation, SlotRef, Trial
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.edge.settings import StagingSettings
from taktgate.staging.hold import Window, hold_text
from taktgate.standin.staging import MemoryRegistry, MemorySmokeTest, StagerRig

EMPTY = Activation(contract="1.2", generation=1)


def slot_of(announced: StagedModel) -> SlotRef:
    return SlotRef(model=announced.model, order=announced.order, slot=announced.slot)


def staged(rig: StagerRig, version: str, order: str) -> StagedModel:
    rig.order(version, order)
    rig.work(seconds=60)
    announced = rig.announced()
    assert announced is not None
    assert announced.model.version == version
    return announced


def assert_held(rig: StagerRig, text: str) -> None:
    report = rig.desk.report()
    assert (report.phase, report.order, report.lastError) == (StagingPhase.HELD, "o2", None)
    assert report.hold == text


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("06:00-14:00", ["06:00", "13:59"], ["05:59", "14:00", "00:00"]),
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "21:59"]),
        ("00:00-00:00", ["00:00", "12:00", "23:59"], []),
    ],
)
def test_a_window_has_its_start_but_not_its_end(
    window: str, inside: list[str], outside: list[str]
) -> None:
    its = Window.parse(window)
    assert all(its.holds(datetime.fromisoformat(f"2026-11-22T{each}").time()) for each in inside)
    assert not any(
        its.holds(datetime.fromisoformat(f"2026-11-22T{each}").time()) for each in outside
    )
    assert str(its) == window


@given(start=st.integers(0, 1439), end=st.integers(0, 1439))
def test_a_window_and_its_opposite_share_the_day(start: int, end: int) -> None:
    texts = [f"{each // 60:02}:{each % 60:02}" for each in (start, end)]
    window, opposite = Window.parse("-".join(texts)), Window.parse("-".join(reversed(texts)))
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    for minute in range(0, 1440, 7):
        moment = (midnight + timedelta(minutes=minute)).time()
        if start != end:
            assert window.holds(moment) is not opposite.holds(moment)
        else:
            assert window.holds(moment)


def test_outside_its_windows_the_station_holds_an_order_and_keeps_it(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    settings = StagingSettings(windows=("22:00-06:00", "13:00-13:30"), reserve_mb=0)
    rig = StagerRig(tmp_path, registry=registry, keys=keys, settings=settings)
    rig.order("2.0.0", "o2")
    rig.work()
    assert_held(rig, "outside 22:00-06:00, 13:00-13:30 UTC")
    assert registry.downloads == []
    rig.work(seconds=3599)
    assert rig.desk.report().phase is StagingPhase.HELD
    rig.work(seconds=1)
    rig.work()
    assert rig.announced_verifies()
    assert rig.desk.report().hold is None


def test_an_operators_hold_stops_the_order_until_it_is_lifted(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    rig.hold("changeover of the gripper")
    rig.order("2.0.0", "o2")
    rig.work()
    assert_held(rig, "operator: changeover of the gripper")
    assert (registry.downloads, rig.announced()) == ([], None)
    rig.hold(None)
    rig.work()
    rig.work()
    assert rig.announced_verifies()


def test_a_hold_outlives_a_restart(
    rig: StagerRig, registry: MemoryRegistry, keys: TrustedKeys, tmp_path: Path
) -> None:
    rig.hold("x")
    rig.order("2.0.0", "o2")
    rig.work()
    restarted = StagerRig(tmp_path, registry=registry, keys=keys)
    restarted.stager.recover()
    restarted.work()
    assert_held(restarted, "operator: x")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"contract": "9.0", "by": "o", "reason": "x", "at": ""}']
)
def test_a_hold_that_cannot_be_read_holds(rig: StagerRig, content: bytes) -> None:
    (rig.state_root / "hold.json").write_bytes(content)
    rig.order("2.0.0", "o2")
    rig.work()
    assert_held(rig, "inference: hold.json cannot be read")


def test_a_refused_order_fails_at_once_also_while_the_station_holds(rig: StagerRig) -> None:
    rig.hold("x")
    rig.order("9.9.9", "o2")
    rig.work()
    assert rig.desk.report().phase is StagingPhase.FAILED


def test_a_hold_that_comes_during_the_download_stops_it_and_keeps_what_is_there(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    def hold_later() -> None:
        rig.now_s += 1
        if not (rig.state_root / "hold.json").exists():
            rig.hold("x")

    rig.order("2.0.0", "o2")
    rig.work(check=hold_later)
    assert_held(rig, "operator: x")
    spools = list(rig.slots_root.glob(".*.download"))
    assert len(spools) == 1
    assert 0 < spools[0].stat().st_size < max(map(len, registry.bundles.values()))
    assert rig.announced() is None


def test_a_hold_that_comes_during_the_smoke_test_keeps_the_model_from_being_announced(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    smoke = MemorySmokeTest()
    rig = StagerRig(tmp_path, registry=registry, keys=keys, smoke=smoke)
    rig.order("2.0.0", "o2")
    rig.work(check=lambda: rig.hold("x") if smoke.tested else None)
    assert_held(rig, "operator: x")
    assert rig.announced() is None
    rig.hold(None)
    rig.work()
    rig.work()
    assert rig.announced_verifies()
    assert smoke.tested == ["2.0.0", "2.0.0"]


def test_while_a_trial_runs_a_new_order_is_held_and_slots_stay(rig: StagerRig) -> None:
    first = staged(rig, "1.0.0", "o1")
    trial = Trial(candidate=slot_of(first), attempts=1)
    rig.activate(replace(EMPTY, trial=trial))
    rig.order("2.0.0", "o2")
    rig.work(seconds=60)
    assert_held(rig, "the trial of weld-seam 1.0.0 runs")
    assert rig.announced() == first
    assert rig.desk.report().candidate == first.model
    rig.activate(replace(EMPTY, last_known_good=slot_of(first), settled_order="o1"))
    rig.work()
    rig.work()
    assert (rig.desk.report().phase, rig.desk.report().order) == (StagingPhase.STAGED, "o2")


def test_a_trial_that_starts_while_we_stage_keeps_its_announcement(rig: StagerRig) -> None:
    first = staged(rig, "1.0.0", "o1")
    trial = Trial(candidate=slot_of(first), attempts=1)
    rig.order("2.0.0", "o2")
    rig.work(check=lambda: rig.activate(replace(EMPTY, trial=trial)))
    assert rig.announced() == first
    assert_held(rig, "the trial of weld-seam 1.0.0 runs")


def test_what_is_on_trial_or_live_goes_on_while_the_station_holds(rig: StagerRig) -> None:
    first = staged(rig, "1.0.0", "o1")
    rig.hold("x")
    rig.activate(replace(EMPTY, trial=Trial(candidate=slot_of(first), attempts=1)))
    rig.work()
    assert rig.desk.report().phase is StagingPhase.TRIAL
    rig.activate(replace(EMPTY, last_known_good=slot_of(first), settled_order="o1"))
    rig.work()
    assert rig.desk.report().phase is StagingPhase.CONFIRMED


@given(st.integers(-3650, 3650))
def test_a_wrong_clock_holds_or_lets_pass_and_nothing_else(days: int) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(days=days)
    text = hold_text(hold=None, activation=None, windows=(Window.parse("22:00-06:00"),), now=now)
    assert text == "outside 22:00-06:00 UTC"
