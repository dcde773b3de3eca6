"""S11, S12, D10, D11, D13: the article's pipeline and what it proves."""

import re
import subprocess
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import yaml
from tests.article import ci, models

from taktgate.bundle.compatibility import CompatibilityMatrix
from taktgate.bundle.errors import SignatureError
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.bundle.verification import verify_directory

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github/workflows/edge-ci.yml"
pytestmark = pytest.mark.filterwarnings("ignore:Specified provider")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ci.publish(tmp_path_factory.mktemp("checkout"), b"a model", "v18")


def sums_agree(cwd: Path, sidecar: Path) -> bool:
    done = subprocess.run(["sha256sum", "--check", str(sidecar)], cwd=cwd, capture_output=True)
    return done.returncode == 0


def uses_what_it_exports(step: str) -> set[str]:
    """Return the variables that a step writes for later steps and uses itself."""
    exported = set(re.findall(r"(\w+)=[^\n]*>>\s*\"?\$\{?GITHUB_(?:ENV|OUTPUT)", step))
    return {name for name in exported if re.search(rf"\$\{{?{name}\b", step)}


def test_d10_the_version_is_missing_from_the_name_of_the_file(published: Path) -> None:
    assert {file.name for file in published.iterdir()} == {
        "defect-detector-.onnx",
        "defect-detector-.onnx.sha256",
    }


def test_d10_no_step_of_our_workflow_uses_what_it_exports_for_later_ones() -> None:
    assert uses_what_it_exports(ci.PUBLISH) == {"MODEL_VERSION"}
    assert [uses_what_it_exports(step) for step in steps() if uses_what_it_exports(step)] == []


def test_every_step_of_our_workflow_is_a_command_that_people_run_too() -> None:
    assert steps()
    for step in steps():
        script, *_ = step.split()
        assert script.startswith("scripts/"), step
        assert (ROOT / script).is_file(), step


def test_s11_d11_who_replaces_the_file_replaces_its_sum(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "dist/models"
    folder.mkdir(parents=True)
    name = "defect-detector-.onnx"
    (folder / name).write_bytes(b"a model of someone else")
    with (folder / f"{name}.sha256").open("w") as sidecar:
        subprocess.run(
            ["sha256sum", f"dist/models/{name}"], cwd=tmp_path, stdout=sidecar, check=True
        )
    assert sums_agree(tmp_path, folder / f"{name}.sha256")


def test_d11_the_sum_agrees_in_one_folder_only(published: Path, tmp_path: Path) -> None:
    sidecar = published / "defect-detector-.onnx.sha256"
    assert sums_agree(published.parents[1], sidecar)
    assert not sums_agree(published, sidecar)


def test_s11_d11_who_replaces_a_bundle_here_needs_the_key(weld: Path) -> None:
    matrix = CompatibilityMatrix.load(ROOT / "config/device_compatibility_matrix.yaml")
    keys = TrustedKeys.load(ROOT / "config/trusted_keys")
    assert verify_directory(weld, keys, matrix.facts("cpu"))
    manifest = (weld / "manifest.json").read_bytes()
    (weld / "manifest.sig").write_bytes(SigningKey.generate().sign(manifest))
    with pytest.raises(SignatureError):
        verify_directory(weld, keys, matrix.facts("cpu"))


def test_s12_an_opset_that_fits_says_nothing_about_loading(tmp_path: Path) -> None:
    for file in (
        models.write_of_another_ir(tmp_path, "ir"),
        models.write_with_unknown_operator(tmp_path, "operator"),
    ):
        assert ci.accepts_opset(file, "1.17.3")
        with pytest.raises(Exception, match=r"(?i)ir.version|operator|Guess"):
            onnxruntime.InferenceSession(file.as_posix(), providers=["CPUExecutionProvider"])


def test_s12_an_opset_that_fits_says_nothing_about_the_input(tmp_path: Path) -> None:
    assert ci.accepts_opset(models.write_of_another_shape(tmp_path, "shape"), "1.17.3")


def test_s12_d13_our_matrix_names_file_format_and_build_of_each_runtime() -> None:
    matrix = CompatibilityMatrix.load(ROOT / "config/device_compatibility_matrix.yaml")
    for row in matrix.rows:
        assert row.ir_max <= row.opset_max
        assert row.cuda is None or row.ort_build == f"cuda{row.cuda.split('.')[0]}", row


def test_d13_its_matrix_is_passed_without_any_of_its_stacks(tmp_path: Path) -> None:
    """Rows for CUDA 12.2 are met by a runtime without CUDA, and none says which build it means."""
    assert all(ci.smoke_test(models.write(tmp_path, "model", models.PASSES)).values())
    assert not any("build" in key for row in ci.DEVICE_MATRIX for key in row)


def steps() -> list[str]:
    """Return what the steps of our workflow run."""
    workflow: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    jobs = workflow["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]
