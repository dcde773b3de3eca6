"""What a judge that starts loads: only what the disk calls good and lets judge."""

from pathlib import Path

from tests.unit.inspection.models_of_a_station import model, slot

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, Baseline, Rollback, Trial
from taktgate.edge.places import Places, places_from
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent import activation as table
from taktgate.inspection.control import Proof
from taktgate.inspection.judge.process import boot_model

GOOD = Activation(
    contract=CONTRACT_VERSION, generation=1, last_known_good=slot("a", "o1"), settled_order="o1"
)


def places(folder: Path) -> Places:
    return places_from({"TAKTGATE_STATE_DIR": str(folder)})


def test_it_is_last_known_good_with_its_proof_and_never_the_trial(tmp_path: Path) -> None:
    files = ActivationFiles(folder=tmp_path)
    trial = Trial(candidate=slot("b", "o2"), attempts=1)
    files.write(table.begin_trial(GOOD, trial, baseline=Baseline(parts=0, rejects=0)))
    files.write_proof(Proof(digest=model("a").digest, fingerprint="f"))

    load, proven = boot_model(places(tmp_path))
    assert load is not None
    assert (load.digest, proven) == (model("a").digest, "f")


def test_it_is_nothing_where_last_known_good_must_not_judge(tmp_path: Path) -> None:
    rollback = Rollback(
        digest=model("a").digest,
        order="o1",
        reason="ESCAPE_OR_DISAGREEMENT",
        figures={},
        message="",
        at="",
    )
    ActivationFiles(folder=tmp_path).write(table.halt(GOOD, rollback))

    assert boot_model(places(tmp_path)) == (None, None)


def test_it_is_nothing_on_a_station_without_a_confirmed_model(tmp_path: Path) -> None:
    assert boot_model(places(tmp_path)) == (None, None)
