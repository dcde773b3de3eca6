"""A bundle says what was measured, and a description that is wrong is refused by its field."""

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.tiny_bundles import IR, OPSET, Tiny, expected_score
from tests.unit.models.conftest import DESCRIPTION, Desk

from taktgate.bundle.claims import wilson
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.source import SourceModel
from taktgate.gates.sample_source import source_of

Said = Callable[[], tuple[str, str]]


def packed(desk: Desk, said: Said) -> dict[str, Any]:
    assert desk.pack("--json") == 0
    document: dict[str, Any] = json.loads(said()[0])
    return document


def test_what_can_be_measured_is_measured(desk: Desk, said: Said) -> None:
    manifest = packed(desk, said)["manifest"]
    assert (manifest["opset"], manifest["ir_version"]) == (OPSET, IR)
    assert manifest["input"] == {"name": "image", "dtype": "uint8", "shape": [1, 3, 64, 64]}
    assert manifest["source_digest"] == digest_of(desk.model.read_bytes())
    assert manifest["latency_claims"]["n"] == 3
    scores = {each["id"]: each["score"] for each in manifest["golden"]["items"]}
    assert scores["golden/40.png"] == pytest.approx(expected_score(40, Tiny()), abs=1e-4)


def test_claims_are_counted_on_the_test_images_with_their_intervals(desk: Desk, said: Said) -> None:
    claims = packed(desk, said)["manifest"]["golden_claims"]
    assert (claims["n_ok"], claims["n_defective"]) == (11, 10)
    assert claims["false_reject_rate"] == wilson(1, 11).model_dump()
    assert claims["recall"] == wilson(10, 10).model_dump()


def test_a_station_takes_what_was_packed(desk: Desk, said: Said) -> None:
    bundle = packed(desk, said)["bundle"]
    assert desk.run("verify", bundle, "--class", "cpu") == 0
    assert desk.run("inspect", bundle) == 0
    assert said()[0].count("VERIFIED") == 1


def test_the_source_model_is_written_beside_it(desk: Desk, said: Said) -> None:
    source = SourceModel.parse(Path(packed(desk, said)["source"]).read_bytes())
    assert source.digest == digest_of(desk.model.read_bytes())
    assert (source.parent, source.commit, source.approver) == ("1.0.0", "0123abc", "A. Engineer")


def test_labels_may_come_from_a_table(desk: Desk, said: Said) -> None:
    for grey in (10, 245):
        desk.image(f"test/all/{grey}.png", grey)
    table = "file,label\nall/10.png,ok\nall/245.png,defective\n"
    (desk.folder / "test/labels.csv").write_text(table)
    claims = packed(desk, said)["manifest"]["golden_claims"]
    assert (claims["n_ok"], claims["n_defective"]) == (1, 1)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "Tiny"}, "field name"),
        ({"version": 2.0}, "field version"),
        ({"surprise": 1}, "field surprise"),
        ({"device_class": "cpu-x68"}, "field device_class: must be one of cpu, cpu-x86-64, jetson"),
        ({"threshold": 0.9}, "uncertain_band must hold the threshold"),
        ({"uncertain_band": {"low": 0.6, "high": 0.5}}, "uncertain_band"),
        ({"outputs": {"score": "x", "class_scores": "class_scores"}}, "field outputs.score"),
        (
            {"preprocessing": DESCRIPTION["preprocessing"] | {"scale": 0.1}},
            "field preprocessing.scale",
        ),
        ({"classes": DESCRIPTION["classes"][:1]}, "classes: must be as many"),
        ({"origin": DESCRIPTION["origin"] | {"commit": "main"}}, "field origin.commit"),
    ],
)
def test_a_description_that_is_wrong_is_refused_by_its_field(
    desk: Desk, said: Said, change: dict[str, Any], named: str
) -> None:
    desk.describe(**change)
    assert desk.pack() == 1
    assert named in said()[1]
    assert not list(desk.folder.glob("tiny-2*"))


def test_without_the_matrix_nothing_is_packed(desk: Desk, said: Said) -> None:
    assert desk.pack("--matrix", str(desk.folder / "missing.yaml")) == 1
    assert "missing.yaml cannot be read" in said()[1]
    assert not list(desk.folder.glob("tiny-2*"))


def test_a_date_without_quotes_is_refused_by_what_it_is(desk: Desk, said: Said) -> None:
    text = (desk.folder / "model.yaml").read_text().replace("2.0.0", "2026-11-26")
    (desk.folder / "model.yaml").write_text(text)
    assert desk.pack() == 1
    assert "2026-11-26 reads as a date; put it in quotes" in said()[1]


@pytest.mark.parametrize(
    ("place", "grey", "named"),
    [
        ("gold/ok/bright.png", 231, "is ok, and the model gives it"),
        ("gold/defective/dark.png", 3, "is defective, and the model gives it"),
        ("test/ok/same.png", 40, "must not be a golden image too"),
        ("gold/ok/Big.png", 4, "must be named in small letters"),
        ("gold/defective/40.png", 231, "defective/40.png: must not have the name of"),
    ],
)
def test_images_that_would_make_a_false_claim_are_refused(
    desk: Desk, said: Said, place: str, grey: int, named: str
) -> None:
    desk.image(place, grey)
    assert desk.pack() == 1
    assert named in said()[1]
    assert not list(desk.folder.glob("tiny-2*"))


def test_images_of_one_kind_only_are_refused(desk: Desk, said: Said) -> None:
    for each in (desk.folder / "test/defective").iterdir():
        each.unlink()
    assert desk.pack() == 1
    assert "at least one image that is defective" in said()[1]


def test_a_table_does_not_lead_out_of_its_folder(desk: Desk, said: Said) -> None:
    (desk.folder / "test/labels.csv").write_text("file,label\n../gold/ok/0.png,ok\n")
    assert desk.pack() == 1
    assert "labels.csv line 2: file must lie beside the table" in said()[1]


def test_the_hil_report_is_named_by_its_digest(desk: Desk, said: Said) -> None:
    (desk.folder / "hil.json").write_text("{}")
    assert desk.pack("--json", "--hil-report", str(desk.folder / "hil.json")) == 0
    assert json.loads(said()[0])["manifest"]["hil_report_digest"] == digest_of(b"{}")


def test_a_disk_that_refuses_leaves_the_bundle_that_was_there(desk: Desk, said: Said) -> None:
    bundle = Path(packed(desk, said)["bundle"])
    before, names = bundle.read_bytes(), sorted(bundle.parent.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert desk.pack() == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"File too large: '{bundle}'" in said()[1]
    assert (bundle.read_bytes(), sorted(bundle.parent.iterdir())) == (before, names)


def test_a_sample_that_is_trained_here_gets_its_source_model(desk: Desk, said: Said) -> None:
    manifest = Manifest.parse(json.dumps(packed(desk, said)["manifest"]).encode())
    source = source_of(manifest, commit="0123abc", parent="1.0.0", approver="nobody", seed=7)
    assert SourceModel.parse(source.to_bytes()) == source
    assert (source.digest, source.parent) == (manifest.source_digest, "1.0.0")
    assert source.training_data.id == "grey, split train, seed 7"
