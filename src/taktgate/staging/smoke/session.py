"""A model in ONNX Runtime, in the smoke test's process: the one module of staging that imports it.

On the CPU and on one thread, since what a run gives must not depend on what else happens.
"""

import os

# Before the import: newer wheels send telemetry by default, and the API to stop it comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import mmap
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import Tensor
from taktgate.staging.smoke.external_data import NoOnnxError, external_data
from taktgate.staging.smoke.findings import Finding, ModelFaultError

RUNTIME_VERSION: Final[str] = onnxruntime.__version__
_FATAL_ONLY: Final = 4
_NATIVE_ERRORS: Final = tuple(
    error
    for error in vars(native).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
_ERRORS: Final[tuple[type[Exception], ...]] = (MemoryError, RuntimeError, *_NATIVE_ERRORS)
_OUT_OF_MEMORY: Final = ("bad_alloc", "bad allocation", "Failed to allocate memory")
_ELEMENT: Final = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


class SmokeSession:
    """One loaded model."""

    def __init__(self, model: Path, manifest: Manifest) -> None:
        """Load *model* and hold it against the input and the outputs that *manifest* promises.

        Raises:
            ModelFaultError: EXTERNAL_DATA, LOAD, MEMORY, INPUT or OUTPUTS.
        """
        _require_self_contained(model)
        self._session = _load(model)
        self._input = manifest.input.name
        self._shapes = {
            manifest.outputs.score: (1, 1),
            manifest.outputs.class_scores: (1, len(manifest.classes)),
        }
        _require_input(self._session, manifest)
        _require_outputs(self._session, self._shapes)

    def run(self, tensor: Tensor) -> tuple[float, ...]:
        """Return the score and then the class scores that the model gives *tensor*.

        Raises:
            ModelFaultError: RUN, MEMORY, or OUTPUTS of another shape than declared.
        """
        try:
            outputs = self._session.run(list(self._shapes), {self._input: tensor})
        except _ERRORS as error:
            raise _fault(Finding.RUN, error) from error
        for (name, shape), output in zip(self._shapes.items(), outputs, strict=True):
            if output.dtype != np.float32 or output.shape != shape:
                raise ModelFaultError(
                    Finding.OUTPUTS,
                    f"output {name!r} must be float32 {shape}, got {output.dtype} {output.shape}",
                )
        return tuple(float(each) for output in outputs for each in output[0])


def _require_self_contained(model: Path) -> None:
    """Refuse weights in other files, before a native library follows their paths."""
    try:
        with model.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        name = external_data(memoryview(content))
    except (NoOnnxError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ModelFaultError(Finding.LOAD, f"model.onnx is no whole ONNX file: {error}") from error
    if name is not None:
        raise ModelFaultError(
            Finding.EXTERNAL_DATA,
            f"model.onnx must hold its own weights, it names the file {name[:200]!r}",
        )


def _load(model: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _FATAL_ONLY
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except _ERRORS as error:
        raise _fault(Finding.LOAD, error, hidden=str(model)) from error


def _fault(finding: Finding, error: Exception, *, hidden: str = "") -> ModelFaultError:
    message = str(error).replace(hidden, "model.onnx") if hidden else str(error)
    if isinstance(error, MemoryError) or any(sign in message for sign in _OUT_OF_MEMORY):
        finding = Finding.MEMORY
    return ModelFaultError(finding, message or type(error).__name__)


def _require_input(session: Any, manifest: Manifest) -> None:
    wanted = manifest.input
    found = [(each.name, each.type, list(each.shape)) for each in session.get_inputs()]
    if found != [(wanted.name, _ELEMENT[wanted.dtype], list(wanted.shape))]:
        raise ModelFaultError(
            Finding.INPUT,
            f"must be {wanted.name} {wanted.dtype} {list(wanted.shape)}, the model has {found}",
        )


def _require_outputs(session: Any, shapes: dict[str, tuple[int, int]]) -> None:
    found = {each.name: (each.type, tuple(each.shape)) for each in session.get_outputs()}
    for name, shape in shapes.items():
        if found.get(name) != ("tensor(float)", shape):
            raise ModelFaultError(
                Finding.OUTPUTS,
                f"output {name!r} must be float {shape}, the model has {found}",
            )
