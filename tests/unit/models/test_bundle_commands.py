"""A bundle is compiled only if it stays the same model; it is shown, compared and verified."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.tiny_bundles import Tiny
from tests.unit.models.conftest import Desk

from taktgate.bundle.manifest import digest_of

Said = Callable[[], tuple[str, str]]


def compiled(desk: Desk, said: Said, bundle: Path, *more: str) -> dict[str, Any]:
    words = ["--class", "cpu", "--version", "1.0.0-ort", "--key", str(desk.folder / "key.pem")]
    out = ["--out", str(desk.folder / "compiled"), "--runs", "2", "--json", *more]
    code = desk.run("compile", bundle, *words, *out)
    document: dict[str, Any] = json.loads(said()[0])
    return document | {"code": code}


def test_a_compiled_artifact_names_its_source_and_its_toolchain(desk: Desk, said: Said) -> None:
    its = compiled(desk, said, desk.bundle(Tiny()))
    artifact, manifest = its["manifest"]["artifact"], its["manifest"]
    assert manifest["source_digest"] == digest_of(desk.model.read_bytes())
    assert artifact["kind"] == "ort_optimized"
    assert artifact["compilation"]["optimization"] == "extended"
    assert manifest["golden_claims"]["interval_method"].endswith("of the source model")
    assert desk.run("verify", its["bundle"], "--class", "cpu") == 0


def test_a_compiled_model_is_another_file_than_its_source(desk: Desk, said: Said) -> None:
    manifest = compiled(desk, said, desk.bundle(Tiny()))["manifest"]
    listed = {its["path"]: its["sha256"] for its in manifest["files"]}
    assert listed["model.onnx"] != manifest["source_digest"]


def test_claims_are_measured_anew_where_there_are_images(desk: Desk, said: Said) -> None:
    its = compiled(desk, said, desk.bundle(Tiny()), "--test", str(desk.folder / "test"))
    assert its["manifest"]["golden_claims"]["n_ok"] == 11


def test_a_model_that_scores_otherwise_than_its_source_is_refused(desk: Desk, said: Said) -> None:
    its = compiled(desk, said, desk.bundle(Tiny(golden_shift=0.1)))
    assert (its["code"], its["reason"]) == (1, "DISAGREEMENT")
    assert "its source" in its["message"]
    assert not (desk.folder / "compiled").exists()


def test_a_compiled_artifact_is_not_compiled_again(desk: Desk, said: Said) -> None:
    first = compiled(desk, said, desk.bundle(Tiny()))
    assert "compiled already" in compiled(desk, said, Path(first["bundle"]))["message"]


def test_a_version_that_no_bundle_may_have_is_refused_before_the_work(desk: Desk) -> None:
    for version in ("../x", "2.0.0_ORT", ""):
        words = ["--class", "cpu", "--version", version, "--key", str(desk.folder / "key.pem")]
        with pytest.raises(SystemExit) as end:
            desk.run("compile", desk.folder / "missing.bundle", *words)
        assert end.value.code == 2


def test_an_unsigned_source_is_not_compiled(desk: Desk, said: Said) -> None:
    bundle = desk.bundle(Tiny())
    (desk.folder / "key.pub.pem").write_bytes(type(desk.key).generate().public_pem())
    assert compiled(desk, said, bundle)["reason"] == "SIGNATURE"


def test_a_class_without_its_toolchain_here_is_refused_by_what_it_needs(
    desk: Desk, said: Said
) -> None:
    words = ("--class", "jetson-orin-nx-8gb-jp60", "--key", desk.folder / "key.pem")
    assert desk.run("compile", desk.bundle(Tiny()), *words) == 1
    assert "ONNX Runtime 1.17.3 (cuda12) and TensorrtExecutionProvider" in said()[1]


def test_a_class_that_is_no_row_is_refused_by_those_there_are(desk: Desk, said: Said) -> None:
    words = ("--class", "cpu-x68", "--key", desk.folder / "key.pem")
    assert desk.run("compile", desk.bundle(Tiny()), *words) == 1
    assert "device_class: must be one of cpu, cpu-x86-64, jetson" in said()[1]


def test_the_same_bundle_has_no_differences(desk: Desk, said: Said) -> None:
    bundle = desk.bundle(Tiny())
    assert desk.run("diff", bundle, bundle) == 0
    assert said()[0] == "no difference in meaning\n"


def test_what_differs_is_named_in_meaning(desk: Desk, said: Said) -> None:
    before = desk.bundle(Tiny())
    desk.describe(threshold=0.48)
    assert desk.pack() == 0
    said()
    assert desk.run("diff", before, desk.folder / "tiny-2.0.0.bundle", "--json") == 1
    found = {its["field"]: its for its in json.loads(said()[0])["differences"]}
    assert (found["threshold"]["before"], found["threshold"]["after"]) == (0.5, 0.48)
    assert "overlap" in found["golden_claims.recall"]["note"]
    assert found["golden/9.png"]["after"] is None
    assert "model.sha256" not in found


def test_a_bundle_that_cannot_be_read_is_trouble_and_no_difference(desk: Desk) -> None:
    (desk.folder / "x").write_bytes(b"x")
    assert desk.run("diff", desk.bundle(Tiny()), desk.folder / "x") == 2


def test_an_unverified_bundle_is_shown_and_said_to_be_so(desk: Desk, said: Said) -> None:
    bundle = desk.bundle(Tiny())
    (desk.folder / "key.pub.pem").write_bytes(type(desk.key).generate().public_pem())
    assert desk.run("inspect", bundle) == 0
    assert said()[0].startswith("NOT VERIFIED  SIGNATURE")


@pytest.mark.parametrize(
    ("tiny", "device_class", "reason"),
    [
        (Tiny(device_class="jetson"), "cpu", "INCOMPATIBLE"),
        (Tiny(), "x86-ipc-cuda13", "INCOMPATIBLE"),
        (Tiny(), "no-such-class", "DEVICE"),
    ],
)
def test_a_bundle_for_another_device_is_refused_by_its_reason(
    desk: Desk, said: Said, tiny: Tiny, device_class: str, reason: str
) -> None:
    assert desk.run("verify", desk.bundle(tiny), "--class", device_class, "--json") == 1
    assert json.loads(said()[0])["reason"] == reason


def test_a_damaged_bundle_is_refused(desk: Desk, said: Said) -> None:
    bundle = desk.bundle(Tiny())
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert desk.run("verify", bundle, "--class", "cpu", "--json") == 1
    assert json.loads(said()[0])["reason"] in ("ARCHIVE", "SIGNATURE", "DIGEST")
