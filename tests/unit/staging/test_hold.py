from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import NoOpMeter

from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.contracts.activation import Activation, SlotRef, Trial
from taktgate.contracts.codec import encode
from taktgate.contracts.model import ModelRef
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.edge.places import places_from
from taktgate.edge.settings import StagingSettings, load_station
from taktgate.staging.hold import LINE_CALM_S, Window, hold_text, line_text
from taktgate.staging.judge_sight import JudgeSight, JudgeSign
from taktgate.staging.station_stager import station_stager
from taktgate.standin.staging import MemoryRegistry, MemorySmokeTest, StagerRig

EMPTY = Activation(contract="1.2", generation=1)
BY_THE_LINE = StagingSettings(while_line_runs="hold", reserve_mb=0)
RUNS = JudgeSight(sign=JudgeSign.HEARD, line_stands_s=0.0)
STANDS = JudgeSight(sign=JudgeSign.HEARD, line_stands_s=LINE_CALM_S)
MODEL = ModelRef(name="weld-seam", version="1.0.0", digest="sha256:" + "a" * 64)
STATION = """
station: VIS01
device_class: cpu
plc: {address: 127.0.0.1}
camera: {address: "127.0.0.1:3960"}
staging: {while_line_runs: hold}
"""
LINE_RUNS = "the line runs, or has stood for less than 10 s"


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


@given(
    sign=st.sampled_from(JudgeSign),
    stands_s=st.none() | st.floats(0.0, 1e9),
    late=st.integers(0, 9),
    share=st.floats(0.0, 9.0),
)
def test_new_models_come_beside_a_judge_only_while_its_line_is_known_to_stand_for_long(
    sign: JudgeSign, stands_s: float | None, late: int, share: float
) -> None:
    sight = JudgeSight(sign=sign, late=late, share=share, line_stands_s=stands_s)
    stands = sign is JudgeSign.HEARD and stands_s is not None and stands_s >= LINE_CALM_S
    assert (line_text(sight) is None) is (stands or sign is JudgeSign.ABSENT)


@pytest.mark.parametrize(
    ("judge", "text"),
    [
        (RUNS, LINE_RUNS),
        (replace(RUNS, line_stands_s=LINE_CALM_S - 0.1), LINE_RUNS),
        (replace(RUNS, line_stands_s=None), "inference does not say whether the line runs"),
        (
            JudgeSight(sign=JudgeSign.SILENT),
            "a model judges, and inference is not heard of: the line may run",
        ),
    ],
)
def test_where_the_plant_says_so_an_order_waits_for_the_line_and_says_why(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys, judge: JudgeSight, text: str
) -> None:
    rig = StagerRig(tmp_path, registry=registry, keys=keys, settings=BY_THE_LINE)
    rig.judge = judge
    rig.order("2.0.0", "o2")
    rig.work()
    assert_held(rig, text)
    assert (registry.downloads, rig.announced()) == ([], None)
    rig.judge = STANDS
    rig.work()
    rig.work()
    assert rig.announced_verifies()
    assert rig.desk.report().hold is None


def test_a_line_that_starts_during_the_download_ends_the_attempt_and_the_next_goes_on_with_it(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    rig = StagerRig(tmp_path, registry=registry, keys=keys, settings=BY_THE_LINE)
    rig.judge, fetched = STANDS, list[int]()

    def note_progress() -> None:
        if (progress := rig.stager.progress) is not None:
            fetched.append(progress.fetchedBytes)

    def start_the_line() -> None:
        note_progress()
        rig.now_s += 1
        rig.judge = RUNS if len(fetched) > 1 else STANDS

    rig.order("2.0.0", "o2")
    rig.work(check=start_the_line)
    assert_held(rig, LINE_RUNS)
    (spool,) = rig.slots_root.glob(".*.download")
    assert spool.stat().st_size == fetched[-1] > fetched[0] > 0
    kept = fetched[-1]
    fetched.clear()
    rig.judge = STANDS
    rig.work()
    rig.work(check=note_progress)
    assert rig.announced_verifies()
    assert min(fetched) >= kept


def test_a_line_that_flickers_costs_no_request_and_no_report(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    rig = StagerRig(tmp_path, registry=registry, keys=keys, settings=BY_THE_LINE)
    rig.judge = RUNS
    rig.order("2.0.0", "o2")
    rig.work()
    for second in range(120):
        rig.judge = replace(RUNS, line_stands_s=float(second % 10))
        rig.work(seconds=1)
        assert_held(rig, LINE_RUNS)
    assert len(registry.fetched) == 1, "it was asked once whether the order may come at all"


@pytest.mark.parametrize("judge", [RUNS, JudgeSight(sign=JudgeSign.SILENT)])
def test_where_the_plant_says_nothing_a_running_line_holds_no_order(
    rig: StagerRig, judge: JudgeSight
) -> None:
    rig.judge = judge
    rig.order("2.0.0", "o2")
    rig.work()
    assert rig.announced_verifies()


def test_the_stager_of_a_real_station_hears_the_line_where_the_pace_does(
    tmp_path: Path, key: SigningKey
) -> None:
    config, state = tmp_path / "config", tmp_path / "state"
    for folder in (config / "trusted_keys", state, tmp_path / "slots"):
        folder.mkdir(parents=True)
    (config / "trusted_keys/test.pub.pem").write_bytes(key.public_pem())
    (tmp_path / "station.yaml").write_text(STATION)
    slot = SlotRef(model=MODEL, order="o1", slot="slot-a")
    record = replace(EMPTY, last_known_good=slot, settled_order="o1")
    (state / "activation.json").write_bytes(encode(record))
    environment = {
        "TAKTGATE_STATION_FILE": str(tmp_path / "station.yaml"),
        "TAKTGATE_CONFIG_DIR": str(config),
        "TAKTGATE_SLOTS_DIR": str(tmp_path / "slots"),
        "TAKTGATE_STATE_DIR": str(state),
    }
    station = load_station(tmp_path / "station.yaml")
    desk = station_stager(places_from(environment), station, NoOpMeter("test")).desk
    model = {"name": "weld-seam", "version": "2.0.0", "order": "o2"}
    desk.take({"model": model, "repository": "file:///nowhere"})
    desk.work(lambda: None)
    assert desk.report().hold == "a model judges, and inference is not heard of: the line may run"
