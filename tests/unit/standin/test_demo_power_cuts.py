"""The plan, the loss and the verdict of the demo's power cuts."""

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Rollback, SlotRef, Trial
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import ModelOrder, StagingPhase
from taktgate.staging.states import Record, Request
from taktgate.standin.demo.power_loss import lose_unsynced
from taktgate.standin.demo.power_plan import AIMS, plan_cuts
from taktgate.standin.demo.power_report import Cut, objections
from taktgate.standin.demo.staging_sight import phase_of

OLD, NEW, OTHER = (f"sha256:{letter * 64}" for letter in "abc")
REF = SlotRef(
    model=ModelRef(name="m", version="2.0.0", digest=NEW), order="o2", slot="slot-cccccccc"
)
GOOD = Cut(
    order="o2",
    aim=StagingPhase.TRIAL,
    phase=StagingPhase.TRIAL,
    fetched_bytes=0,
    lost_bytes=0,
    good_before=OLD,
    good_after=OLD,
    judged_by=OLD,
    version="1.0.0",
    is_verified=True,
    first_verdict_s=2.0,
    rejected=9,
    unsafe=0,
)


def test_ten_cuts_aim_at_each_phase_twice_and_at_none_twice_in_one_order() -> None:
    orders = plan_cuts(10, seed=7)
    assert [[cut.aim for cut in order] for order in orders] == [list(AIMS), list(AIMS)]
    assert orders == plan_cuts(10, seed=7)
    assert orders != plan_cuts(10, seed=8)


@pytest.mark.parametrize("count", range(1, 12))
def test_a_plan_has_as_many_cuts_as_were_asked_for_in_the_order_of_the_phases(count: int) -> None:
    orders = plan_cuts(count, seed=1)
    assert sum(map(len, orders)) == count
    for order in orders:
        places = [AIMS.index(cut.aim) for cut in order]
        assert places == sorted(set(places))


def test_only_files_in_the_making_lose_bytes(tmp_path: Path) -> None:
    for name in (".a.download", ".m-1.partial/golden/0.png", "slot-1/model.onnx", "staging.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 1000)
    (tmp_path / ".stager.lock").write_bytes(b"")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    lost_bytes = lose_unsynced(tmp_path, Random(3))
    changed = {path.name for path, content in before.items() if path.read_bytes() != content}
    assert changed == {".a.download", "0.png"}
    kept = sum((tmp_path / n).read_bytes().count(b"x") for n in (".a.download",))
    kept += (tmp_path / ".m-1.partial/golden/0.png").read_bytes().count(b"x")
    assert lost_bytes == 2000 - kept


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"judged_by": OTHER}, "no ordered model"),
        ({"judged_by": None}, "no ordered model"),
        ({"judged_by": NEW}, "neither old nor new"),
        ({"is_verified": False}, "not whole"),
        ({"good_after": None}, "not whole"),
        ({"unsafe": 1}, "1 unsafe PASS"),
    ],
)
def test_a_cut_that_the_line_did_not_survive_is_objected_to(
    change: dict[str, object], word: str
) -> None:
    allowed = frozenset({OLD, NEW})
    assert list(objections([GOOD], asked=1, allowed=allowed)) == []
    bad = replace(GOOD, **change)  # type: ignore[arg-type]
    assert word in " ".join(objections([bad], asked=1, allowed=allowed))


def test_cuts_that_were_not_made_are_objected_to() -> None:
    assert list(objections([GOOD], asked=2, allowed=frozenset({OLD})))


def record(phase: StagingPhase, order: str = "o2") -> Record:
    model = ModelOrder(name="m", version="2.0.0", order=order)
    return Record(phase=phase, request=Request(model=model, repository="file:///r"))


def activation(**changes: object) -> Activation:
    empty = Activation(contract=CONTRACT_VERSION, generation=1)
    return replace(empty, **changes)  # type: ignore[arg-type]


ROLLBACK = Rollback(digest=NEW, order="o2", reason="LATENCY", figures={}, message="slow", at="")


@pytest.mark.parametrize(
    ("phase", "document", "expected"),
    [
        (StagingPhase.FETCHING, activation(last_known_good=REF), StagingPhase.FETCHING),
        (StagingPhase.STAGED, None, StagingPhase.STAGED),
        (StagingPhase.STAGED, activation(), StagingPhase.STAGED),
        (
            StagingPhase.STAGED,
            activation(trial=Trial(candidate=REF, attempts=1)),
            StagingPhase.TRIAL,
        ),
        (StagingPhase.TRIAL, activation(blocked=(ROLLBACK,)), StagingPhase.BLOCKED),
        (StagingPhase.TRIAL, activation(last_known_good=REF), StagingPhase.CONFIRMED),
    ],
)
def test_inference_has_the_last_word_on_the_phase_of_a_staged_model(
    phase: StagingPhase, document: Activation | None, expected: StagingPhase
) -> None:
    assert phase_of(record(phase), document, "o2") is expected


def test_a_station_that_works_on_another_order_is_idle_for_this_one() -> None:
    assert phase_of(record(StagingPhase.STAGED, "o1"), None, "o2") is StagingPhase.IDLE
