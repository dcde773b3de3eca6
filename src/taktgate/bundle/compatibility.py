"""Whether this device can run a bundle, said without loading the model or ONNX Runtime."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taktgate.bundle.errors import DeviceUnknownError, IncompatibleError
from taktgate.bundle.manifest import Manifest, Name

RUNTIME_PACKAGES: Final = ("onnxruntime", "onnxruntime-gpu")

# ONNX Runtime version -> largest opset and IR. 1.15 and 1.16 from its compatibility page, the
# others measured: the largest values a model loads with. A version between two rows has at least
# the lower row.
_CAPABILITY: Final[dict[tuple[int, int], tuple[int, int]]] = {
    (1, 15): (19, 8),
    (1, 16): (19, 9),
    (1, 17): (20, 9),
    (1, 20): (21, 10),
    (1, 22): (22, 10),
    (1, 23): (23, 11),
    (1, 26): (26, 13),
    (1, 31): (26, 13),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a device can run.

    Attributes:
        device_class: The row of the compatibility matrix.
        machine: The processor, as `platform.machine()` names it.
        opset_max: The largest opset its ONNX Runtime loads.
        ir_max: The largest IR version its ONNX Runtime loads.
        runtime_version: The version of ONNX Runtime.
    """

    device_class: str
    machine: str
    opset_max: int
    ir_max: int
    runtime_version: str


class MatrixRow(BaseModel):
    """A device class: components that are locked together, None where it has no such component."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    device_class: Name
    sku: str
    arch: Annotated[list[Literal["x86_64", "aarch64"]], Field(min_length=1)]
    os_image: str
    l4t: str | None
    jetpack: str | None
    driver: str | None
    cuda: str | None
    cudnn: str | None
    tensorrt: str | None
    ort: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    ort_build: Literal["cpu", "cuda11", "cuda12", "cuda13"]
    execution_providers: Annotated[list[str], Field(min_length=1)]
    opset_max: int
    ir_max: int
    precision: Annotated[list[Literal["fp32", "fp16", "int8"]], Field(min_length=1)]
    gpu_mem_mb: Annotated[int, Field(gt=0)] | None
    thermal_class: str
    artifact_kind: Literal["onnx", "trt_engine"]

    @model_validator(mode="after")
    def _runtime_can(self) -> Self:
        can = capability(self.ort)
        if can is None or self.opset_max > can[0] or self.ir_max > can[1]:
            raise ValueError(
                f"opset_max and ir_max must be within what ORT {self.ort} loads: {can}"
            )
        return self


class CompatibilityMatrix(BaseModel):
    """All device classes, config/device_compatibility_matrix.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    rows: Annotated[list[MatrixRow], Field(min_length=1)]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the matrix in the YAML file *path*.

        Raises:
            DeviceUnknownError: The file cannot be read or breaks a rule; names field and rule.
        """
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            raise DeviceUnknownError(f"{path} field {field}: {first['msg']}") from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise DeviceUnknownError(f"{path} cannot be read: {error}") from error

    def facts(self, device_class: str, machine: str | None = None) -> DeviceFacts:
        """Return what the class *device_class* can run on *machine*, by default this one.

        Raises:
            DeviceUnknownError: There is no such row, or it is for another processor.
        """
        here = platform.machine() if machine is None else machine
        row = next((row for row in self.rows if row.device_class == device_class), None)
        if row is None:
            known = ", ".join(row.device_class for row in self.rows)
            raise DeviceUnknownError(f"device class {device_class!r} must be one of: {known}")
        if here not in row.arch:
            raise DeviceUnknownError(
                f"device class {device_class!r} is for {row.arch}, this is {here}"
            )
        return DeviceFacts(
            device_class=device_class,
            machine=here,
            opset_max=row.opset_max,
            ir_max=row.ir_max,
            runtime_version=row.ort,
        )

    @model_validator(mode="after")
    def _classes_are_unique(self) -> Self:
        names = [row.device_class for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError("rows must not name one device_class twice")
        return self


def this_device(device_class: str, *, runtime_version: str | None = None) -> DeviceFacts:
    """Return what this device can run, from *runtime_version* or the installed ONNX Runtime.

    Raises:
        DeviceUnknownError: No ONNX Runtime is installed, or its version is older than 1.15.
    """
    version = runtime_version or installed_runtime()
    if version is None:
        raise DeviceUnknownError(f"none of {', '.join(RUNTIME_PACKAGES)} is installed")
    can = capability(version)
    if can is None:
        raise DeviceUnknownError(f"ONNX Runtime must be 1.15 or newer, got {version!r}")
    return DeviceFacts(
        device_class=device_class,
        machine=platform.machine(),
        opset_max=can[0],
        ir_max=can[1],
        runtime_version=version,
    )


def installed_runtime() -> str | None:
    """Return the version of the installed ONNX Runtime, not importing it; None if there is none."""
    for package in RUNTIME_PACKAGES:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def capability(runtime_version: str) -> tuple[int, int] | None:
    """Return the largest opset and IR version of an ONNX Runtime, None for a version not known."""
    try:
        major, minor = (int(part) for part in runtime_version.split(".")[:2])
    except ValueError:
        return None
    known = [row for row in _CAPABILITY if row <= (major, minor)]
    return _CAPABILITY[max(known)] if known else None


def check(manifest: Manifest, device: DeviceFacts) -> None:
    """Accept *manifest* if *device* can run it.

    Raises:
        IncompatibleError: It cannot; names the field and what the device can do.
    """
    if manifest.device_class != device.device_class:
        raise IncompatibleError(
            "device_class", f"must be {device.device_class!r} here, got {manifest.device_class!r}"
        )
    runtime = f"ONNX Runtime {device.runtime_version}"
    if manifest.opset > device.opset_max:
        raise IncompatibleError(
            "opset", f"must be at most {device.opset_max} for {runtime}, got {manifest.opset}"
        )
    if manifest.ir_version > device.ir_max:
        raise IncompatibleError(
            "ir_version",
            f"must be at most {device.ir_max} for {runtime}, got {manifest.ir_version}",
        )
