"""Whether this device can run a bundle, said without loading the model or ONNX Runtime."""

from __future__ import annotations

import importlib.metadata
import platform
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taktgate.bundle.errors import DeviceUnknownError, IncompatibleError
from taktgate.bundle.manifest import ArtifactKind, Compilation, Manifest, Name, Precision
from taktgate.bundle.targets import BundleFacts

MATRIX: Final = Path("config/device_compatibility_matrix.yaml")
"""Where commands look for the matrix unless they are told otherwise."""
CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
Provider = Literal["CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"]

_PACKAGES: Final[dict[str, tuple[str, ...]]] = {
    "onnxruntime": (CPU,),
    "onnxruntime-gpu": (TENSORRT, CUDA, CPU),
}
"""Distributions of ONNX Runtime, with the execution providers that each is built with."""
RUNTIME_PACKAGES: Final = tuple(_PACKAGES)

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
        providers: The execution providers in use, the preferred one first.
        kinds: What may lie in model.onnx.
        precisions: In what numbers a model may reckon.
    """

    device_class: str
    machine: str
    opset_max: int
    ir_max: int
    runtime_version: str
    providers: tuple[str, ...] = (CPU,)
    kinds: tuple[ArtifactKind, ...] = get_args(ArtifactKind)
    precisions: tuple[Precision, ...] = get_args(Precision)


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
    execution_providers: Annotated[list[Provider], Field(min_length=1)]
    opset_max: int
    ir_max: int
    precision: Annotated[list[Precision], Field(min_length=1)]
    gpu_mem_mb: Annotated[int, Field(gt=0)] | None
    thermal_class: str
    artifact_kind: Annotated[list[ArtifactKind], Field(min_length=1)]

    @model_validator(mode="after")
    def _runtime_can(self) -> Self:
        can = capability(self.ort)
        if can is None or self.opset_max > can[0] or self.ir_max > can[1]:
            raise ValueError(
                f"opset_max and ir_max must be within what ORT {self.ort} loads: {can}"
            )
        return self

    @model_validator(mode="after")
    def _components_fit(self) -> Self:
        """Hold together what is released together."""
        has_cuda = CUDA in self.execution_providers
        has_tensorrt = TENSORRT in self.execution_providers
        if self.execution_providers[-1] != CPU:
            raise ValueError(f"execution_providers must end with {CPU}: it runs what is left over")
        if has_cuda != (self.cuda is not None) or has_cuda != (self.ort_build != "cpu"):
            raise ValueError(
                f"cuda and ort_build must be those of a GPU with, and only with, {CUDA}"
            )
        if has_tensorrt != (self.tensorrt is not None) or (has_tensorrt and not has_cuda):
            raise ValueError(f"tensorrt must be given with, and only with, {TENSORRT} and {CUDA}")
        if "trt_engine" in self.artifact_kind and not has_tensorrt:
            raise ValueError(f"artifact_kind trt_engine needs {TENSORRT}")
        if "trt_engine" in self.artifact_kind and len(self.arch) > 1:
            raise ValueError(
                "artifact_kind trt_engine needs one arch: an engine is built for a GPU"
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

    @property
    def classes(self) -> tuple[str, ...]:
        """The device classes there are."""
        return tuple(row.device_class for row in self.rows)

    def row(self, device_class: str) -> MatrixRow:
        """Return the row of *device_class*.

        Raises:
            DeviceUnknownError: There is none; names those there are.
        """
        for row in self.rows:
            if row.device_class == device_class:
                return row
        known = ", ".join(self.classes)
        raise DeviceUnknownError(f"device_class: must be one of {known}, got {device_class!r}")

    def facts(self, device_class: str, machine: str | None = None) -> DeviceFacts:
        """Return what the class *device_class* can run on *machine*, by default this one.

        Raises:
            DeviceUnknownError: There is no such row, or it is for another processor.
        """
        here = platform.machine() if machine is None else machine
        row = self.row(device_class)
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
            providers=tuple(row.execution_providers),
            kinds=tuple(row.artifact_kind),
            precisions=tuple(row.precision),
        )

    @model_validator(mode="after")
    def _classes_are_unique(self) -> Self:
        names = [row.device_class for row in self.rows]
        if len(set(names)) != len(names):
            raise ValueError("rows must not name one device_class twice")
        return self


def this_device(
    device_class: str,
    *,
    runtime_version: str | None = None,
    providers: tuple[str, ...] | None = None,
) -> DeviceFacts:
    """Return what this device can run, from *runtime_version* or the installed ONNX Runtime.

    *providers* are those in use; None: all that the installed one is built with.

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
        providers=_installed_providers() if providers is None else providers,
    )


def in_use(row: DeviceFacts, *, ort: str, provider: str) -> DeviceFacts:
    """Return *row* as the runtime that is really in use narrows it.

    What is proven for a class is proven for its runtime: when another one runs, neither the row nor
    the runtime is right, and nothing new may be staged until a person has settled that.

    Args:
        row: by the compatibility matrix.
        ort: version of the ONNX Runtime that runs models on this device.
        provider: the execution provider that its sessions have taken.

    Raises:
        DeviceUnknownError: it is not the row's version, or none of its providers.
    """
    if ort != row.runtime_version:
        raise DeviceUnknownError(
            f"field ort of class {row.device_class!r} is {row.runtime_version}, "
            f"but inference runs ONNX Runtime {ort}"
        )
    if provider not in row.providers:
        raise DeviceUnknownError(
            f"field execution_providers of class {row.device_class!r} is {list(row.providers)}, "
            f"but inference runs on {provider}"
        )
    return replace(row, providers=row.providers[row.providers.index(provider) :])


def installed_runtime() -> str | None:
    """Return the version of the installed ONNX Runtime, not importing it; None if there is none."""
    package = _installed_package()
    return importlib.metadata.version(package) if package else None


def _installed_providers() -> tuple[str, ...]:
    package = _installed_package()
    return _PACKAGES[package] if package else (CPU,)


def _installed_package() -> str | None:
    return next(
        (name for name in _PACKAGES if any(importlib.metadata.distributions(name=name))), None
    )


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
    artifact = manifest.artifact
    _require("device_class", manifest.device_class, (device.device_class,))
    _require_at_most("opset", manifest.opset, device.opset_max, device)
    _require_at_most("ir_version", manifest.ir_version, device.ir_max, device)
    _require("artifact.kind", artifact.kind, device.kinds)
    _require("artifact.precision", artifact.precision, device.precisions)
    if artifact.compilation is not None:
        _require_compiled_for(artifact.compilation, device)


def check_facts(facts: BundleFacts, device: DeviceFacts) -> None:
    """Accept what the registry says of a bundle if *device* can run it: before a download.

    Its manifest says more; `check` holds that against the device once it is there.

    Raises:
        IncompatibleError: It cannot; names the field and what the device can do.
    """
    _require("device_class", facts.device_class, (device.device_class,))
    _require_at_most("opset", facts.opset, device.opset_max, device)
    _require_at_most("ir_version", facts.ir_version, device.ir_max, device)
    _require("kind", facts.kind, device.kinds)
    _require("precision", facts.precision, device.precisions)
    if facts.ort is not None:
        _require("ort", facts.ort, (device.runtime_version,))


def _require_compiled_for(compilation: Compilation, device: DeviceFacts) -> None:
    """Accept what was compiled with this device's very runtime, for its provider and processor."""
    _require("artifact.compilation.ort", compilation.ort, (device.runtime_version,))
    _require("artifact.compilation.provider", compilation.provider, device.providers)
    _require("artifact.compilation.machine", compilation.machine, (device.machine,))


def _require(field: str, said: str, allowed: tuple[str, ...]) -> None:
    if said not in allowed:
        one_of = repr(allowed[0]) if len(allowed) == 1 else f"one of {', '.join(allowed)}"
        raise IncompatibleError(field, f"must be {one_of} here, got {said!r}")


def _require_at_most(field: str, said: int, most: int, device: DeviceFacts) -> None:
    if said > most:
        raise IncompatibleError(
            field, f"must be at most {most} for ONNX Runtime {device.runtime_version}, got {said}"
        )
