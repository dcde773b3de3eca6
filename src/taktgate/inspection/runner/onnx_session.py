"""The adapter to ONNX Runtime: the only module that imports it."""

import os

# Before the import: newer wheels send telemetry by default, and the API to stop it comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from typing import Any, Final, Literal

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import Tensor, allocate
from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.errors import ModelRefusedError, RunFailedError

ProviderPolicy = Literal["auto", "cpu", "cuda"]
RUNTIME_VERSION: Final[str] = onnxruntime.__version__
CUDA: Final = "CUDAExecutionProvider"
CPU: Final = "CPUExecutionProvider"
_ERRORS_ONLY: Final = 3
_NATIVE_ERRORS: Final = tuple(
    error
    for error in vars(native).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
_ELEMENT: Final = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


class OnnxSession:
    """One loaded model with preallocated input and outputs. One run at a time."""

    def __init__(
        self, model: str, manifest: Manifest, *, threads: int, policy: ProviderPolicy
    ) -> None:
        """Load *model* and hold it against the input and outputs that *manifest* promises.

        Raises:
            ModelRefusedError: LOAD, PROVIDER, INPUT or OUTPUTS.
        """
        self._session = _load(model, threads=threads, policy=policy)
        self.provider: str = self._session.get_providers()[0]
        self.is_fallback = policy != "cpu" and has_cuda() and self.provider != CUDA
        if policy == "cuda" and self.provider != CUDA:
            raise ModelRefusedError(
                "PROVIDER", f"CUDA is demanded, the session took {self.provider}"
            )
        _require_input(self._session, manifest)
        shapes = {manifest.outputs.score: 1, manifest.outputs.class_scores: len(manifest.classes)}
        _require_outputs(self._session, shapes)
        self._input = manifest.input.name
        self.tensor: Tensor = allocate(manifest.preprocessing)
        """To be filled by `preprocess` before each run."""
        self._outputs = [np.full((1, count), np.nan, np.float32) for count in shapes.values()]
        self._binding = self._session.io_binding()
        for name, output in zip(shapes, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(
                name, onnxruntime.OrtValue.ortvalue_from_numpy(output)
            )

    def run(self) -> tuple[float, tuple[float, ...], int, int]:
        """Run on `tensor`; return score, class scores, and when the run began and ended.

        Raises:
            RunFailedError: the runtime refused or failed.
        """
        for output in self._outputs:
            output.fill(np.nan)  # a run that writes nothing must not repeat the part before
        start_ns = monotonic_ns()
        try:
            self._binding.bind_cpu_input(self._input, self.tensor)
            self._session.run_with_iobinding(self._binding)
        except _NATIVE_ERRORS as error:
            raise RunFailedError(str(error)) from error
        end_ns = monotonic_ns()
        score, class_scores = self._outputs
        return float(score[0, 0]), tuple(class_scores[0].tolist()), start_ns, end_ns


def has_cuda() -> bool:
    """Tell whether this build knows CUDA, which does not mean that this machine does."""
    return CUDA in onnxruntime.get_available_providers()


def _load(model: str, *, threads: int, policy: ProviderPolicy) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if policy == "cuda" and not has_cuda():
        raise ModelRefusedError("PROVIDER", "CUDA is demanded, this ONNX Runtime is built without")
    providers = [CUDA, CPU] if has_cuda() and policy != "cpu" else [CPU]
    try:
        return onnxruntime.InferenceSession(model, options, providers=providers)
    except _NATIVE_ERRORS as error:
        raise ModelRefusedError("LOAD", str(error)[:400]) from error


def _require_input(session: Any, manifest: Manifest) -> None:
    wanted = manifest.input
    found = [(each.name, each.type, list(each.shape)) for each in session.get_inputs()]
    if found != [(wanted.name, _ELEMENT[wanted.dtype], list(wanted.shape))]:
        raise ModelRefusedError(
            "INPUT",
            f"must be {wanted.name} {wanted.dtype} {list(wanted.shape)}, the model has {found}",
        )


def _require_outputs(session: Any, shapes: dict[str, int]) -> None:
    found = {each.name: (each.type, list(each.shape)) for each in session.get_outputs()}
    for name, count in shapes.items():
        if name not in found:
            raise ModelRefusedError(
                "OUTPUTS", f"output {name!r} is missing, the model has {sorted(found)}"
            )
        if found[name] != ("tensor(float)", [1, count]):
            raise ModelRefusedError(
                "OUTPUTS",
                f"output {name!r} must be float [1, {count}], the model has {found[name]}",
            )
