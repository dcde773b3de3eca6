"""ONNX Runtime on the publishing side: the only file of it that imports it."""

from __future__ import annotations

import os

# Before the import: newer wheels send telemetry by default, and the API to stop it comes too late.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import onnxruntime

from taktgate.bundle.manifest import ModelOutputs
from taktgate.bundle.preprocessing import Tensor
from taktgate.registry.models.errors import RuntimeFailedError

VERSION: Final[str] = onnxruntime.__version__
CPU: Final = "CPUExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"
_WARM_UP_RUNS: Final = 10
_ERRORS_ONLY: Final = 3
_LEVELS: Final = {
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def providers() -> list[str]:
    """Return the providers of this build, whether or not the machine has what they need."""
    return list(onnxruntime.get_available_providers())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What one run gives."""

    score: float
    classes: tuple[float, ...]


class LoadedModel:
    """A model as a station runs it: one thread, no spinning."""

    def __init__(
        self, model: bytes, *, input_name: str, outputs: ModelOutputs, provider: str = CPU
    ) -> None:
        """Load *model*.

        Raises:
            RuntimeFailedError: ONNX Runtime does not load it.
        """
        self._input, self._outputs = input_name, [outputs.score, outputs.class_scores]
        self._session = _session(model, _options(), provider)

    def run(self, tensor: Tensor) -> Scores:
        """Return the scores of the preprocessed *tensor*.

        Raises:
            RuntimeFailedError: The run failed, or gave other shapes than [1, 1] and [1, classes].
        """
        try:
            score, classes = self._session.run(self._outputs, {self._input: tensor})
        except Exception as error:  # ONNX Runtime's errors have no common base but this
            raise RuntimeFailedError(f"a run failed: {_short(error)}") from error
        if score.shape != (1, 1) or classes.ndim != 2 or classes.shape[0] != 1:
            raise RuntimeFailedError(
                f"outputs must be [1, 1] and [1, classes], got {score.shape} and {classes.shape}"
            )
        return Scores(score=float(score[0, 0]), classes=tuple(map(float, classes[0])))

    def times_ms(self, tensor: Tensor, runs: int) -> list[float]:
        """Return the time of each of *runs* runs, after some to warm up."""
        for _ in range(_WARM_UP_RUNS):
            self.run(tensor)
        times_ms = []
        for _ in range(runs):
            start = time.perf_counter()
            self._session.run(self._outputs, {self._input: tensor})
            times_ms.append((time.perf_counter() - start) * 1e3)
        return times_ms


def optimised(model: bytes, *, level: str, provider: str = CPU) -> bytes:
    """Return *model* as ONNX Runtime's graph optimizations of this *level* leave it.

    With TensorRT it is the engine, embedded in a node (ONNX Runtime, EP Context Design).

    Raises:
        RuntimeFailedError: ONNX Runtime does not load or compile it.
    """
    with tempfile.TemporaryDirectory(prefix="taktgate-compile-") as folder:
        file = Path(folder) / "model.onnx"
        options = _options()
        options.graph_optimization_level = _LEVELS[level]
        if provider == TENSORRT:
            options.add_session_config_entry("ep.context_enable", "1")
            options.add_session_config_entry("ep.context_embed_mode", "1")
            options.add_session_config_entry("ep.context_file_path", str(file))
        else:
            options.optimized_model_filepath = str(file)
        _session(model, options, provider)
        if [path.name for path in Path(folder).iterdir()] != [file.name]:
            raise RuntimeFailedError("the compiled model must be one file: it is too large")
        return file.read_bytes()


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _session(model: bytes, options: Any, provider: str) -> Any:
    try:
        session = onnxruntime.InferenceSession(model, options, providers=[provider])
    except Exception as error:  # as above
        raise RuntimeFailedError(f"ONNX Runtime does not load it: {_short(error)}") from error
    if session.get_providers()[0] != provider:
        raise RuntimeFailedError(f"{provider} was wanted, ONNX Runtime took another")
    return session


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
