"""The smoke test against models that do what no model should: each is refused in its own words."""

import platform
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.tiny_bundles import Tiny
from tests.unit.smoke import hostile

from taktgate.bundle.compatibility import CUDA, TENSORRT, installed_runtime
from taktgate.bundle.manifest import Artifact, ArtifactKind, Compilation
from taktgate.bundle.verification import VerifiedBundle
from taktgate.staging.errors import SandboxError, SmokeError, SupersededError
from taktgate.staging.smoke.examination import examine
from taktgate.staging.smoke.findings import ModelFaultError
from taktgate.staging.smoke.sandbox import Sandbox
from taktgate.staging.smoke.session import SmokeSession

SANDBOX = Sandbox(memory_mb=1024, limit_s=30.0)


def unhurried() -> None:
    """Nothing newer is asked for."""


def test_a_sound_model_passes_with_its_figures(tmp_path: Path) -> None:
    figures = SANDBOX.test(hostile.bundle(tmp_path), unhurried).figures
    assert figures is not None
    assert (figures.golden_images, figures.runs) == (10, 16)
    assert figures.golden_worst <= 0.01
    assert 20 < figures.peak_mb < 1024


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (hostile.not_a_number, "NON_FINITE: the black frame"),
        (hostile.beyond_one, r"RANGE: .*within 0\.\.1"),
        (hostile.by_chance, "NOT_REPEATABLE: the black frame"),
        (hostile.other_shape_than_declared, "OUTPUTS: output 'scores' must be float32"),
        (hostile.other_input_name, "INPUT: must be image uint8"),
        (lambda: hostile.weights_elsewhere("../../etc/passwd"), "EXTERNAL_DATA: .*etc/passwd"),
        (lambda: hostile.weights_elsewhere("golden/0.png"), "EXTERNAL_DATA: .*golden/0"),
        (hostile.foreign_operator, "LOAD: .*Steal"),
        (lambda: b"MZ is no ONNX", "LOAD: .*no whole ONNX"),
        (lambda: b"", "LOAD: .*empty file"),
        (lambda: hostile.beyond_one()[:-40], "LOAD: .*cut off"),
    ],
)
def test_a_hostile_model_is_refused_in_its_own_words(
    tmp_path: Path, model: Callable[[], bytes], message: str
) -> None:
    bundle = hostile.bundle(tmp_path, model())
    # What harms no process is tested in this one: a process for each costs half a second.
    with pytest.raises(ModelFaultError, match=message):
        examine(bundle, SmokeSession(bundle.model_path, bundle.manifest).run)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (hostile.not_a_number, "NON_FINITE: the black frame"),
        (hostile.memory_bomb, "MEMORY: .*(memory|alloc)"),
        (lambda: hostile.weights_elsewhere("../secret"), r"EXTERNAL_DATA: .*\.\./secret"),
    ],
)
def test_the_stager_hears_why(tmp_path: Path, model: Callable[[], bytes], message: str) -> None:
    with pytest.raises(SmokeError, match=message):
        SANDBOX.run(hostile.bundle(tmp_path, model()), unhurried)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="a trap of this processor")
def test_a_model_that_crashes_native_code_takes_its_own_process_only(tmp_path: Path) -> None:
    with pytest.raises(SmokeError, match=r"CRASH: .*SIGFPE"):
        SANDBOX.run(hostile.bundle(tmp_path, hostile.native_crash()), unhurried)


def test_a_model_that_scores_otherwise_than_it_promised_is_refused(tmp_path: Path) -> None:
    bundle = hostile.bundle(tmp_path, tiny=Tiny(golden_shift=0.1))
    with pytest.raises(ModelFaultError, match=r"GOLDEN: golden image golden/0\.png"):
        examine(bundle, SmokeSession(bundle.model_path, bundle.manifest).run)


def test_a_model_without_end_is_ended(tmp_path: Path) -> None:
    sandbox = Sandbox(memory_mb=1024, limit_s=2.5)
    # On a machine with no time to spare it would be our side's fault, and it says so.
    with pytest.raises((SmokeError, SandboxError), match=r"TIMEOUT|processors"):
        sandbox.run(hostile.bundle(tmp_path, hostile.without_end()), unhurried)


def test_a_newer_order_ends_the_test_at_once(tmp_path: Path) -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            raise SupersededError("newer")

    with pytest.raises(SupersededError):
        SANDBOX.run(hostile.bundle(tmp_path, hostile.without_end()), check)


def compiled(folder: Path, kind: ArtifactKind, **changes: object) -> VerifiedBundle:
    known: dict[str, object] = {
        "ort": installed_runtime(),
        "provider": "CPUExecutionProvider",
        "machine": "x86_64",
        "optimization": "all",
        **dict.fromkeys(("cuda", "cudnn", "tensorrt", "calibration_data")),
    }
    compilation = Compilation.model_validate(known | changes)
    sound = hostile.bundle(folder)
    artifact = Artifact(kind=kind, precision="fp32", compilation=compilation)
    manifest = sound.manifest.model_copy(update={"artifact": artifact})
    return VerifiedBundle(directory=sound.directory, manifest=manifest, digest=sound.digest)


@pytest.mark.parametrize(
    ("kind", "changes", "why"),
    [
        ("trt_engine", {"provider": TENSORRT}, TENSORRT),
        ("ort_optimized", {"provider": CUDA}, CUDA),
        ("ort_optimized", {"ort": "1.17.3"}, r"ONNX Runtime 1\.17\.3"),
    ],
)
def test_what_this_image_cannot_run_is_said_not_to_be_tested_here(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    kind: ArtifactKind,
    changes: dict[str, object],
    why: str,
) -> None:
    bundle = compiled(tmp_path, kind, **changes)
    result = SANDBOX.test(bundle, unhurried)
    assert result.figures is None
    assert re.search(why, result.not_here)
    SANDBOX.run(bundle, unhurried)
    assert "NOT_HERE" in caplog.text
    assert "passed" not in caplog.text


def test_what_was_compiled_by_this_very_runtime_is_tested(tmp_path: Path) -> None:
    assert SANDBOX.test(compiled(tmp_path, "ort_optimized"), unhurried).figures is not None


def test_without_onnx_runtime_the_fault_is_ours(tmp_path: Path) -> None:
    sandbox = Sandbox(memory_mb=1024, limit_s=30.0, runtime=None)
    with pytest.raises(SandboxError, match="not installed") as caught:
        sandbox.run(hostile.bundle(tmp_path), unhurried)
    assert caught.value.reason == "SANDBOX"
