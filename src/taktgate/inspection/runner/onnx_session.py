"""The adapter to ONNX Runtime: the only module that imports it."""

import os

# Before the import: newer wheels send telemetry by default, and the API to stop it comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import Tensor, allocate
from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.errors import ModelRefusedError, RunFailedError, RunTerminatedError

ProviderPolicy = Literal["auto", "cpu", "cuda"]
RUNTIME_VERSION: Final[str] = onnxruntime.__version__
CUDA: Final = "CUDAExecutionProvider"
CPU: Final = "CPUExecutionProvider"
_ERRORS_ONLY: Final = 3
_MEGABYTE: Final = 1 << 20
_MESSAGE_LENGTH: Final = 400
_NATIVE_ERRORS: Final = tuple(
    error
    for error in vars(native).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
# `run_with_iobinding` turns every failure of a run, a terminated one too, into a RuntimeError.
_RUN_ERRORS: Final[tuple[type[Exception], ...]] = (RuntimeError, *_NATIVE_ERRORS)
_CPU_FORBIDDEN: Final = "fallback to CPU EP has been explicitly disabled"
_ELEMENT: Final = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTerms:
    """How a model is run: docs/adr/0004-runner-settings.md says why so."""

    threads: int = 1
    spinning: bool = False
    policy: ProviderPolicy = "auto"
    gpu_memory_mb: int | None = None
    arena: bool = True
    memory_pattern: bool = True


class OnnxSession:
    """One loaded model with preallocated input and outputs. One run at a time."""

    def __init__(self, model: str | bytes, manifest: Manifest, terms: SessionTerms) -> None:
        """Load *model* and hold it against the input and outputs that *manifest* promises.

        Args:
            model: The path of a file, or its bytes: those that were verified.
            manifest: What the model must be.
            terms: How it is run.

        Raises:
            ModelRefusedError: LOAD, PROVIDER, INPUT or OUTPUTS.
        """
        self._session = _load(model, terms)
        self.provider: str = self._session.get_providers()[0]
        self.is_fallback = terms.policy != "cpu" and has_cuda() and self.provider != CUDA
        if terms.policy == "cuda" and self.provider != CUDA:
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
        self._options = onnxruntime.RunOptions()
        self._binding = self._session.io_binding()
        for name, output in zip(shapes, self._outputs, strict=True):
            self._binding.bind_ortvalue_output(
                name, onnxruntime.OrtValue.ortvalue_from_numpy(output)
            )

    def run(self) -> tuple[float, tuple[float, ...], int, int]:
        """Run on `tensor`; return score, class scores, and when the run began and ended.

        Raises:
            RunTerminatedError: `terminate` ended it.
            RunFailedError: the runtime refused or failed.
        """
        for output in self._outputs:
            output.fill(np.nan)  # a run that writes nothing must not repeat the part before
        start_ns = monotonic_ns()
        try:
            # Each time anew: a provider with memory of its own copies the input when it is bound.
            self._binding.bind_cpu_input(self._input, self.tensor)
            self._session.run_with_iobinding(self._binding, self._options)
        except _RUN_ERRORS as error:
            kind = RunTerminatedError if self._options.terminate else RunFailedError
            raise kind(str(error)) from error
        end_ns = monotonic_ns()
        score, class_scores = self._outputs
        return float(score[0, 0]), tuple(class_scores[0].tolist()), start_ns, end_ns

    def terminate(self) -> None:
        """Have the run that is under way end at its next operator; from any thread.

        Until `renew` no other run succeeds either.
        """
        self._options.terminate = True

    def renew(self) -> None:
        """Let runs succeed again after `terminate`."""
        self._options.terminate = False


def has_cuda() -> bool:
    """Tell whether this build knows CUDA, which does not mean that this machine does."""
    return CUDA in onnxruntime.get_available_providers()


def usable_providers(policy: ProviderPolicy) -> tuple[str, ...]:
    """Return the providers that a session may take here, the preferred one first."""
    return (CUDA, CPU) if policy != "cpu" and has_cuda() else (CPU,)


def _load(model: str | bytes, terms: SessionTerms) -> Any:
    if terms.policy == "cuda" and not has_cuda():
        raise ModelRefusedError("PROVIDER", "CUDA is demanded, this ONNX Runtime is built without")
    try:
        return onnxruntime.InferenceSession(model, _options(terms), providers=_providers(terms))
    except _NATIVE_ERRORS as error:
        reason = "PROVIDER" if _CPU_FORBIDDEN in str(error) else "LOAD"
        said = str(error)
        message = _in_short(said.replace(model, "the model") if isinstance(model, str) else said)
        raise ModelRefusedError(reason, message) from error


def _providers(terms: SessionTerms) -> list[Any]:
    if terms.policy == "cpu" or not has_cuda():
        return [CPU]
    cuda = (CUDA, cuda_options(terms))
    # ONNX Runtime takes a list that names the CPU for a contradiction to forbidding it.
    return [cuda] if terms.policy == "cuda" else [cuda, CPU]


def _in_short(message: str) -> str:
    """Return both ends of a long message: between them C++ says where, and the end says why."""
    if len(message) <= _MESSAGE_LENGTH:
        return message
    head = _MESSAGE_LENGTH // 8
    return f"{message[:head]} ... {message[5 + head - _MESSAGE_LENGTH :]}"


def _options(terms: SessionTerms) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = terms.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = terms.arena
    options.enable_mem_pattern = terms.memory_pattern
    options.log_severity_level = _ERRORS_ONLY
    for key, value in session_entries(terms).items():
        options.add_session_config_entry(key, value)
    return options


def session_entries(terms: SessionTerms) -> dict[str, str]:
    """Return the session's configuration entries (onnxruntime_session_options_config_keys.h)."""
    entries = {"session.intra_op.allow_spinning": str(int(terms.spinning))}
    if terms.policy == "cuda":
        # Not even single operators may end up on the CPU, which no list of providers would show.
        entries["session.disable_cpu_ep_fallback"] = "1"
    return entries


def cuda_options(terms: SessionTerms) -> dict[str, str]:
    """Return the options of the CUDA provider (ONNX Runtime, CUDA Execution Provider).

    The arena grows by what is asked for and not to the next power of two: beside the live model
    there are its standby and a candidate, and they share one device memory.
    """
    options = {"arena_extend_strategy": "kSameAsRequested"}
    if terms.gpu_memory_mb is not None:
        options["gpu_mem_limit"] = str(terms.gpu_memory_mb * _MEGABYTE)
    return options


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
