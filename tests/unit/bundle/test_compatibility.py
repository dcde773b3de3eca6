"""A bundle is refused where it cannot run, before anything is loaded."""

from pathlib import Path

import pytest

from taktgate.bundle.compatibility import (
    CompatibilityMatrix,
    DeviceFacts,
    capability,
    check,
    installed_runtime,
    this_device,
)
from taktgate.bundle.errors import DeviceUnknownError, IncompatibleError
from taktgate.bundle.manifest import Manifest

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
        ("toaster", "x86_64", "one of: cpu, jetson"),
        ("jetson-orin-nx-8gb-jp60", "x86_64", "this is x86_64"),
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
