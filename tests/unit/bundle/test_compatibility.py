"""A bundle is refused where it cannot run, before anything is loaded."""

from dataclasses import replace
from pathlib import Path

import pytest

from taktgate.bundle.compatibility import (
    CPU,
    CUDA,
    TENSORRT,
    CompatibilityMatrix,
    DeviceFacts,
    capability,
    check,
    check_facts,
    in_use,
    installed_runtime,
    this_device,
)
from taktgate.bundle.errors import DeviceUnknownError, IncompatibleError
from taktgate.bundle.manifest import Artifact, Compilation, Manifest
from taktgate.bundle.targets import BundleFacts

MATRIX = Path(__file__).parents[3] / "config" / "device_compatibility_matrix.yaml"


def test_a_bundle_that_fits_is_accepted(manifest: Manifest, device: DeviceFacts) -> None:
    check(manifest, device)


@pytest.mark.parametrize(
    ("field", "value"),
    [("device_class", "jetson-orin-nx-8gb-jp60"), ("opset", 21), ("ir_version", 10)],
)
def test_what_does_not_fit_is_refused_by_its_field(
    manifest: Manifest, device: DeviceFacts, field: str, value: object
) -> None:
    with pytest.raises(IncompatibleError, match=str(value)) as caught:
        check(manifest.model_copy(update={field: value}), device)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.14.1", None),
        ("1.15.0", (19, 8)),
        ("1.17.3", (20, 9)),
        ("1.19.2", (20, 9)),  # not measured: at least the row below
        ("1.31.1", (26, 13)),
        ("1.99.0", (26, 13)),
        ("2.0.0", (26, 13)),
        ("nightly", None),
        ("", None),
    ],
)
def test_a_runtime_can_what_was_measured_and_no_more(
    version: str, expected: tuple[int, int] | None
) -> None:
    assert capability(version) == expected


def test_a_device_is_known_from_the_installed_runtime() -> None:
    device = this_device("cpu")
    assert device.runtime_version == installed_runtime()
    assert (device.opset_max, device.ir_max) == capability(device.runtime_version)


def test_a_runtime_too_old_makes_no_device() -> None:
    with pytest.raises(DeviceUnknownError, match=r"1\.15 or newer") as caught:
        this_device("cpu", runtime_version="1.10.0")
    assert caught.value.reason == "DEVICE"


@pytest.mark.parametrize(
    ("device_class", "machine", "limits"),
    [
        ("cpu", "x86_64", (26, 13)),
        ("cpu", "aarch64", (26, 13)),
        ("cpu-x86-64", "x86_64", (26, 13)),
        ("jetson-orin-nx-8gb-jp60", "aarch64", (20, 9)),
        ("x86-ipc-cuda12", "x86_64", (26, 13)),
        ("x86-ipc-cuda13", "x86_64", (26, 13)),
    ],
)
def test_the_matrix_knows_every_class(
    device_class: str, machine: str, limits: tuple[int, int]
) -> None:
    device = CompatibilityMatrix.load(MATRIX).facts(device_class, machine)
    assert (device.opset_max, device.ir_max) == limits
    assert (device.device_class, device.machine) == (device_class, machine)


@pytest.mark.parametrize(
    ("device_class", "machine", "says"),
    [
        ("toaster", "x86_64", "device_class: must be one of cpu, cpu-x86-64, jetson"),
        ("jetson-orin-nx-8gb-jp60", "x86_64", "this is x86_64"),
        ("cpu-x86-64", "aarch64", "this is aarch64"),
    ],
)
def test_a_class_that_is_not_this_device_is_refused(
    device_class: str, machine: str, says: str
) -> None:
    with pytest.raises(DeviceUnknownError, match=says):
        CompatibilityMatrix.load(MATRIX).facts(device_class, machine)


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("opset_max: 26", "opset_max: 27", "rows.0"),
        ("opset_max: 26", "opset_max: '26'", "rows.0.opset_max"),
        ("arch: [x86_64, aarch64]", "arch: [amd64]", "rows.0.arch"),
        ("device_class: x86-ipc-cuda13", "device_class: cpu", "twice"),
        ("sku: any", "sku: any\n    sky: blue", "rows.0.sky"),
        ("rows:", "rows: {", "cannot be read"),
        ("artifact_kind: [onnx, ort_optimized]", "artifact_kind: [pickle]", "artifact_kind"),
        ("artifact_kind: [onnx, ort_optimized]", "artifact_kind: [trt_engine]", "trt_engine needs"),
        ("cuda: null", "cuda: '12.2'", "cuda and ort_build"),
        ("ort_build: cpu", "ort_build: cuda12", "cuda and ort_build"),
        ("tensorrt: null", "tensorrt: '8.6'", "tensorrt must be given"),
        ("[CPUExecutionProvider]", "[CUDAExecutionProvider]", "must end with CPU"),
        ("[CPUExecutionProvider]", "[ROCMExecutionProvider]", "execution_providers"),
    ],
)
def test_a_matrix_that_breaks_a_rule_is_refused_by_its_field(
    tmp_path: Path, before: str, after: str, named: str
) -> None:
    text = MATRIX.read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "matrix.yaml").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(DeviceUnknownError, match=named):
        CompatibilityMatrix.load(tmp_path / "matrix.yaml")


def test_a_missing_matrix_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(DeviceUnknownError, match=r"absent\.yaml"):
        CompatibilityMatrix.load(tmp_path / "absent.yaml")


COMPILED_HERE = {"ort": "1.17.3", "provider": CPU, "machine": "x86_64", "optimization": "all"}


def compiled(manifest: Manifest, **changes: object) -> Manifest:
    nothing = dict.fromkeys(("cuda", "cudnn", "tensorrt", "calibration_data"))
    compilation = Compilation.model_validate(nothing | COMPILED_HERE | changes)
    artifact = Artifact(kind="ort_optimized", precision="fp32", compilation=compilation)
    return manifest.model_copy(update={"artifact": artifact})


def facts(manifest: Manifest) -> BundleFacts:
    return BundleFacts.of(manifest, digest=manifest.source_digest, serial=1)


def test_what_was_compiled_for_this_very_runtime_is_accepted(
    manifest: Manifest, device: DeviceFacts
) -> None:
    check(compiled(manifest), device)
    check_facts(facts(compiled(manifest)), device)
    check_facts(facts(manifest), device)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ort": "1.17.4"}, "artifact.compilation.ort"),
        ({"provider": CUDA}, "artifact.compilation.provider"),
        ({"machine": "aarch64"}, "artifact.compilation.machine"),
    ],
)
def test_what_was_compiled_for_another_runtime_is_refused_by_its_field(
    manifest: Manifest, device: DeviceFacts, changes: dict[str, str], field: str
) -> None:
    with pytest.raises(IncompatibleError, match="|".join(changes.values())) as caught:
        check(compiled(manifest, **changes), device)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("limits", "field"),
    [({"kinds": ("onnx",)}, "kind"), ({"precisions": ("fp16", "int8")}, "precision")],
)
def test_kind_and_precision_must_be_within_the_row(
    manifest: Manifest, device: DeviceFacts, limits: dict[str, tuple[str, ...]], field: str
) -> None:
    narrow = replace(device, **limits)  # type: ignore[arg-type]
    with pytest.raises(IncompatibleError) as of_manifest:
        check(compiled(manifest), narrow)
    with pytest.raises(IncompatibleError) as of_facts:
        check_facts(facts(compiled(manifest)), narrow)
    assert (of_manifest.value.field, of_facts.value.field) == (f"artifact.{field}", field)


@pytest.mark.parametrize(
    ("update", "field"),
    [
        ({"device_class": "toaster"}, "device_class"),
        ({"opset": 21}, "opset"),
        ({"ir_version": 10}, "ir_version"),
        ({"ort": "1.26.0"}, "ort"),
    ],
)
def test_the_registrys_facts_are_refused_before_a_download(
    manifest: Manifest, device: DeviceFacts, update: dict[str, object], field: str
) -> None:
    with pytest.raises(IncompatibleError) as caught:
        check_facts(facts(manifest).model_copy(update=update), device)
    assert caught.value.field == field


def test_a_session_that_fell_back_takes_the_providers_it_has_not(device: DeviceFacts) -> None:
    row = replace(device, providers=(TENSORRT, CUDA, CPU))
    assert in_use(row, ort="1.17.3", provider=CUDA).providers == (CUDA, CPU)
    assert in_use(row, ort="1.17.3", provider=CPU).providers == (CPU,)


@pytest.mark.parametrize(
    ("ort", "provider", "says"),
    [("1.18.0", CPU, r"field ort .*1\.18\.0"), ("1.17.3", CUDA, "field execution_providers")],
)
def test_a_row_that_contradicts_the_real_runtime_makes_no_device(
    device: DeviceFacts, ort: str, provider: str, says: str
) -> None:
    with pytest.raises(DeviceUnknownError, match=says):
        in_use(device, ort=ort, provider=provider)
