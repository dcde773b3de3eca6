"""The model as every peer runs it: one thread, no spinning, all optimisations, on the CPU."""

import os
import time

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime
from numpy.typing import NDArray

SIDE = 512
MODEL_VARIABLE = "PEER_MODEL"
"""Environment variable with the path of the ONNX file: servers start workers of their own."""
WARM_UP_RUNS = 5


class ModelSession:
    """A loaded and warm model."""

    def __init__(self, model: str | None = None) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        file = model or os.environ[MODEL_VARIABLE]
        self._session = onnxruntime.InferenceSession(
            file, options, providers=["CPUExecutionProvider"]
        )
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name
        self._tensor = np.zeros((1, 3, SIDE, SIDE), np.uint8)
        for _ in range(WARM_UP_RUNS):
            self.infer(bytes(SIDE * SIDE))

    def infer(self, frame: bytes | memoryview | NDArray[np.uint8]) -> dict[str, float]:
        """Return "score" and "run_ns" of a frame of 512x512 bytes, or of 512x512x3."""
        pixels = np.frombuffer(frame, np.uint8)
        if pixels.size == SIDE * SIDE:
            self._tensor[0] = pixels.reshape(SIDE, SIDE)
        else:
            self._tensor[0] = pixels.reshape(SIDE, SIDE, 3).transpose(2, 0, 1)
        start_ns = time.monotonic_ns()
        (scores,) = self._session.run([self._output], {self._input: self._tensor})
        run_ns = time.monotonic_ns() - start_ns
        return {"score": float(scores[0, 0]), "run_ns": run_ns}
