"""`session.run` with nothing around it: the floor under every figure of inference."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import onnxruntime
from benches.hub_bench.process import BenchProcess
from benches.inspect_bench.frames import Pixels
from benches.inspect_bench.model import SHAPE, BenchModel
from benches.plc_bench import machine
from benches.plc_bench.figures import NS_PER_US

from taktgate.edge.clock import monotonic_ns


class RawSession:
    """One session in the bench's own process, with the runner's settings, without its code."""

    def __init__(self, model: BenchModel, *, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(model.onnx), options, providers=["CPUExecutionProvider"]
        )
        self._outputs = [model.score_output]
        self._tensor = np.zeros(SHAPE, np.uint8)
        self._feed: Mapping[str, Any] = {model.input_name: self._tensor}

    def run(self, frame: Pixels) -> tuple[float, int]:
        """Return the score of *frame* and how many ns the run alone took."""
        self._tensor[0] = frame
        began_ns = monotonic_ns()
        (score,) = self._session.run(self._outputs, self._feed)
        return float(score[0, 0]), monotonic_ns() - began_ns


class RawBeside:
    """A raw session in a process of its own: one run when it is asked, in a gap between parts."""

    def __init__(self, model: BenchModel, folder: Path, *, priority: int) -> None:
        self._process = BenchProcess("scoring", package="inspect_bench")
        self._model, self._folder, self._priority = model, folder, priority
        self._is_asked = False
        self.samples_us: list[float] = []

    def __enter__(self) -> Self:
        """Load the model, with the priority of the runner."""
        self._process.__enter__()
        where = {"bundle": str(self._model.bundle), "folder": str(self._folder)}
        self._process.ask("open", **where, threads=1)
        if self._priority:
            machine.take_realtime(self._process.pid, self._priority)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._process.__exit__(exc_type, exc, traceback)

    def run(self, number: int) -> None:
        """Ask for a run of frame *number*; that of the call before is over by now."""
        self.collect()
        self._process.start("run", frame=number)
        self._is_asked = True

    def collect(self) -> None:
        """Take what was asked for last."""
        if self._is_asked:
            self.samples_us.append(self._process.answer() / NS_PER_US)
            self._is_asked = False
